//! A cancellation token on a block.

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::marker::PhantomData;

use tokio_util::sync::CancellationToken;

use super::MovedOn;
use crate::{AsyncContextManager, Cause, Interruption, Verdict};

/// Interrupts the block when the token is cancelled, and raises [`Cancelled`] (rule CAN-6).
///
/// Interruption is cooperative: the blocks inside exit in place, told [`Cause::Cancelled`], innermost first, before this
/// one ends. When the body ends in the same poll in which the token is cancelled, the body wins. What goes on meanwhile, and what
/// is not polled any more, is as with a [`timeout`](crate::timeout()). The token is also the resource.
///
/// ```
/// use async_with::{Cancelled, async_with, cancellable};
/// use tokio_util::sync::CancellationToken;
///
/// async fn serve(shutdown: CancellationToken) -> Result<(), Cancelled> {
///     async_with! { cancellable(shutdown) => {
///         std::future::pending::<()>().await;
///     }}
///     Ok(())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let shutdown = CancellationToken::new();
/// let server = tokio::spawn(serve(shutdown.clone()));
/// shutdown.cancel();
/// assert!(server.await.unwrap().is_err());
/// # }
/// ```
#[must_use = "a manager does nothing unless it is entered"]
pub fn cancellable(token: CancellationToken) -> Cancellable {
    Cancellable {
        token,
        exit: PhantomData,
    }
}

/// Interrupts the block when the token is cancelled, and goes on after it. It can stand in a function that returns
/// anything. See [`cancellable`].
#[must_use = "a manager does nothing unless it is entered"]
pub fn move_on_when_cancelled(token: CancellationToken) -> Cancellable<Verdict> {
    Cancellable {
        token,
        exit: PhantomData,
    }
}

/// The manager of [`cancellable`], or, with [`Verdict`], of [`move_on_when_cancelled`].
pub struct Cancellable<V = ()> {
    token: CancellationToken,
    exit: PhantomData<fn() -> V>,
}

/// The token of a [`cancellable`] block was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cancelled;

impl Display for Cancelled {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("cancelled")
    }
}

impl Error for Cancelled {}

impl AsyncContextManager for Cancellable {
    type Resource = CancellationToken;
    type Error = Cancelled;
    type Exit = ();

    async fn enter(&mut self) -> Result<CancellationToken, Cancelled> {
        Ok(self.token.clone())
    }

    async fn exit(self, _: CancellationToken, _: Cause) -> Result<(), Cancelled> {
        Ok(())
    }

    fn interrupt(&self, _: &CancellationToken) -> impl Interruption<Cancelled> + Send + use<> {
        let cancelled = self.token.clone().cancelled_owned();
        async move {
            cancelled.await;
            Cancelled
        }
    }
}

impl AsyncContextManager for Cancellable<Verdict> {
    type Resource = CancellationToken;
    type Error = MovedOn;
    type Exit = Verdict;

    async fn enter(&mut self) -> Result<CancellationToken, MovedOn> {
        Ok(self.token.clone())
    }

    async fn exit(self, _: CancellationToken, cause: Cause) -> Result<Verdict, MovedOn> {
        Ok(super::suppress_cancellation(cause))
    }

    fn interrupt(&self, _: &CancellationToken) -> impl Interruption<MovedOn> + Send + use<> {
        let cancelled = self.token.clone().cancelled_owned();
        async move {
            cancelled.await;
            MovedOn(())
        }
    }
}
