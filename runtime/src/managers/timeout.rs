//! A deadline on a block.

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use super::MovedOn;
use crate::{AsyncContextManager, Cause, Interruption, Verdict};

/// Interrupts the block when it takes longer, and raises [`Elapsed`] (rule CAN-6).
///
/// Python's `asyncio.timeout`. The time starts with the enter, and covers the exits of the blocks inside. Interruption is
/// cooperative: the blocks inside exit in place, told [`Cause::Cancelled`], innermost first, before this one ends. Of
/// nested deadlines that pass together, the outermost raises. When the body ends in the same poll in which the deadline
/// passes, the body wins.
///
/// An exit that is running is finished, also in the middle of a body, and nothing goes on after it. Work in the body beside a
/// block that is still exiting goes on until that has exited, and opens nothing any more. A block that the body holds, and does
/// not poll any more, is dropped with the body, and exits on the runtime. Where something outside could still wake the body,
/// that is waited for for 25 ms before, because the body may poll the block again.
///
/// ```
/// use async_with::{Elapsed, async_with, timeout};
/// use std::time::Duration;
///
/// async fn fetch() -> Result<String, Elapsed> {
///     async_with! { timeout(Duration::from_millis(5)) as deadline => {
///         if false {
///             deadline.reschedule(None);
///         }
///         Ok(std::future::pending().await)
///     }}
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// assert!(fetch().await.is_err());
/// # }
/// ```
///
/// # Panics
///
/// The block panics outside of a tokio runtime with timers.
#[must_use = "a manager does nothing unless it is entered"]
pub fn timeout(duration: Duration) -> Timeout {
    Timeout::new(None, Some(duration))
}

/// Like [`timeout`], at a point in time.
///
/// # Panics
///
/// As [`timeout`].
#[must_use = "a manager does nothing unless it is entered"]
pub fn timeout_at(deadline: Instant) -> Timeout {
    Timeout::new(Some(deadline), None)
}

/// Interrupts the block when it takes longer, and goes on after it: trio's `move_on_after`. It can stand in a function
/// that returns anything. See [`timeout`].
///
/// ```
/// use async_with::{async_with, move_on_after};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let patience = move_on_after(Duration::from_millis(5));
/// let deadline = patience.deadline();
/// async_with! { patience => { std::future::pending::<()>().await } }
/// assert!(deadline.expired());
/// # }
/// ```
///
/// # Panics
///
/// As [`timeout`].
#[must_use = "a manager does nothing unless it is entered"]
pub fn move_on_after(duration: Duration) -> Timeout<Verdict> {
    Timeout::new(None, Some(duration))
}

/// Like [`move_on_after`], at a point in time.
///
/// # Panics
///
/// As [`timeout`].
#[must_use = "a manager does nothing unless it is entered"]
pub fn move_on_at(deadline: Instant) -> Timeout<Verdict> {
    Timeout::new(Some(deadline), None)
}

/// The manager of [`timeout`], or, with [`Verdict`], of [`move_on_after`].
pub struct Timeout<V = ()> {
    deadline: Deadline,
    /// Counted from the enter.
    duration: Option<Duration>,
    exit: PhantomData<fn() -> V>,
}

impl<V> Timeout<V> {
    fn new(deadline: Option<Instant>, duration: Option<Duration>) -> Self {
        let shared = Shared {
            deadline,
            expired: false,
            waker: None,
        };
        Self {
            deadline: Deadline(Arc::new(Mutex::new(shared))),
            duration,
            exit: PhantomData,
        }
    }

    /// A handle on the deadline, for use outside of the block.
    #[must_use]
    pub fn deadline(&self) -> Deadline {
        self.deadline.clone()
    }

    fn start(&mut self) -> Deadline {
        if let Some(duration) = self.duration.take() {
            // Too far away to be named is never.
            self.deadline
                .reschedule(Instant::now().checked_add(duration));
        }
        self.deadline.clone()
    }

    fn expiry(&self) -> Expiry {
        Expiry {
            deadline: self.deadline.clone(),
            sleep: None,
        }
    }
}

/// The deadline of a block: the resource of [`timeout`].
#[derive(Clone, Debug)]
pub struct Deadline(Arc<Mutex<Shared>>);

#[derive(Debug)]
struct Shared {
    deadline: Option<Instant>,
    expired: bool,
    waker: Option<Waker>,
}

impl Deadline {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves the deadline, or takes it away. It has no effect once the block was interrupted.
    pub fn reschedule(&self, deadline: Option<Instant>) {
        let waker = {
            let mut shared = self.lock();
            shared.deadline = deadline;
            shared.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    /// When the block is going to be interrupted, if it is. Before the enter, a duration is not a deadline yet.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.lock().deadline
    }

    /// Whether the block was interrupted by this deadline.
    #[must_use]
    pub fn expired(&self) -> bool {
        self.lock().expired
    }
}

/// The deadline of a [`timeout`] has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Elapsed;

impl Display for Elapsed {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("deadline has elapsed")
    }
}

impl Error for Elapsed {}

impl From<Elapsed> for std::io::Error {
    fn from(elapsed: Elapsed) -> Self {
        Self::new(std::io::ErrorKind::TimedOut, elapsed)
    }
}

pin_project! {
    /// Resolves when the deadline passes.
    struct Expiry {
        deadline: Deadline,
        #[pin]
        sleep: Option<Sleep>,
    }
}

impl Future for Expiry {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let deadline = {
            let mut shared = this.deadline.lock();
            shared.waker = Some(cx.waker().clone());
            shared.deadline
        };
        let Some(deadline) = deadline else {
            this.sleep.set(None);
            return Poll::Pending;
        };
        match this.sleep.as_mut().as_pin_mut() {
            Some(sleep) if sleep.deadline() == deadline => {}
            Some(sleep) => sleep.reset(deadline),
            None => this.sleep.set(Some(sleep_until(deadline))),
        }
        if let Some(sleep) = this.sleep.as_pin_mut() {
            ready!(sleep.poll(cx));
        }
        this.deadline.lock().expired = true;
        Poll::Ready(())
    }
}

impl AsyncContextManager for Timeout {
    type Resource = Deadline;
    type Error = Elapsed;
    type Exit = ();

    async fn enter(&mut self) -> Result<Deadline, Elapsed> {
        Ok(self.start())
    }

    async fn exit(self, _: Deadline, _: Cause) -> Result<(), Elapsed> {
        Ok(())
    }

    fn interrupt(&self, _: &Deadline) -> impl Interruption<Elapsed> + Send + use<> {
        let expiry = self.expiry();
        async move {
            expiry.await;
            Elapsed
        }
    }
}

impl AsyncContextManager for Timeout<Verdict> {
    type Resource = Deadline;
    type Error = MovedOn;
    type Exit = Verdict;

    async fn enter(&mut self) -> Result<Deadline, MovedOn> {
        Ok(self.start())
    }

    async fn exit(self, _: Deadline, cause: Cause) -> Result<Verdict, MovedOn> {
        Ok(super::suppress_cancellation(cause))
    }

    fn interrupt(&self, _: &Deadline) -> impl Interruption<MovedOn> + Send + use<> {
        let expiry = self.expiry();
        async move {
            expiry.await;
            MovedOn(())
        }
    }
}
