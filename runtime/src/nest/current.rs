//! Where the running code is: the one thread-local of the nest.

#![allow(unsafe_code)]

use std::cell::Cell;

use super::slot::{Free, Slot};
use super::{AtYield, NO_CONTEXT, Waiting};
use crate::executor::Task;
use crate::sync::thread_local;

/// Where the running code is.
pub(super) struct Current {
    /// The level whose body is polled or dropped.
    pub(super) level: Cell<Option<&'static Slot>>,
    /// The level whose exit is polled, inside of that body.
    pub(super) exiting: Cell<Option<&'static Slot>>,
    /// The task that does so.
    pub(super) task: Cell<Task>,
    /// The address of the context with which it does: as long as the body is polled, no other one is there.
    pub(super) context: Cell<usize>,
    /// Whether what is polled is a generator at its yield.
    pub(super) at_yield: Cell<AtYield>,
    /// The block that waits for the task.
    pub(super) waited_by: Cell<Waiting>,
    /// When a level of the root that is polled first waited.
    pub(super) now: Cell<u64>,
    /// A level inside that waits has taken note of the runtime.
    pub(super) is_noted: Cell<bool>,
    pub(super) numbers: Cell<usize>,
    pub(super) free: Free,
}

impl Current {
    const fn new() -> Self {
        Self {
            level: Cell::new(None),
            exiting: Cell::new(None),
            task: Cell::new(Task::UNKNOWN),
            context: Cell::new(NO_CONTEXT),
            at_yield: Cell::new(AtYield::Not),
            waited_by: Cell::new([None; 2]),
            now: Cell::new(0),
            is_noted: Cell::new(false),
            numbers: Cell::new(0),
            free: Free::new(),
        }
    }
}

thread_local! {
    // Without a destructor, so that it is there as long as the thread is.
    static CURRENT: Current = const { Current::new() };
}

/// The one of this thread. It is looked at in place: to hand in what is to be done with it would cost more than to do it.
#[inline(always)] // It is what every level does several times in a poll.
#[allow(clippy::inline_always)]
fn here<'a>() -> &'a Current {
    // With the standard library's, this cannot fail; the checker's are destroyed like any other.
    let here = CURRENT.try_with(std::ptr::from_ref);
    let here = here.unwrap_or_else(|_| Box::leak(Box::new(Current::new())));
    // SAFETY: it has no destructor, and is there as long as the thread is. It cannot be sent to another one, and nobody in
    // this module's parent keeps it beyond the call in which it was asked for.
    unsafe { &*here }
}

#[inline(always)] // It is what every level does several times in a poll.
#[allow(clippy::inline_always)]
pub(super) fn current<T>(look: impl FnOnce(&Current) -> T) -> T {
    look(here())
}
