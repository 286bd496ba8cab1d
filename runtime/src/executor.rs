//! What is known of the executor: the runtime and the task of the running code. Only tokio tells.

#[cfg(feature = "tokio")]
use tokio::{runtime::Handle, task};

#[cfg(not(feature = "tokio"))]
use absent::{Handle, task};

use std::future::Future;
use std::hash::{Hash, Hasher};
#[cfg(feature = "tokio")]
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

/// What is run on its own.
pub(crate) type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Polls outside of the budget that the executor gives a task before it has to let others run: what has to be asked, however
/// busy the body was.
#[cfg(feature = "tokio")]
pub(crate) fn poll_unconstrained<T>(
    cx: &mut Context<'_>,
    poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    use std::future::poll_fn;
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

    /// What tells it from others; 0 is unknown.
    pub(crate) fn id(&self) -> u64 {
        self.0.as_ref().map_or(0, |handle| number(&handle.id()))
    }

    pub(crate) fn is_known(&self) -> bool {
        self.0.is_some()
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

/// The task that polls; 0 where that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Task(pub(crate) u64);

impl Task {
    pub(crate) const UNKNOWN: Self = Self(0);

    #[inline]
    pub(crate) fn current() -> Self {
        Self(task::try_id().map_or(0, |id| number(&id)))
    }
}

/// The number in an id of tokio's, which shows it to a hasher only.
fn number(id: &impl Hash) -> u64 {
    struct Number(u64);

    impl Hasher for Number {
        fn write(&mut self, bytes: &[u8]) {
            for byte in bytes {
                self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
            }
        }

        fn write_u64(&mut self, number: u64) {
            self.0 = number;
        }

        fn finish(&self) -> u64 {
            self.0
        }
    }

    let mut number = Number(0);
    id.hash(&mut number);
    number.finish()
}

/// How long it is waited for somebody who may never come.
pub(crate) struct Patience(Timer);

#[cfg(feature = "tokio")]
type Timer = Pin<Box<tokio::time::Sleep>>;
#[cfg(not(feature = "tokio"))]
type Timer = std::convert::Infallible;

impl Patience {
    /// Where there are timers.
    #[cfg(feature = "tokio")]
    pub(crate) fn new() -> Option<Self> {
        const PATIENCE: std::time::Duration = std::time::Duration::from_millis(25);

        let timer = crate::limits::timer(tokio::time::Instant::now() + PATIENCE)?;
        Some(Self(Box::pin(timer)))
    }

    #[cfg(not(feature = "tokio"))]
    pub(crate) fn new() -> Option<Self> {
        None
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let poll = || poll_unconstrained(cx, |cx| self.0.as_mut().poll(cx));
        // Its runtime may have been shut down.
        catch_unwind(AssertUnwindSafe(poll)).unwrap_or(Poll::Ready(()))
    }

    #[cfg(not(feature = "tokio"))]
    pub(crate) fn poll(&mut self, _: &mut Context<'_>) -> Poll<()> {
        match self.0 {}
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

    #[derive(Hash)]
    pub(crate) enum Id {}

    pub(super) mod task {
        #[derive(Hash)]
        pub(in super::super) enum Id {}

        pub(in super::super) fn try_id() -> Option<Id> {
            None
        }
    }
}
