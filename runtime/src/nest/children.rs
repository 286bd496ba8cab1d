//! Clean-up that runs on its own, and that a level waits for before its own exit.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
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
    /// The numbers of the tickets, in the order in which they were given out.
    live: BTreeSet<u64>,
    next_ticket: u64,
    /// One per wait that is under way, and for which tickets it waits.
    waiters: BTreeMap<u64, (Range<u64>, Waker)>,
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
        let mut state = self.lock();
        let number = state.next_ticket;
        state.next_ticket += 1;
        state.live.insert(number);
        Ticket(Arc::clone(self), number)
    }

    /// Whether no ticket is left.
    pub(crate) fn is_idle(&self) -> bool {
        self.lock().live.is_empty()
    }

    /// Waits until no ticket is left.
    pub(crate) fn wait(self: &Arc<Self>) -> Wait {
        self.wait_for(0..u64::MAX)
    }

    /// Waits until none of these tickets is left.
    fn wait_for(self: &Arc<Self>, tickets: Range<u64>) -> Wait {
        Wait {
            children: Arc::clone(self),
            tickets,
            number: None,
        }
    }

    /// Lets what encloses the running code wait for these children in place of their own level.
    pub(crate) fn pass_on(&self) {
        if self.is_idle() {
            return;
        }
        let heir = who_waits_for(self.of).map(ticket_of);
        let mut state = self.lock();
        if !state.live.is_empty() {
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

/// Waits for clean-up.
pub(crate) struct Wait {
    children: Arc<Children>,
    tickets: Range<u64>,
    number: Option<u64>,
}

impl Future for Wait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self {
            children,
            tickets,
            number,
        } = &mut *self;
        let mut state = children.lock();
        if state.live.range(tickets.clone()).next().is_none() {
            return Poll::Ready(());
        }
        let number = *number.get_or_insert(state.next);
        state.next = state.next.max(number + 1);
        let known = state.waiters.get(&number);
        let before = match known {
            Some((_, known)) if known.will_wake(cx.waker()) => None,
            _ => {
                let waiter = (tickets.clone(), cx.waker().clone());
                state.waiters.insert(number, waiter)
            }
        };
        // Dropped without the lock: a task may go with its last waker, and blocks with it.
        drop(state);
        drop(before);
        Poll::Pending
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let waiter = self
            .number
            .and_then(|number| self.children.lock().waiters.remove(&number));
        drop(waiter);
    }
}

/// Keeps the level that gave it out from exiting.
pub(crate) struct Ticket(Arc<Children>, u64);

impl Ticket {
    pub(super) fn children(&self) -> &Arc<Children> {
        &self.0
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.live.remove(&self.1);
        let State {
            live,
            waiters,
            heir,
            ..
        } = &mut *state;
        let is_over = |tickets: &Range<u64>| live.range(tickets.clone()).next().is_none();
        let mut over = Vec::new();
        waiters.retain(|_, (tickets, waker)| {
            let waits = !is_over(tickets);
            if !waits {
                over.push(waker.clone());
            }
            waits
        });
        let heir = heir.take_if(|_| live.is_empty());
        drop(state);
        drop(heir);
        super::drain::wake(over.into_iter());
    }
}

/// A moment in a body: what is detached from then on can be told from what was before.
#[derive(Clone, Copy)]
pub(crate) struct Moment(Option<(Place, u64)>);

impl Moment {
    pub(crate) fn now() -> Self {
        let now = current(Current::body).map(|slot| {
            let next = slot.seldom(|cold| Some(cold.children.as_ref()?.lock().next_ticket));
            (slot.place(), next.unwrap_or_default())
        });
        Self(now)
    }

    /// Waits for what was detached since in the body that is running, if that was anything: in one of a block that was opened
    /// since, all.
    pub(crate) fn wait_since(self) -> Option<Wait> {
        let slot = current(Current::body)?;
        let children = slot.seldom(|cold| cold.children.clone())?;
        let first = match self.0 {
            Some((place, first)) if place == slot.place() => first,
            _ => 0,
        };
        let tickets = {
            let state = children.lock();
            let tickets = first..state.next_ticket;
            let is_over = tickets.is_empty() || state.live.range(tickets.clone()).next().is_none();
            (!is_over).then_some(tickets)
        };
        tickets.map(|tickets| children.wait_for(tickets))
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
