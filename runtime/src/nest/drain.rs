//! Waiting until nothing is owed, and the list of what is (rule CAN-5).

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::PoisonError;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::task::{Poll, Waker};
use std::time::Instant;

use super::slot::{self, DETACHED, HIDDEN, PART, Search, Seen};
use super::{Place, current, enclosing, instant};
use crate::executor::Runtime;
use crate::sync::{AtomicUsize, Mutex, shared};

shared! {
    /// Those who wait for the table to change. The count is read whenever a level ends; the list is locked only if there
    /// are any.
    static WAITING: AtomicUsize = AtomicUsize::new(0);
    static WAITERS: Mutex<Vec<(usize, Waker)>> = Mutex::new(Vec::new());
}

/// Lets those who wait for the table look again.
#[inline]
pub(super) fn wake_waiting() {
    if WAITING.load(SeqCst) > 0 {
        wake_all();
    }
}

#[cold]
#[inline(never)]
fn wake_all() {
    let waiters: Vec<_> = WAITERS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .drain(..)
        .collect();
    wake(waiters.into_iter().map(|(_, waker)| waker));
}

/// Wakes all of them. One that panics is the executor's; the others are to be awake all the same.
pub(super) fn wake(wakers: impl Iterator<Item = Waker>) {
    for waker in wakers {
        let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
    }
}

/// An exit that is owed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PendingExit {
    /// The manager's [name](crate::AsyncContextManager::name), or the name given to [`detach`](crate::detach()).
    pub manager: &'static str,
    /// Since when the block is open, or the exit detached, to the accuracy of one poll: a block that has not waited yet
    /// is open since now.
    pub since: Instant,
    /// Whether the exit was detached from its block; if not, the block is still open.
    pub detached: bool,
}

/// The exits that are owed on a runtime, but for those of these levels.
fn owed(runtime: u64, except: &[Place]) -> Vec<PendingExit> {
    // A part is that of the level which it was entered in.
    let is_excepted = |seen: &Seen| {
        let whole = seen.under.filter(|_| seen.flags & PART != 0);
        except.contains(&seen.place) || whole.is_some_and(|whole| except.contains(&whole))
    };
    let is_owed = |seen: &Seen| counts(seen, runtime) && !is_excepted(seen);
    let mut found: Vec<_> = slot::all().into_iter().filter(is_owed).collect();
    found.sort_by_key(|seen| (seen.since.wrapping_sub(1), seen.number));
    let pending = found.into_iter().map(|seen| PendingExit {
        manager: seen.name,
        since: instant(seen.age()),
        detached: seen.flags & DETACHED != 0,
    });
    pending.collect()
}

fn counts(seen: &Seen, runtime: u64) -> bool {
    seen.flags & HIDDEN == 0 && seen.runtime == runtime
}

/// What owes a part is waited for.
fn is_waited_for(seen: &Seen, runtime: u64) -> bool {
    counts(seen, runtime) && seen.flags & PART == 0
}

/// What must not be waited for in the running code, because it waits for that: the levels around it, those around the
/// clean-up that it is a part of, and those around the task that it is in.
fn around() -> Vec<Place> {
    let mut found = Vec::new();
    let mut ahead: Vec<Place> = enclosing().into_iter().collect();
    ahead.extend(
        current(|current| current.waited_by.get())
            .into_iter()
            .flatten(),
    );
    while let Some(place) = ahead.pop() {
        let Some(slot) = place.open().filter(|_| !found.contains(&place)) else {
            continue;
        };
        found.push(place);
        ahead.extend(slot.outward());
        let waited_for_in = slot.seldom(|cold| cold.waited_for_in.clone());
        ahead.extend(waited_for_in.and_then(|children| children.waiting()));
    }
    found
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
    owed(Runtime::current().id(), &[])
}

/// How often a look is repeated, in which not all was seen at one moment, before others are let in.
const TRIES: usize = 16;

/// One who waits in [`drain`].
struct Waiting {
    number: usize,
    runtime: u64,
    /// What it does not wait for, and is marked so: who is in the same case need not wait for it either.
    around: Vec<Place>,
    search: Search,
}

impl Waiting {
    fn new() -> Self {
        shared! { static NEXT: AtomicUsize = AtomicUsize::new(0); }
        WAITING.fetch_add(1, SeqCst);
        Self {
            number: NEXT.fetch_add(1, Relaxed),
            runtime: Runtime::current().id(),
            around: Vec::new(),
            search: Search::default(),
        }
    }

    fn set(&self, waker: Option<&Waker>) {
        let mut waiters = WAITERS.lock().unwrap_or_else(PoisonError::into_inner);
        let before: Vec<_> = waiters
            .extract_if(.., |(number, _)| *number == self.number)
            .collect();
        waiters.extend(waker.map(|waker| (self.number, waker.clone())));
        // Dropped without the lock: a task may go with its last waker, and blocks with it.
        drop(waiters);
        drop(before);
    }

    /// Takes note of where this is now.
    fn follow(&mut self) {
        let around = around();
        if around == self.around {
            return;
        }
        self.unmark();
        for place in &around {
            if let Some(slot) = place.open() {
                slot.drains.fetch_add(1, SeqCst);
            }
        }
        self.around = around;
        wake_waiting();
    }

    fn unmark(&mut self) {
        for place in self.around.drain(..) {
            if let Some(slot) = place.open() {
                slot.drains.fetch_sub(1, SeqCst);
            }
        }
    }

    /// `None` when it is not known, because so much else goes on.
    fn is_owed(&mut self) -> Option<bool> {
        let Self {
            runtime,
            around,
            search,
            ..
        } = self;
        // Who is in no block is waited for by none that could wait for this.
        let gives_way = |seen: &Seen| !around.is_empty() && seen.drains > 0;
        let is_owed = |seen: &Seen| {
            is_waited_for(seen, *runtime) && !around.contains(&seen.place) && !gives_way(seen)
        };
        (0..TRIES).find_map(|_| search.finds(is_owed))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, SeqCst);
        self.set(None);
        self.unmark();
    }
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
/// It does not wait for what waits for it: the blocks around the caller, those that wait for the clean-up which the caller
/// is a part of, the block of the task group that the caller is a task of, and, called inside of a block, those blocks
/// whose bodies or exits wait in `drain` themselves.
///
/// What no block owes is counted once it is detached, and not before: the exits of an
/// [`AsyncExitStack`](crate::AsyncExitStack) outside of a block, since the caller itself may hold the stack and would wait
/// for itself; and an enter under way in [`finish_enter`](crate::AsyncContextManagerExt::finish_enter). The runtime drops
/// an aborted task a little later: join a task that may be in one of these before this is called.
#[cfg_attr(
    feature = "tokio",
    doc = "[`drain_timeout`] waits for so long at most."
)]
///
/// # Cancel safety
///
/// It can be dropped and called again; nothing is lost.
pub async fn drain() {
    let mut waiting = Waiting::new();
    poll_fn(|cx| {
        // First the waker, then the look: a level that ends in between wakes.
        waiting.set(Some(cx.waker()));
        waiting.follow();
        match waiting.is_owed() {
            Some(false) => return Poll::Ready(()),
            Some(true) => {}
            None => cx.waker().wake_by_ref(),
        }
        Poll::Pending
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
        Err(_) => Err(owed(Runtime::current().id(), &around())),
    }
}
