//! Clean-up that runs on its own, and that a level waits for before its own exit.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::mem;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use super::slot::Slot;
use super::{Current, Place, current};
use crate::sync::{Mutex, MutexGuard};

/// The clean-up that was detached in a level.
#[derive(Default)]
pub struct Children {
    /// The level that waits for it.
    of: Option<Place>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    live: usize,
    /// One per wait that is under way.
    waiters: BTreeMap<u64, Waker>,
    next: u64,
    /// The set that these children were passed on to, when their own level could not wait for them.
    heir: Option<Ticket>,
}

impl Children {
    fn new(of: Place) -> Arc<Self> {
        Arc::new(Self {
            of: Some(of),
            state: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn ticket(self: &Arc<Self>) -> Ticket {
        self.lock().live += 1;
        Ticket(Arc::clone(self))
    }

    /// Whether no ticket is left.
    pub(crate) fn is_idle(&self) -> bool {
        self.lock().live == 0
    }

    /// Waits until no ticket is left.
    pub(crate) fn wait(self: &Arc<Self>) -> impl Future<Output = ()> + Send + use<> {
        struct Waiting(Arc<Children>, Option<u64>);
        impl Drop for Waiting {
            fn drop(&mut self) {
                let waiter = self
                    .1
                    .and_then(|number| self.0.lock().waiters.remove(&number));
                drop(waiter);
            }
        }
        impl Waiting {
            fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
                let Self(children, number) = self;
                let mut state = children.lock();
                if state.live == 0 {
                    return Poll::Ready(());
                }
                let number = *number.get_or_insert(state.next);
                state.next = state.next.max(number + 1);
                let before = match state.waiters.get_mut(&number) {
                    Some(known) if known.will_wake(cx.waker()) => None,
                    Some(known) => Some(mem::replace(known, cx.waker().clone())),
                    None => state.waiters.insert(number, cx.waker().clone()),
                };
                // Dropped without the lock: a task may go with its last waker, and blocks with it.
                drop(state);
                drop(before);
                Poll::Pending
            }
        }
        let mut waiting = Waiting(Arc::clone(self), None);
        poll_fn(move |cx| waiting.poll(cx))
    }

    /// Lets what encloses the running code wait for these children in place of their own level.
    pub(crate) fn pass_on(&self) {
        if self.is_idle() {
            return;
        }
        let heir = who_waits_for(self.of).map(ticket_of);
        let mut state = self.lock();
        if state.live > 0 {
            state.heir = heir;
        }
    }

    /// The level that waits for these children: their own, or that to which they were passed on.
    pub(super) fn waiting(&self) -> Option<Place> {
        let heir = self.lock().heir.as_ref().map(|heir| Arc::clone(&heir.0));
        match heir {
            Some(heir) => heir.waiting(),
            None => self.of,
        }
    }
}

/// Keeps the level that gave it out from exiting.
pub(crate) struct Ticket(Arc<Children>);

impl Ticket {
    pub(super) fn children(&self) -> &Arc<Children> {
        &self.0
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.live -= 1;
        if state.live == 0 {
            let (waiters, heir) = (mem::take(&mut state.waiters), state.heir.take());
            drop(state);
            drop(heir);
            super::drain::wake(waiters.into_values());
        }
    }
}

fn ticket_of(slot: &'static Slot) -> Ticket {
    slot.change(|cold| {
        cold.children
            .get_or_insert_with(|| Children::new(slot.place()))
            .ticket()
    })
}

/// What is to wait for a level that is handed over, or for what it hands on: the level whose body runs. But when that is
/// one that the other is to wait for in turn, it is what the other was in before.
fn who_waits_for(other: Option<Place>) -> Option<&'static Slot> {
    let body = current(Current::body)?;
    let waits_for = |slot: &Slot| slot.seldom(|cold| cold.waited_for_in.clone())?.waiting();
    let first = waits_for(body);
    let mut waiting = std::iter::successors(first, |place| waits_for(place.open()?));
    if waiting.any(|place| Some(place) == other) {
        other?.open()?.under()?.open()
    } else {
        Some(body)
    }
}

/// A ticket for clean-up that is handed over by a level. Another runtime may be driven inside of the body: what runs on
/// that is not waited for, and the task alone does not tell.
pub(super) fn ticket(by: Place, runtime: u64) -> Option<Ticket> {
    let slot = who_waits_for(Some(by))?;
    let is_here = runtime == 0 || slot.runtime.load(Relaxed) == runtime;
    is_here.then(|| ticket_of(slot))
}
