//! Which block encloses the code that is running: the frame of a block, and the clean-up it owes a wait for.
//!
//! A frame lies in a thread-local while the body of its block is polled or dropped. A block that is dropped meanwhile
//! finds its enclosing block there, and hands its exit over (rule CAN-4). Frames are moved in and out, never shared, so
//! a block that stays in one piece pays for two moves per poll and for no allocation.

use std::cell::Cell;
use std::future::poll_fn;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

thread_local! {
    static CURRENT: Cell<Option<Frame>> = const { Cell::new(None) };
}

/// What a block keeps for the blocks inside it.
#[derive(Default)]
pub(crate) struct Frame {
    children: Option<Arc<Children>>,
    task: Task,
}

/// The task that polls, as far as the runtime can tell.
#[cfg(feature = "tokio")]
type Task = Option<tokio::task::Id>;
#[cfg(not(feature = "tokio"))]
type Task = ();

fn current_task() -> Task {
    #[cfg(feature = "tokio")]
    return tokio::task::try_id();
}

impl Frame {
    /// Makes this the current frame until the guard is dropped, also when that is during a panic.
    pub(crate) fn enter(&mut self) -> Entered<'_> {
        self.task = current_task();
        let inner = mem::take(self);
        // A thread that is being torn down has no current frame: whatever is dropped there is a root.
        let outer = CURRENT
            .try_with(|current| current.replace(Some(inner)))
            .unwrap_or_default();
        Entered { frame: self, outer }
    }

    /// The clean-up that was detached inside this block, if there was any.
    pub(crate) fn take_children(&mut self) -> Option<Arc<Children>> {
        self.children.take()
    }
}

/// A frame that is current; undone on drop.
pub(crate) struct Entered<'a> {
    frame: &'a mut Frame,
    outer: Option<Frame>,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let outer = self.outer.take();
        if let Ok(Some(inner)) = CURRENT.try_with(|current| current.replace(outer)) {
            *self.frame = inner;
        }
    }
}

/// A ticket of the block that encloses the running code in the same task, if there is one.
pub(crate) fn ticket() -> Option<Ticket> {
    let with = |current: &Cell<Option<Frame>>| {
        let mut frame = current.take();
        let ticket = match &mut frame {
            Some(frame) if frame.task == current_task() => {
                Some(frame.children.get_or_insert_default().ticket())
            }
            _ => None,
        };
        current.set(frame);
        ticket
    };
    CURRENT.try_with(with).ok().flatten()
}

/// Clean-up that runs on its own, and that a block waits for before its own exit.
#[derive(Default)]
pub struct Children(Mutex<State>);

#[derive(Default)]
struct State {
    live: usize,
    waiter: Option<Waker>,
    /// The set that these children were passed on to, when their own block could not wait for them.
    heir: Option<Ticket>,
}

impl Children {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ticket(self: &Arc<Self>) -> Ticket {
        self.lock().live += 1;
        Ticket(Arc::clone(self))
    }

    /// Waits until no ticket is left.
    pub(crate) async fn wait(&self) {
        poll_fn(|cx| {
            let mut state = self.lock();
            if state.live == 0 {
                return Poll::Ready(());
            }
            state.waiter = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Lets the enclosing block wait for these children in place of their own.
    pub(crate) fn pass_on(&self) {
        let heir = ticket();
        let mut state = self.lock();
        if state.live > 0 {
            state.heir = heir;
        }
    }
}

/// Keeps the block that gave it out from exiting.
pub(crate) struct Ticket(Arc<Children>);

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.live -= 1;
        if state.live == 0 {
            let (waiter, heir) = (state.waiter.take(), state.heir.take());
            drop(state);
            drop(heir);
            if let Some(waiter) = waiter {
                waiter.wake();
            }
        }
    }
}
