//! Tasks that end before their block does.

use std::any::type_name;
use std::convert::Infallible;
use std::fmt::Debug;
use std::future::{Future, poll_fn};
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use pin_project_lite::pin_project;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::move_on_when_cancelled;
use super::together::Together;
use crate::expansion::Never;
use crate::manager::Exited;
use crate::nest::{self, Surroundings, Waiting};
use crate::report::{self, Collector, Entry, Incident, Phase};
use crate::{AsyncContextManager, Cause, Interruption, Verdict, async_with};

/// Lends the block a group of tasks, and waits for all of them before the block ends: structured concurrency.
///
/// Python's `asyncio.TaskGroup` and trio's nursery. The tasks cannot fail, other than by a panic; see [`try_task_group`]
/// for those that can.
///
/// - When the body completes, the exit waits for the tasks.
/// - When it fails, panics, is interrupted or dropped, the tasks are cancelled, and the exit waits for them all the same.
///   So it is when the block is dropped, or interrupted from further out, while it waits: no task outlives the block.
/// - When a task panics or fails, the other tasks are cancelled, and the body is interrupted (rule CAN-6).
///
/// A task is cancelled as a body is interrupted: the blocks inside it exit in place, told
/// [`Cause::Cancelled`](crate::Cause::Cancelled), innermost first. What was detached inside a task is waited for as well
/// (rule CAN-4).
///
/// ```
/// use async_with::{async_with, task_group};
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let sum = Arc::new(AtomicU32::new(0));
/// async_with! { task_group() as group => {
///     for number in 1..=10 {
///         let sum = Arc::clone(&sum);
///         group.spawn(async move {
///             tokio::task::yield_now().await;
///             sum.fetch_add(number, Ordering::Relaxed);
///         });
///     }
/// }}
/// assert_eq!(sum.load(Ordering::Relaxed), 55);
/// # }
/// ```
///
/// # Panics
///
/// A panic of a task is resumed with its own payload, after the other tasks have ended. The body is interrupted by it: the
/// managers inside exit in place before (rules PAN-1, CAN-6).
/// Of several, the first one; the others are reported (rules ERR-4, PAN-2).
///
/// # Cancel safety
///
/// That of a surviving manager: dropped at any point, the tasks are cancelled and waited for on the runtime, by the block
/// that encloses this one (rules CAN-1, CAN-4). [`drain`](crate::drain()) waits for the block, and with it for the tasks;
/// called in one of them, it does not wait for the block (rule CAN-5).
#[must_use = "a manager does nothing unless it is entered"]
pub fn task_group() -> TaskGroup {
    try_task_group()
}

/// Lends the block a group of tasks that may fail. See [`task_group`].
///
/// ```
/// use async_with::{async_with, try_task_group};
/// use std::io;
///
/// async fn serve(port: u16) -> io::Result<()> {
///     if port == 0 {
///         return Err(io::ErrorKind::AddrInUse.into());
///     }
///     std::future::pending().await
/// }
///
/// async fn serve_all(ports: &[u16]) -> io::Result<()> {
///     async_with! { try_task_group() as group => {
///         for &port in ports {
///             group.spawn(serve(port));
///         }
///     }}
///     Ok(())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let error = serve_all(&[80, 443, 0]).await.unwrap_err();
/// assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
/// # }
/// ```
///
/// # Errors
///
/// The first error of a task is raised, as the very same value, unless the body failed or was interrupted from further
/// out before. Every other one is [reported](crate::report) (rules ERR-3, ERR-5); Python and trio raise all of them as one
/// group, which then has to be taken apart. When the body ends in the same poll in which a task fails, the body wins.
///
/// # Panics
///
/// As [`task_group`].
///
/// # Cancel safety
///
/// As [`task_group`].
#[must_use = "a manager does nothing unless it is entered"]
pub fn try_task_group<E: Debug + Send + 'static>() -> TaskGroup<E> {
    TaskGroup(Arc::new(Group {
        cancel: CancellationToken::new(),
        state: Mutex::new(State {
            tasks: JoinSet::new(),
            entered_in: None,
            block: [None; 2],
            waker: None,
            interrupted_by: None,
        }),
    }))
}

/// The manager of [`task_group`] and [`try_task_group`].
pub struct TaskGroup<E: 'static = Infallible>(Arc<Group<E>>);

/// The tasks of a block: the resource of [`task_group`] and [`try_task_group`].
///
/// It cannot leave the block, so no task is started that the block does not wait for. A task that starts tasks of its
/// own does so in a group of its own.
pub struct Tasks<E: 'static = Infallible>(Arc<Group<E>>);

struct Group<E: 'static> {
    cancel: CancellationToken,
    state: Mutex<State<E>>,
}

struct State<E: 'static> {
    tasks: JoinSet<Result<(), E>>,
    /// What the group was entered in.
    entered_in: Option<Surroundings>,
    /// The block that waits for the tasks.
    block: Waiting,
    /// Of the one who waits: an empty set wakes nobody.
    waker: Option<Waker>,
    /// The error that interrupted the body.
    interrupted_by: Option<Incident>,
}

impl<E: Debug + Send + 'static> Tasks<E> {
    /// Starts a task. It runs at once, and is cancelled when the group is.
    ///
    /// What it returns is `()`, or a `Result<(), E>` whose error fails the group.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn spawn<O: TaskOutput<E>>(&mut self, task: impl TaskFuture<Output = O> + Send + 'static) {
        let cancelled = move_on_when_cancelled(self.0.cancel.clone());
        let task = Task {
            future: async move {
                async_with! { cancelled => { task.await.into_result() } else { Ok(()) } }
            },
            collector: report::current(),
            block: self.0.lock().block,
        };
        let waker = {
            let mut state = self.0.lock();
            state.tasks.spawn(task);
            state.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    /// Cancels the tasks, also those that are started from now on. That is no failure, and the body goes on.
    pub fn cancel(&self) {
        self.0.cancel.cancel();
    }
}

/// The future of a task, which is any. It is a trait of its own for what rustc says of a closure.
#[diagnostic::on_unimplemented(
    message = "a task is a future, which `{Self}` is not",
    label = "this is not a future",
    note = "write `async move {{ .. }}` in place of a closure; of an async function or closure, spawn what its call returns"
)]
pub trait TaskFuture: Future {}

#[diagnostic::do_not_recommend]
impl<F: Future> TaskFuture for F {}

/// What a task of a group returns: `()`, or `Result<(), E>` with the error of the group. A task that never ends by itself
/// is one too.
///
/// The trait is sealed.
#[diagnostic::on_unimplemented(
    message = "a task of this group cannot return `{Self}`",
    label = "this returns `{Self}`",
    note = "a task returns `()`; in a `try_task_group::<E>()` it may return `Result<(), E>`"
)]
pub trait TaskOutput<E>: sealed::Sealed + Send + 'static {
    #[doc(hidden)]
    fn into_result(self) -> Result<(), E>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for () {}
    impl Sealed for super::Never {}
    impl<E> Sealed for Result<(), E> {}
}

impl<E> TaskOutput<E> for () {
    fn into_result(self) -> Result<(), E> {
        Ok(())
    }
}

impl<E> TaskOutput<E> for Never {
    fn into_result(self) -> Result<(), E> {
        self
    }
}

impl<E: Send + 'static> TaskOutput<E> for Result<(), E> {
    fn into_result(self) -> Self {
        self
    }
}

pin_project! {
    /// A task. It reports to where its group does, and the group's block waits for it.
    struct Task<F> {
        #[pin]
        future: F,
        collector: Option<Arc<Collector>>,
        block: Waiting,
    }
}

impl<F: Future> Future for Task<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        report::within(this.collector.clone(), || {
            nest::waited_by(*this.block, || this.future.poll(cx))
        })
    }
}

impl<E: 'static> Group<E> {
    fn lock(&self) -> MutexGuard<'_, State<E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next failure, or until no task is left. A failure cancels the others.
    fn poll_failure(&self, cx: &mut Context<'_>) -> Poll<Option<Exited<Verdict, E>>> {
        // Dropped without the lock: a task may go with its last waker, and blocks with it.
        let _before;
        let mut state = self.lock();
        _before = state.waker.replace(cx.waker().clone());
        loop {
            let failure = match ready!(state.tasks.poll_join_next(cx)) {
                None => return Poll::Ready(None),
                Some(Ok(Ok(()))) => continue,
                Some(Ok(Err(error))) => Exited::Failed(error),
                Some(Err(error)) => match error.try_into_panic() {
                    Ok(payload) => Exited::Panicked(payload),
                    // The runtime shuts down.
                    Err(_) => continue,
                },
            };
            drop(state);
            self.cancel.cancel();
            return Poll::Ready(Some(failure));
        }
    }
}

impl<E: Debug + Send + 'static> AsyncContextManager for TaskGroup<E> {
    type Resource = Tasks<E>;
    type Error = E;
    type Exit = ();

    async fn enter(&mut self) -> Result<Tasks<E>, E> {
        let mut state = self.0.lock();
        state.entered_in = Some(Surroundings::here());
        state.block = nest::entering();
        drop(state);
        Ok(Tasks(Arc::clone(&self.0)))
    }

    async fn exit(self, _: Tasks<E>, cause: Cause) -> Result<(), E> {
        let Self(group) = self;
        // Such an error is raised, unless the block ends in another way after all.
        let entered_in = group.lock().entered_in.take();
        let is_given_up = || entered_in.as_ref().is_some_and(Surroundings::are_given_up);
        let is_raised = cause == Cause::Cancelled && !is_given_up();
        let interrupted_by = group.lock().interrupted_by.take();
        if let Some(incident) = interrupted_by
            && !is_raised
            // The block reports what it was going to raise then.
            && !matches!(cause, Cause::Dropped | Cause::Panicked)
        {
            report::report(Entry {
                manager: type_name::<Self>(),
                phase: Phase::Interrupt,
                cause,
                incident,
            });
        }
        if !cause.is_completed() {
            group.cancel.cancel();
        }
        let next = || {
            poll_fn(|cx| {
                if is_given_up() {
                    group.cancel.cancel();
                }
                group.poll_failure(cx)
            })
        };
        let mut together = Together::told(cause);
        while let Some(failure) = next().await {
            together.exited(failure, type_name::<Self>());
        }
        together.conclude()
    }

    fn interrupt(&self, _: &Tasks<E>) -> impl Interruption<E> + Send + use<E> {
        let group = Arc::clone(&self.0);
        async move {
            let failure = poll_fn(|cx| match ready!(group.poll_failure(cx)) {
                Some(failure) => Poll::Ready(failure),
                // There may be another task later.
                None => Poll::Pending,
            });
            let error = match failure.await {
                Exited::Failed(error) => error,
                Exited::Panicked(payload) => resume_unwind(payload),
                Exited::Returned(_) => unreachable!("a task has failed"),
            };
            group.lock().interrupted_by = Some(Incident::error(&error));
            error
        }
    }
}
