//! Enters that are tried again.

use std::time::Duration;

use crate::{AsyncContextManager, Cause, Interruption, Raised, ScopedAsyncContextManager};

/// Tries again when the enter fails, with a new manager each time and with a growing delay in between.
///
/// What was entered is not tried again: neither the body nor the exit is repeated. The first manager is made at once, and
/// its [name](crate::AsyncContextManager::name) stands for all of them. Works for both kinds of manager.
///
/// ```
/// use async_with::{Backoff, async_with, retry};
/// use std::time::Duration;
/// # use async_with::{AsyncContextManager, Cause};
/// # use std::io;
/// # use std::sync::atomic::{AtomicU32, Ordering};
/// # static TRIES: AtomicU32 = AtomicU32::new(0);
/// # struct Connect;
/// # impl AsyncContextManager for Connect {
/// #     type Resource = u32;
/// #     type Error = io::Error;
/// #     type Exit = ();
/// #     async fn enter(&mut self) -> io::Result<u32> {
/// #         match TRIES.fetch_add(1, Ordering::Relaxed) {
/// #             0 | 1 => Err(io::ErrorKind::ConnectionRefused.into()),
/// #             tries => Ok(tries),
/// #         }
/// #     }
/// #     async fn exit(self, _: u32, _: Cause) -> io::Result<()> { Ok(()) }
/// # }
/// # fn connect() -> Connect { Connect }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> io::Result<()> {
/// let backoff = Backoff::attempts(5)
///     .initial_delay(Duration::from_millis(1))
///     .factor(3)
///     .max_delay(Duration::from_secs(1));
/// async_with! { retry(backoff, connect) as connection => {
///     assert_eq!(*connection, 2);
/// }}
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// What the last attempt failed with. The errors of the attempts before it count as suppressed by this manager, and are
/// not reported.
///
/// # Panics
///
/// A panic in an enter is not caught: there is no further attempt. Outside of a tokio runtime with timers, the first
/// delay panics.
///
/// # Cancel safety
///
/// That of the manager's own enter and exit. Dropped during a delay, nothing is owed.
#[must_use = "a manager does nothing unless it is entered"]
pub fn retry<M, F: FnMut() -> M>(backoff: Backoff, mut make: F) -> Retry<M, F> {
    Retry {
        backoff,
        manager: Some(make()),
        make,
    }
}

/// How often [`retry`] tries, and how long it waits in between: first the initial delay, 100 ms unless another one is
/// set, and then each time longer by a factor, 2, until there is a longest delay, 30 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Backoff {
    attempts: u32,
    delay: Duration,
    factor: u32,
    max_delay: Duration,
}

impl Backoff {
    /// Tries so many times in all; once, for zero.
    pub const fn attempts(attempts: u32) -> Self {
        Self {
            attempts,
            delay: Duration::from_millis(100),
            factor: 2,
            max_delay: Duration::from_secs(30),
        }
    }

    /// The delay after the first attempt.
    pub const fn initial_delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// By how much each delay is longer than the one before.
    pub const fn factor(mut self, factor: u32) -> Self {
        self.factor = factor;
        self
    }

    /// The longest delay.
    pub const fn max_delay(mut self, delay: Duration) -> Self {
        self.max_delay = delay;
        self
    }

    /// The delay before the next attempt, if there is one.
    fn next_delay(&mut self) -> Option<Duration> {
        self.attempts = self.attempts.checked_sub(1).filter(|&left| left > 0)?;
        let delay = self.delay.min(self.max_delay);
        self.delay = delay.saturating_mul(self.factor);
        Some(delay)
    }
}

/// The manager of [`retry`].
pub struct Retry<M, F> {
    backoff: Backoff,
    make: F,
    /// The one that is to be entered, or was.
    manager: Option<M>,
}

impl<M, F> Retry<M, F> {
    const ENTERED: &str = "it is entered before it is used";
}

macro_rules! retry_by {
    ($Protocol:ident, [$($bound:tt)*], [$($send:tt)*], $($abandon:tt)*) => {
        impl<M: $Protocol, F: FnMut() -> M $($bound)*> $Protocol for Retry<M, F> {
            type Resource = M::Resource;
            type Error = M::Error;
            type Exit = M::Exit;

            async fn enter(&mut self) -> Result<M::Resource, M::Error> {
                loop {
                    let manager = self.manager.get_or_insert_with(&mut self.make);
                    let error = match manager.enter().await {
                        Ok(resource) => return Ok(resource),
                        Err(error) => error,
                    };
                    self.manager = None;
                    match self.backoff.next_delay() {
                        None => return Err(error),
                        Some(delay) => {
                            drop(error);
                            tokio::time::sleep(delay).await;
                        }
                    }
                }
            }

            async fn exit(self, resource: M::Resource, cause: Cause) -> Result<M::Exit, M::Error> {
                self.manager.expect(Self::ENTERED).exit(resource, cause).await
            }

            fn inspect(&mut self, resource: &mut M::Resource, raised: Raised<'_>) {
                self.manager.as_mut().expect(Self::ENTERED).inspect(resource, raised);
            }

            fn interrupt(
                &self,
                resource: &M::Resource,
            ) -> impl Interruption<M::Error> $($send)* + use<M, F> {
                self.manager.as_ref().expect(Self::ENTERED).interrupt(resource)
            }

            fn around_poll(&self) -> impl Sized {
                self.manager.as_ref().map(M::around_poll)
            }

            fn name(&self) -> &'static str {
                self.manager.as_ref().map_or_else(std::any::type_name::<Self>, M::name)
            }

            $($abandon)*
        }
    };
}

retry_by!(AsyncContextManager, [+ Send + 'static], [+ Send],);
retry_by!(
    ScopedAsyncContextManager,
    [],
    [],
    fn abandon(self, resource: M::Resource) {
        self.manager.expect(Self::ENTERED).abandon(resource);
    }
);
