//! Where the entries of a stack lie, in order, and how they are found there.
//!
//! What a stack lends by reference stays in place, in the stack's own vector. What needs no borrow lies between, in a map:
//! so it can be taken out early. A key says where: how many entries of the vector are below it, and as which of those
//! between them.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::task::Context;

use super::around::{Attends, Surround};
use super::interrupts::{Alarms, Fires, Interrupt, Polled};
use super::{Entry, lock};
use crate::nest::{Children, Moment};
use crate::sync::Mutex;

/// Where an entry lies. The greatest is on top.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    below: usize,
    number: u64,
}

impl Key {
    /// That of an entry in the vector.
    pub(super) fn in_vector(at: usize) -> Self {
        Self {
            below: at,
            number: u64::MAX,
        }
    }

    /// Where it is in the vector, if it is there.
    pub(super) fn at(self) -> Option<usize> {
        (self.number == u64::MAX).then_some(self.below)
    }
}

/// The entries of a stack that are not in its vector, and the interrupts of all. They move, and are exited, together.
pub(super) struct Pile<E> {
    state: Mutex<State<E>>,
    alarms: Arc<Alarms>,
}

struct State<E> {
    /// When the first of the entries came.
    since: Option<Moment>,
    /// How many entries are in the vector.
    in_vector: usize,
    between: BTreeMap<Key, Box<dyn Entry<E>>>,
    next: u64,
    /// Those that may fire; none while it is polled.
    interrupts: BTreeMap<Key, Option<Interrupt<E>>>,
    /// What the body is polled in; none while it is.
    around: BTreeMap<Key, Option<Vec<Box<dyn Surround>>>>,
    /// The exits have run, and none will any more.
    closed: bool,
}

impl<E: 'static> State<E> {
    fn put(&mut self, entry: impl Entry<E>) -> Key {
        self.since.get_or_insert_with(Moment::now);
        let key = Key {
            below: self.in_vector,
            number: self.next,
        };
        self.next += 1;
        self.between.insert(key, Box::new(entry));
        key
    }
}

impl<E> Default for Pile<E> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                since: None,
                in_vector: 0,
                between: BTreeMap::new(),
                next: 0,
                interrupts: BTreeMap::new(),
                around: BTreeMap::new(),
                closed: false,
            }),
            alarms: Arc::default(),
        }
    }
}

impl<E: 'static> Pile<E> {
    /// Takes note of an entry in the vector.
    pub(super) fn grows(&self, at: usize) -> Key {
        let mut state = lock(&self.state);
        state.since.get_or_insert_with(Moment::now);
        // Another thread may have pushed the next one meanwhile.
        state.in_vector = state.in_vector.max(at + 1);
        Key::in_vector(at)
    }

    /// Takes note that those in the vector from there on have left.
    pub(super) fn shrinks(&self, to: usize) {
        lock(&self.state).in_vector = to;
    }

    /// An entry is going to come.
    pub(super) fn expect(&self) {
        lock(&self.state).since.get_or_insert_with(Moment::now);
    }

    /// When the first of the entries came.
    pub(super) fn since(&self) -> Moment {
        lock(&self.state).since.unwrap_or_else(Moment::now)
    }

    /// Puts an entry on top.
    pub(super) fn put(&self, entry: impl Entry<E>) -> Key {
        lock(&self.state).put(entry)
    }

    /// Puts an entry on top, or gives it back when the exits have run.
    fn put_if_open<T: Entry<E>>(&self, entry: T) -> Result<(), T> {
        let mut state = lock(&self.state);
        if state.closed {
            return Err(entry);
        }
        state.put(entry);
        Ok(())
    }

    /// Puts one back that was taken out to look at it.
    pub(super) fn put_back(&self, key: Key, entry: Box<dyn Entry<E>>) {
        lock(&self.state).between.insert(key, entry);
    }

    pub(super) fn take(&self, key: Key) -> Option<Box<dyn Entry<E>>> {
        lock(&self.state).between.remove(&key)
    }

    /// Takes the uppermost one, if it is above those in the vector.
    pub(super) fn pop_above(&self, in_vector: usize) -> Option<(Key, Box<dyn Entry<E>>)> {
        let mut state = lock(&self.state);
        let top = state.between.last_entry()?;
        (top.key().below >= in_vector).then(|| top.remove_entry())
    }

    /// The uppermost one in the map.
    pub(super) fn top(&self) -> Option<Key> {
        lock(&self.state).between.keys().next_back().copied()
    }

    /// Their exits are to run without the block of the stack.
    pub(super) fn are_detached(&self) {
        let state = lock(&self.state);
        state.between.values().for_each(|entry| entry.is_detached());
    }

    /// The next one below in the map.
    pub(super) fn next_below(&self, key: Key) -> Option<Key> {
        let state = lock(&self.state);
        state.between.range(..key).next_back().map(|(key, _)| *key)
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.state).between.len()
    }

    pub(super) fn name(&self, key: Key) -> Option<&'static str> {
        let state = lock(&self.state);
        state.between.get(&key).map(|entry| entry.name())
    }

    /// The names of those directly below an entry of the vector, from the lowest.
    pub(super) fn names_below(&self, at: usize) -> Vec<&'static str> {
        let range = (
            at.checked_sub(1)
                .map_or(Bound::Unbounded, |at| Bound::Excluded(Key::in_vector(at))),
            Bound::Excluded(Key::in_vector(at)),
        );
        let state = lock(&self.state);
        let names = state.between.range(range).map(|(_, entry)| entry.name());
        names.collect()
    }

    /// Says that what is registered from now on comes too late.
    pub(super) fn close(&self) {
        lock(&self.state).closed = true;
    }

    /// The same, if there is nothing in the map.
    pub(super) fn close_if_empty(&self) -> bool {
        let mut state = lock(&self.state);
        state.closed |= state.between.is_empty();
        state.closed
    }

    // --- Interrupts ---

    /// What an entry does while the body runs.
    pub(super) fn attend(&self, by: Key, attends: Attends<E>) {
        let Attends { fires, around } = attends;
        let is_around = !around.is_empty();
        if is_around {
            lock(&self.state).around.insert(by, Some(around));
        }
        if let Some(fires) = fires {
            self.may_be_interrupted(by, fires, is_around);
        }
    }

    /// Polls the body in what entries from the outermost on, or further in than this one, have around it.
    pub(super) fn poll_around(
        &self,
        from: Option<Key>,
        cx: &mut Context<'_>,
        body: &mut dyn FnMut(&mut Context<'_>),
    ) {
        let Some((key, mut around)) = self.take_around(from) else {
            return body(cx);
        };
        let mut inside = |cx: &mut Context<'_>| self.poll_around(Some(key), cx, body);
        let result = catch_unwind(AssertUnwindSafe(|| {
            poll_each(&mut around, cx, &mut inside);
        }));
        self.around_back(key, around);
        if let Err(payload) = result {
            resume_unwind(payload);
        }
    }

    fn take_around(&self, from: Option<Key>) -> Option<(Key, Vec<Box<dyn Surround>>)> {
        let from = from.map_or(Bound::Unbounded, Bound::Excluded);
        let mut state = lock(&self.state);
        let mut inwards = state.around.range_mut((from, Bound::Unbounded));
        inwards.find_map(|(key, around)| Some((*key, around.take()?)))
    }

    /// After a poll. The entry may have left meanwhile.
    fn around_back(&self, key: Key, around: Vec<Box<dyn Surround>>) {
        let gone = match lock(&self.state).around.get_mut(&key) {
            Some(place) => place.replace(around),
            None => Some(around),
        };
        drop(gone);
    }

    /// Whether entries have something around the body.
    pub(super) fn is_around(&self) -> bool {
        !lock(&self.state).around.is_empty()
    }

    fn may_be_interrupted(&self, by: Key, fires: super::BoxFuture<Option<E>>, is_around: bool) {
        let interrupt = Interrupt::new(fires, by, &self.alarms, is_around);
        lock(&self.state).interrupts.insert(by, Some(interrupt));
        self.alarms.ring(by);
    }

    /// Polls those interrupts that were woken, from the outermost on. With `below`, only those further out than that, and
    /// the others are over.
    pub(super) fn poll_interrupts(&self, below: Option<Key>, cx: &mut Context<'_>) -> Fires<E> {
        if let Some(below) = below {
            self.forget_interrupts(below);
        }
        self.alarms.ring_for(cx.waker());
        let mut rung = self.alarms.take().into_iter();
        while let Some(key) = rung.next() {
            let Some(mut interrupt) = self.take_interrupt(key) else {
                continue;
            };
            match interrupt.poll() {
                Polled::Pending => {
                    if !interrupt.can_be_woken() {
                        self.alarms.note(key);
                    }
                    self.interrupt_back(key, interrupt);
                }
                Polled::Fired(error) if self.is_interruptible(key) => {
                    self.forget_interrupts(key);
                    return Fires::Error(key, error);
                }
                Polled::Fired(_) => {}
                Polled::Panicked(payload) => {
                    rung.for_each(|key| self.alarms.ring(key));
                    return Fires::Panic(key, payload);
                }
            }
        }
        Fires::Not
    }

    fn take_interrupt(&self, key: Key) -> Option<Interrupt<E>> {
        lock(&self.state).interrupts.get_mut(&key)?.take()
    }

    /// After a poll. The entry may have left meanwhile.
    fn interrupt_back(&self, key: Key, interrupt: Interrupt<E>) {
        let gone = match lock(&self.state).interrupts.get_mut(&key) {
            Some(place) => place.replace(interrupt),
            None => Some(interrupt),
        };
        drop(gone);
    }

    fn is_interruptible(&self, by: Key) -> bool {
        lock(&self.state).interrupts.contains_key(&by)
    }

    /// These no longer interrupt: this one, and those further in.
    fn forget_interrupts(&self, from: Key) {
        loop {
            let gone = match lock(&self.state).interrupts.last_entry() {
                Some(last) if *last.key() >= from => last.remove(),
                _ => return,
            };
            // Without the lock: it is the user's.
            drop(gone);
        }
    }

    pub(super) fn forget_all_interrupts(&self) {
        let all = std::mem::take(&mut lock(&self.state).interrupts);
        drop(all);
    }
}

/// Polls the body in these, one in the other.
fn poll_each(
    around: &mut [Box<dyn Surround>],
    cx: &mut Context<'_>,
    body: &mut dyn FnMut(&mut Context<'_>),
) {
    match around {
        [] => body(cx),
        [outer, inner @ ..] => outer.poll_inside(cx, &mut |cx| poll_each(inner, cx, body)),
    }
}

/// What a handle knows of the pile that its entry lies in.
pub(super) trait Leave: Send + Sync {
    /// The entry is exited elsewhere. Before that, it must not have anything around the body: whether it has, is returned.
    fn leave_body(&self, key: Key) -> bool;
    fn leave(&self, key: Key);
}

impl<E: Send + 'static> Leave for Pile<E> {
    fn leave_body(&self, key: Key) -> bool {
        let around = lock(&self.state).around.remove(&key);
        around.is_some()
    }

    fn leave(&self, key: Key) {
        let (entry, interrupt) = {
            let mut state = lock(&self.state);
            (state.between.remove(&key), state.interrupts.remove(&key))
        };
        drop((entry, interrupt));
        self.alarms.forget(key);
    }
}

/// A stack, to those who register from elsewhere: it stays the same when its entries leave it.
pub(super) struct Home<E> {
    pile: Mutex<Arc<Pile<E>>>,
    /// What keeps another `close` waiting.
    pub(super) closing: Arc<Children>,
}

impl<E: 'static> Home<E> {
    pub(super) fn new(pile: Arc<Pile<E>>) -> Arc<Self> {
        Arc::new(Self {
            pile: Mutex::new(pile),
            closing: Arc::default(),
        })
    }

    pub(super) fn pile(&self) -> Arc<Pile<E>> {
        Arc::clone(&lock(&self.pile))
    }

    /// Whoever registers goes on with another pile.
    pub(super) fn replace(&self, pile: Arc<Pile<E>>) -> Arc<Pile<E>> {
        std::mem::replace(&mut *lock(&self.pile), pile)
    }

    /// The same, if there is nothing left in the map of this one.
    pub(super) fn replace_if_empty(&self, pile: &Arc<Pile<E>>) -> bool {
        let mut current = lock(&self.pile);
        let is_empty = current.len() == 0;
        if is_empty {
            *current = Arc::clone(pile);
        }
        is_empty
    }

    /// Puts an entry on top, while the pile stays the same; gives it back when the exits have run.
    pub(super) fn put<T: Entry<E>>(&self, entry: T) -> Result<(), T> {
        lock(&self.pile).put_if_open(entry)
    }
}
