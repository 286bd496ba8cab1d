//! Which exits are owed: those of blocks that are open, and those that were detached (rule CAN-5).
//!
//! Every block passes here twice, so it has to be cheap: the table is in parts, each thread writes to its own, and the
//! first entries of each lie in place, so that a block makes no allocation.

use std::cell::Cell;
use std::future::poll_fn;
use std::num::NonZeroU32;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::task::{Poll, Waker};
use std::time::Instant;

use crate::executor::Runtime;
use crate::frame;
use crate::sync::{AtomicUsize, Mutex, MutexGuard, shared, thread_local};

const SHARDS: usize = 32;
const IN_PLACE: usize = 32;

shared! {
    static TABLE: [Mutex<Shard>; SHARDS] = [const { Mutex::new(Shard::NEW) }; SHARDS];

    /// Those who wait for the table to change. The count is read on every removal; the list is locked only if there are any.
    static WAITING: AtomicUsize = AtomicUsize::new(0);
    static WAITERS: Mutex<Vec<(usize, Waker)>> = Mutex::new(Vec::new());
}

/// The runtime of the running code, or else that of a block.
pub(crate) fn current_runtime_or(place: Option<Place>) -> Runtime {
    Runtime::current().or_else(|| runtime_of(place))
}

/// The span that a block was entered in.
#[cfg(feature = "tracing")]
pub(crate) fn span_of(place: Option<Place>) -> tracing::Span {
    place
        .and_then(|place| place.with(|entry| entry.span.clone()))
        .unwrap_or_else(tracing::Span::current)
}

struct Entry {
    manager: &'static str,
    /// Taken when the block waits for the first time, or somebody asks: reading the clock costs more than all the rest.
    since: Cell<Option<Instant>>,
    detached: bool,
    parent: Option<Place>,
    runtime: Runtime,
    #[cfg(feature = "tracing")]
    span: tracing::Span,
}

impl Entry {
    /// Takes note of the time, unless that was done before.
    fn note_time(&self) {
        self.since.set(self.since.get().or_else(now));
    }

    /// For those who ask: without a clock, this panics.
    fn since(&self) -> Instant {
        self.note_time();
        self.since.get().unwrap_or_else(Instant::now)
    }
}

/// Reads the clock, where there is one: on `wasm32-unknown-unknown`, the standard library's panics.
fn now() -> Option<Instant> {
    let has_clock = !cfg!(all(target_family = "wasm", target_os = "unknown"));
    has_clock.then(Instant::now)
}

/// Where an entry is, and the how-manieth of its slot.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Place {
    at: u32,
    generation: NonZeroU32,
}

struct Slot {
    generation: NonZeroU32,
    entry: Option<Entry>,
}

impl Slot {
    const NEW: Self = Self {
        generation: NonZeroU32::MIN,
        entry: None,
    };
}

struct Shard {
    in_place: [Slot; IN_PLACE],
    more: Vec<Slot>,
    /// Free slots of `in_place`, one bit each.
    free: u32,
    free_more: Vec<u32>,
}

impl Shard {
    const NEW: Self = Self {
        in_place: [const { Slot::NEW }; IN_PLACE],
        more: Vec::new(),
        free: u32::MAX,
        free_more: Vec::new(),
    };

    fn take_free(&mut self) -> usize {
        if self.free != 0 {
            let at = self.free.trailing_zeros();
            self.free &= !(1 << at);
            return at as usize;
        }
        if let Some(at) = self.free_more.pop() {
            return at as usize;
        }
        self.more.push(Slot::NEW);
        IN_PLACE + self.more.len() - 1
    }

    fn give_back(&mut self, at: usize) {
        if at < IN_PLACE {
            self.free |= 1 << at;
        } else {
            self.free_more.extend(u32::try_from(at));
        }
    }

    fn slot(&mut self, at: usize) -> &mut Slot {
        if at < IN_PLACE {
            &mut self.in_place[at]
        } else {
            &mut self.more[at - IN_PLACE]
        }
    }

    fn entries(&self) -> impl Iterator<Item = (usize, &Slot, &Entry)> {
        let slots = self.in_place.iter().chain(&self.more).enumerate();
        slots.filter_map(|(at, slot)| Some((at, slot, slot.entry.as_ref()?)))
    }
}

fn lock(shard: usize) -> MutexGuard<'static, Shard> {
    TABLE[shard].lock().unwrap_or_else(PoisonError::into_inner)
}

/// The shard of this thread.
fn own_shard() -> usize {
    shared! { static NEXT: AtomicUsize = AtomicUsize::new(0); }
    thread_local! {
        static OWN: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    let own = |own: &Cell<usize>| {
        if own.get() == usize::MAX {
            own.set(NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
        }
        own.get()
    };
    OWN.try_with(own).unwrap_or(0)
}

impl Place {
    fn new(shard: usize, at: usize, generation: NonZeroU32) -> Option<Self> {
        let at = u32::try_from(at * SHARDS + shard).ok()?;
        Some(Self { at, generation })
    }

    fn shard(self) -> usize {
        self.at as usize % SHARDS
    }

    fn slot(self) -> usize {
        self.at as usize / SHARDS
    }

    /// The manager's name, if the entry is still there.
    pub(crate) fn manager(self) -> Option<&'static str> {
        self.with(|entry| entry.manager)
    }

    /// Looks at the entry, if it is still there.
    fn with<T>(self, look: impl FnOnce(&Entry) -> T) -> Option<T> {
        let mut shard = lock(self.shard());
        let slot = shard.slot(self.slot());
        let entry = slot
            .entry
            .as_ref()
            .filter(|_| slot.generation == self.generation)?;
        Some(look(entry))
    }
}

/// An exit that is owed, until this is dropped.
pub struct Owed(Option<Place>);

impl Owed {
    /// Enters the block that the running code has just opened, inside of another one.
    pub(crate) fn by_block(manager: &'static str, parent: Option<Place>) -> Self {
        Self::insert(Entry {
            manager,
            since: Cell::new(None),
            detached: false,
            parent,
            runtime: Runtime::current(),
            #[cfg(feature = "tracing")]
            span: tracing::Span::current(),
        })
    }

    /// Enters clean-up that is detached and was no block before.
    /// `block` is the one that hands it over.
    pub(crate) fn by_detach(manager: &'static str, block: Option<Place>) -> Self {
        Self::insert(Entry {
            manager,
            since: Cell::new(now()),
            detached: true,
            parent: frame::enclosing(),
            runtime: runtime_of(block),
            // Where it is handed over; after an abort, that is in no span.
            #[cfg(feature = "tracing")]
            span: match tracing::Span::current() {
                span if span.is_none() => span_of(block),
                span => span,
            },
        })
    }

    /// Takes note that the exit goes on without its block, and where.
    pub(crate) fn detached_on(&self, runtime: &Runtime) {
        self.change(|entry| {
            entry.detached = true;
            entry.note_time();
            entry.runtime.clone_from(runtime);
        });
    }

    /// Takes note that the block is inside another one now, or on another runtime.
    pub(crate) fn moved(&self, parent: Option<Place>) {
        // Outside of a runtime, the one before is the one to clean up on.
        let runtime = Runtime::current();
        self.change(|entry| {
            entry.parent = parent;
            if runtime.is_known() {
                entry.runtime = runtime;
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut Entry)) {
        let Some(place) = self.0 else { return };
        let mut shard = lock(place.shard());
        let Some(entry) = &mut shard.slot(place.slot()).entry else {
            return;
        };
        let before = entry.runtime.id();
        change(entry);
        let is_elsewhere = entry.runtime.id() != before;
        drop(shard);
        if is_elsewhere {
            wake_waiting();
        }
    }

    fn insert(entry: Entry) -> Self {
        let number = own_shard();
        let mut shard = lock(number);
        let at = shard.take_free();
        let slot = shard.slot(at);
        slot.entry = Some(entry);
        Self(Place::new(number, at, slot.generation))
    }

    pub(crate) fn place(&self) -> Option<Place> {
        self.0
    }

    /// Takes note that the block waits.
    pub(crate) fn waits(&self) {
        self.change(|entry| entry.note_time());
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        let Some(place) = self.0 else { return };
        // Dropped without the lock.
        let _entry = {
            let mut shard = lock(place.shard());
            let slot = shard.slot(place.slot());
            let entry = slot.entry.take();
            slot.generation = slot.generation.checked_add(1).unwrap_or(NonZeroU32::MIN);
            shard.give_back(place.slot());
            entry
        };
        wake_waiting();
    }
}

/// Lets those who wait for the table look again.
fn wake_waiting() {
    if WAITING.load(Ordering::SeqCst) > 0 {
        // Woken without the lock: a waker may run code of the user's.
        let wakers: Vec<Waker> = WAITERS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain(..)
            .map(|(_, waker)| waker)
            .collect();
        wakers.into_iter().for_each(Waker::wake);
    }
}

fn runtime_of(place: Option<Place>) -> Runtime {
    place
        .and_then(|place| place.with(|entry| entry.runtime.clone()))
        .unwrap_or_default()
}

/// Whether a block is open on the runtime of the running code, if that is in one: another runtime may be driven inside of
/// the block's body.
pub(crate) fn is_on_this_runtime(place: Place) -> bool {
    let runtime = Runtime::current();
    !runtime.is_known() || place.with(|entry| entry.runtime == runtime).unwrap_or(true)
}

/// An exit that is owed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PendingExit {
    /// The manager's [name](crate::AsyncContextManager::name), or the name given to [`detach`](crate::detach()).
    pub manager: &'static str,
    /// Since when the block is open, or the exit detached.
    pub since: Instant,
    /// Whether the exit was detached from its block; if not, the block is still open.
    pub detached: bool,
}

/// Looks at the exits that are owed on a runtime, but for those of these blocks. All of them are seen at one moment: while
/// one exit ends, another block may be opened in a part of the table that was already looked at.
fn look<T>(
    runtime: &Runtime,
    except: &[Place],
    look: impl FnOnce(&mut dyn Iterator<Item = &Entry>) -> T,
) -> T {
    // In order; everybody else holds one part at a time.
    let table: Vec<_> = (0..SHARDS).map(lock).collect();
    let entries = table.iter().enumerate().flat_map(|(number, shard)| {
        let places = shard.entries();
        places.map(move |(at, slot, entry)| (Place::new(number, at, slot.generation), entry))
    });
    let mut found = entries.filter_map(|(place, entry)| {
        let excepted = place.is_none_or(|place| except.contains(&place));
        (!excepted && entry.runtime == *runtime).then_some(entry)
    });
    look(&mut found)
}

/// Whether an exit is owed that the caller of [`drain`] is to wait for.
fn is_owed(runtime: &Runtime) -> bool {
    look(runtime, &enclosing(), |entries| entries.next().is_some())
}

/// The exits that are owed on a runtime, but for those of these blocks.
fn owed(runtime: &Runtime, except: &[Place]) -> Vec<PendingExit> {
    let mut found: Vec<_> = look(runtime, except, |entries| {
        let pending = entries.map(|entry| PendingExit {
            manager: entry.manager,
            since: entry.since(),
            detached: entry.detached,
        });
        pending.collect()
    });
    found.sort_by_key(|pending| pending.since);
    found
}

/// The blocks that enclose the running code, from the inside outwards.
fn enclosing() -> Vec<Place> {
    std::iter::successors(frame::enclosing(), |place| {
        place.with(|entry| entry.parent)?
    })
    .collect()
}

/// The exits that are owed on this runtime, oldest first: those of open blocks, also of the ones that enclose the
/// caller, and detached ones (rule CAN-5).
///
/// Outside of a runtime, and on executors other than tokio, it lists those of all blocks that were opened there.
///
/// ```
/// # use async_with::{async_with, move_on_after, pending_exits};
/// # use std::time::Duration;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// async_with! { move_on_after(Duration::from_secs(5)) => {
///     assert_eq!(pending_exits().len(), 1);
/// }}
/// assert!(pending_exits().is_empty());
/// # }
/// ```
///
/// # Panics
///
/// On `wasm32-unknown-unknown`, when one is owed: there is no clock to say since when.
#[must_use]
pub fn pending_exits() -> Vec<PendingExit> {
    owed(&Runtime::current(), &[])
}

/// Waits until no exit of this runtime is owed any more: no detached one, and none of a block that is open, but for the
/// blocks that enclose the caller (rule CAN-5).
///
/// Called at the end of `main`, after the tasks were told to end or were aborted, it makes a service shut down without
/// losing an exit; right after `abort()` it misses no block that was entered, because a block is counted from its enter
/// on. (A task that is being polled when it is aborted may enter its first block later: join such tasks first.) It counts per
/// runtime: programs with several, and tests in parallel, do not wait for each other. A block that never ends makes it
/// wait for ever: [`pending_exits`] says which it is.
///
/// What no block owes is counted once it is detached, and not before: the exits of an
/// [`AsyncExitStack`](crate::AsyncExitStack) outside of a block, since the caller itself may hold the stack and would wait
/// for itself; an enter under way in [`finish_enter`](crate::AsyncContextManagerExt::finish_enter); and an exit under way
/// in `release` of a [`Handle`](crate::Handle) or of a [`Held`](crate::Held). The runtime drops an aborted task a little
/// later: join a task that may be in one of these before this is called.
#[cfg_attr(
    feature = "tokio",
    doc = "[`drain_timeout`] waits for so long at most."
)]
///
/// # Cancel safety
///
/// It can be dropped and called again; nothing is lost.
pub async fn drain() {
    shared! { static NEXT: AtomicUsize = AtomicUsize::new(0); }
    struct Waiting(usize);
    impl Waiting {
        fn set(&self, waker: Option<&Waker>) {
            let mut waiters = WAITERS.lock().unwrap_or_else(PoisonError::into_inner);
            let before: Vec<_> = waiters
                .extract_if(.., |(number, _)| *number == self.0)
                .collect();
            waiters.extend(waker.map(|waker| (self.0, waker.clone())));
            // Dropped without the lock: a task may go with its last waker, and blocks with it.
            drop(waiters);
            drop(before);
        }
    }
    impl Drop for Waiting {
        fn drop(&mut self) {
            WAITING.fetch_sub(1, Ordering::SeqCst);
            self.set(None);
        }
    }
    WAITING.fetch_add(1, Ordering::SeqCst);
    let waiting = Waiting(NEXT.fetch_add(1, Ordering::Relaxed));
    let runtime = Runtime::current();
    poll_fn(|cx| {
        // First the waker, then the look: a removal in between wakes.
        waiting.set(Some(cx.waker()));
        if is_owed(&runtime) {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
}

/// Like [`drain`], for so long at most.
///
/// # Errors
///
/// What is still owed when the time is over.
///
/// # Panics
///
/// Outside of a tokio runtime with timers.
///
/// # Cancel safety
///
/// As [`drain`].
#[cfg(feature = "tokio")]
pub async fn drain_timeout(duration: std::time::Duration) -> Result<(), Vec<PendingExit>> {
    match tokio::time::timeout(duration, drain()).await {
        Ok(()) => Ok(()),
        Err(_) => Err(owed(&Runtime::current(), &enclosing())),
    }
}
