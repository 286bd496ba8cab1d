//! Which entries interrupt the block of a stack, or the exits of those further in.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use super::as_manager::StackError;
use super::pile::{Key, Pile};
use super::{BoxFuture, lock};
use crate::Interruption;
use crate::executor::poll_unconstrained;
use crate::manager::Payload;
use crate::sync::Mutex;

/// The interrupt of an entry. It is polled when it was woken: so a stack of many costs no more than one of a few.
pub(super) struct Interrupt<E> {
    fires: BoxFuture<Option<E>>,
    alarm: Arc<Alarm>,
    waker: Waker,
    /// It is polled with each poll of the body, by which it may be woken.
    is_around: bool,
}

/// What one poll of it came to.
pub(super) enum Polled<E> {
    Pending,
    Fired(Option<E>),
    Panicked(Payload),
}

/// What came of a poll of all.
pub(super) enum Fires<E> {
    Not,
    /// The outermost that did, and its error; none, if the manager goes on after that.
    Error(Key, Option<E>),
    Panic(Key, Payload),
}

impl<E> Interrupt<E> {
    pub(super) fn new(
        fires: BoxFuture<Option<E>>,
        of: Key,
        alarms: &Arc<Alarms>,
        is_around: bool,
    ) -> Self {
        let alarms = Arc::clone(alarms);
        let alarm = Arc::new(Alarm { of, alarms });
        Self {
            fires,
            is_around,
            waker: Waker::from(Arc::clone(&alarm)),
            alarm,
        }
    }

    /// Whether anybody kept its waker. One that relies on the polls of the body is polled with each, as in a block.
    pub(super) fn can_be_woken(&self) -> bool {
        !self.is_around && Arc::strong_count(&self.alarm) > 2
    }

    pub(super) fn poll(&mut self) -> Polled<E> {
        let mut cx = Context::from_waker(&self.waker);
        let poll = |cx: &mut Context<'_>| self.fires.as_mut().poll(cx);
        match catch_unwind(AssertUnwindSafe(|| poll_unconstrained(&mut cx, poll))) {
            Ok(Poll::Pending) => Polled::Pending,
            Ok(Poll::Ready(error)) => Polled::Fired(error),
            Err(payload) => Polled::Panicked(payload),
        }
    }
}

/// Which interrupts were woken, and who is to poll them.
#[derive(Default)]
pub(super) struct Alarms(Mutex<Rung>);

#[derive(Default)]
struct Rung {
    keys: BTreeSet<Key>,
    waker: Option<Waker>,
}

struct Alarm {
    of: Key,
    alarms: Arc<Alarms>,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.alarms.ring(self.of);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.alarms.ring(self.of);
    }
}

impl Alarms {
    /// That one is polled next time.
    pub(super) fn note(&self, key: Key) {
        lock(&self.0).keys.insert(key);
    }

    /// The same, and there is to be a next time.
    pub(super) fn ring(&self, key: Key) {
        let waker = {
            let mut rung = lock(&self.0);
            rung.keys.insert(key);
            rung.waker.clone()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    /// That one is gone.
    pub(super) fn forget(&self, key: Key) {
        lock(&self.0).keys.remove(&key);
    }

    /// Whose poll it is to be from now on.
    pub(super) fn ring_for(&self, waker: &Waker) {
        let mut rung = lock(&self.0);
        let known = rung.waker.as_ref();
        if !known.is_some_and(|known| known.will_wake(waker)) {
            let before = rung.waker.replace(waker.clone());
            // Without the lock: a task may go with its last waker, and stacks with it.
            drop(rung);
            drop(before);
        }
    }

    /// Those that were woken since the last time.
    pub(super) fn take(&self) -> BTreeSet<Key> {
        std::mem::take(&mut lock(&self.0).keys)
    }
}

/// Who interrupts the block of a stack.
pub(super) struct Interrupts<E> {
    /// Whose entries may.
    pile: Arc<Pile<E>>,
    /// The last one, and before it those that it overtook: it is further out.
    pub(super) fired: Fired<E>,
    /// The last one did so in the last poll.
    just_fired: bool,
    /// Of a stack that is a manager: its exits are told of the interruption, and raise its error, if it has one.
    pub(super) goes_on: bool,
    /// What that failed with then.
    pub(super) failed: Option<E>,
}

/// Who interrupted, and with which error.
pub(super) type Fired<E> = Vec<(Source, Option<E>)>;

/// Where an interruption comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Entry(Key),
    /// An entry that has left the stack since. It counts as one further out than all.
    Gone,
    /// Whoever is outside of the stack.
    Outside,
}

impl<E> Interrupts<E> {
    /// The error that is raised. Whoever takes it before the exits have run raises it himself.
    pub(super) fn take_error(&mut self) -> Option<E> {
        if let Some(error) = self.failed.take() {
            return Some(error);
        }
        let error = self.fired.last_mut()?.1.take();
        self.goes_on &= error.is_none();
        error
    }
}

impl<E: 'static> Interrupts<E> {
    /// These entries interrupt from now on.
    pub(super) fn by(pile: Arc<Pile<E>>) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            pile,
            fired: Vec::new(),
            just_fired: false,
            goes_on: false,
            failed: None,
        }))
    }

    /// The entries leave the stack, which goes on with others.
    pub(super) fn leave(this: &Mutex<Self>, pile: Arc<Pile<E>>) {
        let before = {
            let mut interrupts = lock(this);
            for (source, _) in &mut interrupts.fired {
                *source = Source::Gone;
            }
            std::mem::replace(&mut interrupts.pile, pile)
        };
        drop(before);
    }

    /// Polls them. With `below`, those further out than that.
    fn poll(this: &Mutex<Self>, below: Option<Key>, cx: &mut Context<'_>) -> Fires<E> {
        let pile = Arc::clone(&lock(this).pile);
        pile.poll_interrupts(below, cx)
    }

    /// While the blocks inside end after an interruption: one further out may interrupt in its place.
    pub(super) fn poll_further_out(
        this: &Mutex<Self>,
        cx: &mut Context<'_>,
        mut panicked: impl FnMut(Payload),
    ) {
        let last = lock(this).fired.last().map(|(source, _)| *source);
        let Some(Source::Entry(at)) = last else {
            return;
        };
        loop {
            match Self::poll(this, Some(at), cx) {
                Fires::Not => return,
                Fires::Panic(_, payload) => panicked(payload),
                Fires::Error(by, error) => {
                    let mut interrupts = lock(this);
                    interrupts.fired.push((Source::Entry(by), error));
                    interrupts.just_fired = true;
                    return;
                }
            }
        }
    }

    /// In the poll after that in which one fired: whoever is outside of the stack may have interrupted in the very same.
    pub(super) fn settle(this: &Mutex<Self>, is_cancelled: bool) {
        let mut interrupts = lock(this);
        if std::mem::take(&mut interrupts.just_fired)
            && is_cancelled
            && let Some((_, error)) = interrupts.fired.last_mut()
        {
            *error = None;
        }
    }
}

/// Resolves when one of the managers interrupts. Of those that do together, the outermost counts.
pub(super) struct StackInterrupt<E> {
    pub(super) interrupts: Arc<Mutex<Interrupts<E>>>,
    /// The exit of the block takes the error from the stack itself.
    pub(super) in_block: bool,
}

impl<E: 'static> Interruption<StackError<E>> for StackInterrupt<E> {
    fn poll_interruption(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<StackError<E>> {
        let (by, error) = match Interrupts::poll(&self.interrupts, None, cx) {
            Fires::Not => return Poll::Pending,
            Fires::Panic(_, payload) => resume_unwind(payload),
            Fires::Error(by, error) => (by, error),
        };
        let mut interrupts = lock(&self.interrupts);
        let raised = if self.in_block {
            StackError::kept()
        } else {
            interrupts.goes_on = true;
            StackError::later(Arc::clone(&self.interrupts))
        };
        interrupts.fired.push((Source::Entry(by), error));
        interrupts.just_fired = true;
        Poll::Ready(raised)
    }

    fn poll_inside(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        body: &mut dyn FnMut(&mut Context<'_>),
    ) {
        let pile = Arc::clone(&lock(&self.interrupts).pile);
        pile.poll_around(None, cx, body);
    }

    // There may be something later.
    fn is_around(&self) -> bool {
        true
    }
}
