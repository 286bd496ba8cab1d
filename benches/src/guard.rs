//! What one writes once, to give hand-written blocks the guarantee of the macro.
//!
//! The body is an `async` block whose panics are caught, so that the exit is awaited on every way out of it. An exit
//! that survives cancellation lies in a guard, whose drop spawns it; while it runs it is boxed, so that the same future
//! can go on as a task.

use std::any::Any;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_with::{AsyncContextManager, Cause, ErrorType};

use crate::Failure;

/// How a body ended: by itself, or with a panic.
pub type Ended = Result<Result<u64, Failure>, Box<dyn Any + Send>>;

/// What the exit is told.
#[must_use]
pub fn cause(ended: &Ended) -> Cause {
    match ended {
        Ok(Ok(_)) => Cause::Completed,
        Ok(Err(_)) => Cause::Failed(ErrorType::of::<Failure>()),
        Err(_) => Cause::Panicked,
    }
}

/// Passes on how the body ended, or else how the exit did.
///
/// # Errors
///
/// The body's error, or else the exit's.
pub fn pass_on(ended: Ended, exited: Result<(), Failure>) -> Result<u64, Failure> {
    match (ended, exited) {
        (Ok(Ok(value)), Ok(())) => Ok(value),
        (Ok(Ok(_)), Err(failure)) => Err(failure),
        (Ok(Err(failure)), exited) => {
            log(exited);
            Err(failure)
        }
        (Err(payload), exited) => {
            log(exited);
            resume_unwind(payload)
        }
    }
}

fn log(exited: Result<(), Failure>) {
    if let Err(failure) = exited {
        eprintln!("an exit failed as well: {failure:?}");
    }
}

/// A manager that is entered. Dropped, its exit is spawned.
pub struct Guard<M: AsyncContextManager>(Option<(M, M::Resource)>);

impl<M: AsyncContextManager> Guard<M> {
    /// Arms the exit.
    pub fn new(manager: M, resource: M::Resource) -> Self {
        Self(Some((manager, resource)))
    }

    /// Lends the resource.
    ///
    /// # Panics
    ///
    /// Never: only the exit takes the resource away.
    pub fn resource(&mut self) -> &mut M::Resource {
        let (_, resource) = self.0.as_mut().expect("the guard is armed until the exit");
        resource
    }

    /// The exit. Dropped before it is finished, the rest of it is spawned.
    ///
    /// # Panics
    ///
    /// Never: it can be called only once.
    pub fn exit(mut self, cause: Cause) -> impl Future<Output = Result<M::Exit, M::Error>> {
        let (manager, resource) = self.0.take().expect("the guard is armed until the exit");
        Exiting(Some(Box::pin(manager.exit(resource, cause))))
    }
}

impl<M: AsyncContextManager> Drop for Guard<M> {
    fn drop(&mut self) {
        if let Some((manager, resource)) = self.0.take() {
            spawn(async move {
                if let Err(error) = manager.exit(resource, Cause::Dropped).await {
                    eprintln!("a detached exit failed: {error:?}");
                }
            });
        }
    }
}

/// An exit that runs. It is taken out around each poll, so that one that panicked is not spawned.
struct Exiting<F: Future<Output: Send> + Send + 'static>(Option<Pin<Box<F>>>);

impl<F: Future<Output: Send> + Send + 'static> Future for Exiting<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut exit = self.0.take().expect("a finished exit is not polled");
        let polled = exit.as_mut().poll(cx);
        if polled.is_pending() {
            self.0 = Some(exit);
        }
        polled
    }
}

impl<F: Future<Output: Send> + Send + 'static> Drop for Exiting<F> {
    fn drop(&mut self) {
        if let Some(exit) = self.0.take() {
            spawn(async move {
                exit.await;
            });
        }
    }
}

fn spawn(exit: impl Future<Output = ()> + Send + 'static) {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn(exit)),
        Err(_) => eprintln!("an exit was lost: there is no runtime"),
    }
}
