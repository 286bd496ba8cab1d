//! Exits that take long: reported while they run, given up after a deadline.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::{Cause, ExitVerdict};

#[cfg(feature = "tokio")]
pub(crate) use timed::{Limits, timer};
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

/// Whether the program has any.
#[cfg(feature = "tokio")]
pub(crate) fn are_set() -> bool {
    Limits::of_the_program().is_some()
}

#[cfg(not(feature = "tokio"))]
pub(crate) fn are_set() -> bool {
    false
}

/// Without tokio there are no limits.
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
    use std::future::{Future, poll_fn};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::pin::{Pin, pin};
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Mutex, PoisonError};
    use std::task::Poll;
    use std::time::Duration;

    use tokio::runtime::{Handle, Id};
    use tokio::time::{Instant, Sleep, sleep_until};

    use crate::executor::poll_unconstrained;
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
    /// from now on, on tokio runtimes with timers.
    ///
    /// # Without timers
    ///
    /// On a tokio runtime without timers, and outside of tokio, an exit runs as long as it takes. That a runtime has none
    /// is only found out by a panic of tokio's. It is caught, and seen by the panic hook, at the first exit of the runtime
    /// that the deadline holds for; a program that is built with `panic = "abort"` ends there.
    pub fn set_exit_deadline(deadline: Option<Duration>) {
        set(&DEADLINE, deadline);
    }

    /// Sets after which time an exit that still runs is [reported](Incident::StillRunning): then, and after twice, four
    /// times as long, and so on (rule CAN-5). By default none is, because that needs a runtime with timers.
    ///
    /// It holds for exits that start from now on, on tokio runtimes with timers. Without any, exits run and are not
    /// reported, as [`set_exit_deadline`] says.
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
            if !HAS_CLOCK || Handle::try_current().is_err() {
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
                if let Some(result) = until(next, exit.as_mut()).await {
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

    /// On `wasm32-unknown-unknown`, to ask what time it is panics.
    const HAS_CLOCK: bool = !cfg!(all(target_family = "wasm", target_os = "unknown"));

    /// Runs an exit until a time, or to its end where no timer tells the time. Clean-up does not depend on timers: a panic
    /// of theirs is not one of the exit.
    async fn until<T>(time: Instant, mut exit: Pin<&mut impl Future<Output = T>>) -> Option<T> {
        let mut timer = pin!(timer(time));
        poll_fn(|cx| {
            if let Poll::Ready(ended) = exit.as_mut().poll(cx) {
                return Poll::Ready(Some(ended));
            }
            let Some(mut running) = timer.as_mut().as_pin_mut() else {
                return Poll::Pending;
            };
            let poll = || poll_unconstrained(cx, |cx| running.as_mut().poll(cx));
            if let Ok(polled) = catch_unwind(AssertUnwindSafe(poll)) {
                return polled.map(|()| None);
            }
            // Its runtime was shut down.
            timer.set(None);
            Poll::Pending
        })
        .await
    }

    /// A timer of this runtime, if it has timers. tokio does not say whether it has, but by a panic, which the panic hook
    /// prints: so a runtime is asked once.
    pub(crate) fn timer(time: Instant) -> Option<Sleep> {
        static WITHOUT_TIMERS: Mutex<Option<Id>> = Mutex::new(None);
        let known = || {
            WITHOUT_TIMERS
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        let runtime = Handle::try_current().ok()?.id();
        if *known() == Some(runtime) {
            return None;
        }
        let timer = catch_unwind(|| sleep_until(time)).ok();
        if timer.is_none() {
            *known() = Some(runtime);
        }
        timer
    }
}
