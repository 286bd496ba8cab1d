//! Exits that take long: reported while they run, given up after a deadline.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::{Cause, ExitVerdict};

#[cfg(feature = "tokio")]
pub(crate) use timed::Limits;
#[cfg(feature = "tokio")]
pub use timed::{set_exit_deadline, set_slow_exit};

/// Runs an exit under the limits of the program.
#[cfg(feature = "tokio")]
pub(crate) fn watch<V: ExitVerdict, E, F: Future<Output = Result<V, E>>>(
    manager: impl FnOnce() -> &'static str,
    cause: Cause,
    exit: F,
) -> impl Future<Output = Result<V, E>> {
    match Limits::of_the_program() {
        None => Either::Left { future: exit },
        // What most programs do not have takes no room in the others.
        Some(limits) => Either::Right {
            future: Box::pin(limits.watch(manager(), cause, exit)),
        },
    }
}

/// Without timers there are no limits.
#[cfg(not(feature = "tokio"))]
pub(crate) fn watch<V: ExitVerdict, E, F: Future<Output = Result<V, E>>>(
    _: impl FnOnce() -> &'static str,
    _: Cause,
    exit: F,
) -> F {
    exit
}

pin_project! {
    /// One of two futures.
    #[project = EitherProjection]
    pub(crate) enum Either<A, B> {
        Left { #[pin] future: A },
        Right { #[pin] future: B },
    }
}

impl<A: Future, B: Future<Output = A::Output>> Future for Either<A, B> {
    type Output = A::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<A::Output> {
        match self.project() {
            EitherProjection::Left { future } => future.poll(cx),
            EitherProjection::Right { future } => future.poll(cx),
        }
    }
}

#[cfg(feature = "tokio")]
mod timed {
    use std::future::Future;
    use std::pin::pin;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use tokio::time::{Instant, timeout_at};

    use crate::report::{Entry, Incident, Phase, report};
    use crate::{Cause, ExitVerdict, Verdict};

    /// In nanoseconds; `OFF` is none.
    static DEADLINE: AtomicU64 = AtomicU64::new(OFF);
    static SLOW: AtomicU64 = AtomicU64::new(OFF);
    const OFF: u64 = u64::MAX;

    fn set(limit: &AtomicU64, duration: Option<Duration>) {
        let nanoseconds =
            duration.map(|duration| u64::try_from(duration.as_nanos()).unwrap_or(OFF));
        limit.store(nanoseconds.unwrap_or(OFF), Ordering::Relaxed);
    }

    fn get(limit: &AtomicU64) -> Option<Duration> {
        match limit.load(Ordering::Relaxed) {
            OFF => None,
            nanoseconds => Some(Duration::from_nanos(nanoseconds)),
        }
    }

    /// Sets the time that every exit in the program has, detached or not. After that it is given up, which is
    /// [reported](crate::report::Incident::TimedOut); the exits further out go on. By default there is none (rule
    /// CAN-5).
    ///
    /// A manager gets one of its own with [`exit_within`](crate::exit_within). The deadline holds for exits that start
    /// from now on, on tokio runtimes, which need timers then.
    pub fn set_exit_deadline(deadline: Option<Duration>) {
        set(&DEADLINE, deadline);
    }

    /// Sets after which time an exit that still runs is [reported](Incident::StillRunning): then, and after twice, four
    /// times as long, and so on (rule CAN-5). By default none is, because that needs a runtime with timers.
    ///
    /// It holds for exits that start from now on, on tokio runtimes, which need timers then.
    pub fn set_slow_exit(after: Option<Duration>) {
        set(&SLOW, after);
    }

    pub(crate) struct Limits {
        deadline: Option<Duration>,
        slow: Option<Duration>,
    }

    impl Limits {
        /// The limits of the program, if there are any and they can be kept.
        pub(crate) fn of_the_program() -> Option<Self> {
            let limits = Self {
                deadline: get(&DEADLINE),
                slow: get(&SLOW),
            };
            (limits.deadline.is_some() || limits.slow.is_some()).then_some(limits)
        }

        pub(crate) fn deadline(deadline: Duration) -> Self {
            Self {
                deadline: Some(deadline),
                slow: None,
            }
        }

        /// Runs an exit under these limits.
        pub(crate) async fn watch<V: ExitVerdict, E>(
            self,
            manager: &'static str,
            cause: Cause,
            exit: impl Future<Output = Result<V, E>>,
        ) -> Result<V, E> {
            if tokio::runtime::Handle::try_current().is_err() {
                return exit.await;
            }
            let tell = |incident| {
                report(Entry {
                    manager,
                    phase: Phase::Exit,
                    cause,
                    incident,
                });
            };
            let mut exit = pin!(exit);
            let start = Instant::now();
            let deadline = self
                .deadline
                .and_then(|deadline| start.checked_add(deadline));
            let mut slow = self.slow;
            loop {
                let next_report = slow.and_then(|slow| start.checked_add(slow));
                let next = [deadline, next_report].into_iter().flatten().min();
                let Some(next) = next else {
                    return exit.await;
                };
                if let Ok(result) = timeout_at(next, exit.as_mut()).await {
                    return result;
                }
                if Some(next) == deadline {
                    tell(Incident::TimedOut(self.deadline.unwrap_or_default()));
                    return Ok(V::from_verdict(Verdict::Propagate));
                }
                tell(Incident::StillRunning(slow.unwrap_or_default()));
                slow = slow.map(|slow| slow.saturating_mul(2).max(Duration::from_millis(1)));
            }
        }
    }
}
