//! What is known of the executor: the runtime and the task of the running code. Only tokio tells.

#[cfg(feature = "tokio")]
use tokio::{
    runtime::{Handle, Id},
    task,
};

#[cfg(not(feature = "tokio"))]
use absent::{Handle, Id, task};

use std::task::{Context, Poll};

use crate::detach::Job;

/// Polls outside of the budget that the executor gives a task before it has to let others run: what has to be asked, however
/// busy the body was.
#[cfg(feature = "tokio")]
pub(crate) fn poll_unconstrained<T>(
    cx: &mut Context<'_>,
    poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    use std::future::{Future, poll_fn};
    use std::pin::pin;

    pin!(task::unconstrained(poll_fn(poll))).poll(cx)
}

#[cfg(not(feature = "tokio"))]
pub(crate) fn poll_unconstrained<T>(
    cx: &mut Context<'_>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    poll(cx)
}

/// The runtime that an exit belongs to, if it is known.
#[derive(Clone, Default)]
pub(crate) struct Runtime(Option<Handle>);

impl Runtime {
    pub(crate) fn current() -> Self {
        Self(Handle::try_current().ok())
    }

    pub(crate) fn id(&self) -> Option<Id> {
        self.0.as_ref().map(Handle::id)
    }

    pub(crate) fn is_known(&self) -> bool {
        self.0.is_some()
    }

    /// This one, or else another one.
    pub(crate) fn or_else(self, other: impl FnOnce() -> Self) -> Self {
        if self.is_known() { self } else { other() }
    }

    /// Spawns the job, or gives it back where there is nothing to spawn it on.
    pub(crate) fn spawn(&self, job: Job) -> Option<Job> {
        match &self.0 {
            Some(runtime) => {
                runtime.spawn(job);
                None
            }
            None => Some(job),
        }
    }
}

impl PartialEq for Runtime {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

/// The task that polls, if it is known.
#[derive(Clone, Copy, Default, PartialEq)]
pub(crate) struct Task(Option<task::Id>);

impl Task {
    pub(crate) const UNKNOWN: Self = Self(None);

    pub(crate) fn current() -> Self {
        Self(task::try_id())
    }
}

/// What stands for tokio where it is left out: the same names, of which there is no value.
#[cfg(not(feature = "tokio"))]
mod absent {
    use super::Job;

    #[derive(Clone)]
    pub(super) enum Handle {}

    impl Handle {
        pub(super) fn try_current() -> Result<Self, ()> {
            Err(())
        }

        pub(super) fn id(&self) -> Id {
            match *self {}
        }

        pub(super) fn spawn(&self, _: Job) {
            match *self {}
        }
    }

    #[derive(PartialEq)]
    pub(crate) enum Id {}

    pub(super) mod task {
        #[derive(Clone, Copy, PartialEq)]
        pub(in super::super) enum Id {}

        pub(in super::super) fn try_id() -> Option<Id> {
            None
        }
    }
}
