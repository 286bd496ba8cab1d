//! Registering exits from elsewhere.

use std::fmt::{self, Debug, Formatter};
use std::future::Future;
use std::sync::Arc;

use super::entry::{Held, Slot, callback_entry};
use super::pile::Home;
use crate::site::Site;
use crate::{Cause, CleanUpFuture, Verdict};

/// Registers exits with a stack that is borrowed, or that unwinds: see [`AsyncExitStack::registrar`](crate::AsyncExitStack::registrar).
pub struct Registrar<E>(pub(super) Arc<Home<E>>);

impl<E> Clone for Registrar<E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// The stack has run its exits already; what was to be registered was run at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("the exit stack is closed")
    }
}

impl std::error::Error for Closed {}

impl<E: Debug + Send + 'static> Registrar<E> {
    /// As [`AsyncExitStack::callback`](crate::AsyncExitStack::callback).
    ///
    /// # Errors
    ///
    /// When the exits of the stack's block, or of the dropped stack, have run or were cut off. The callback was run at
    /// once then.
    ///
    /// # Cancel safety
    ///
    /// It is registered with the first poll. A callback that runs at once is dropped with this future.
    #[track_caller]
    pub fn callback<F, Fut>(&self, callback: F) -> impl Future<Output = Result<(), Closed>>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: CleanUpFuture<Returns = ()> + Send + 'static,
    {
        let name = Site::of_caller().name("callback");
        async move {
            let Err(slot) = self.0.put(Slot::new(name, callback_entry(callback))) else {
                return Ok(());
            };
            run::<E>(slot.held.into_inner()).await;
            Err(Closed)
        }
    }
}

/// Runs what would have been an exit.
async fn run<E>(held: impl Held<E>) {
    let _: Result<Verdict, E> = held.exit(Cause::Completed).await;
}
