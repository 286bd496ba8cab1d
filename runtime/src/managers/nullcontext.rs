//! A value, and nothing else.

use std::convert::Infallible;

use crate::slot::Slot;
use crate::{AsyncContextManager, Cause, ScopedAsyncContextManager};

/// Lends the value to the body, and does nothing else: Python's `contextlib.nullcontext`.
///
/// It stands in where a manager is wanted and there is nothing to enter, as in [`Either`](crate::Either). The value is
/// dropped when the block ends. For a value that borrows, or is not `Send`, there is [`scoped_nullcontext`].
///
/// ```
/// use async_with::{Either, async_with, closing, nullcontext};
/// # use async_with::AsyncClose;
/// # use std::convert::Infallible;
/// # struct Connection(u32);
/// # impl Connection { fn execute(&mut self) -> u32 { self.0 } }
/// # impl AsyncClose for Connection {
/// #     type Error = Infallible;
/// #     async fn close(self) -> Result<(), Infallible> { Ok(()) }
/// # }
///
/// /// Closes the connection, unless its caller wants it back.
/// async fn execute(connection: Connection, close: bool) -> u32 {
///     let connection = match close {
///         true => Either::Left(closing(connection)),
///         false => Either::Right(nullcontext(connection)),
///     };
///     async_with! { connection as connection => { connection.execute() } }
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # assert_eq!(execute(Connection(7), true).await + execute(Connection(5), false).await, 12);
/// # }
/// ```
#[must_use = "a manager does nothing unless it is entered"]
pub fn nullcontext<T>(value: T) -> NullContext<T> {
    NullContext(Slot::new(value))
}

/// The same as [`nullcontext`], for a value that may borrow, or not be `Send`.
///
/// ```
/// use async_with::{async_with, scoped_nullcontext};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut line = String::from("in");
/// async_with! { scoped_nullcontext(&mut line) as line => { line.push_str(" and out"); } }
/// assert_eq!(line, "in and out");
/// # }
/// ```
#[must_use = "a manager does nothing unless it is entered"]
pub fn scoped_nullcontext<T>(value: T) -> ScopedNullContext<T> {
    ScopedNullContext(Slot::new(value))
}

/// The manager of [`nullcontext`].
pub struct NullContext<T>(Slot<T>);

/// The manager of [`scoped_nullcontext`].
pub struct ScopedNullContext<T>(Slot<T>);

impl<T: Send + 'static> AsyncContextManager for NullContext<T> {
    type Resource = T;
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<T, Infallible> {
        Ok(self.0.take())
    }

    async fn exit(self, _: T, _: Cause) -> Result<(), Infallible> {
        Ok(())
    }
}

impl<T> ScopedAsyncContextManager for ScopedNullContext<T> {
    type Resource = T;
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<T, Infallible> {
        Ok(self.0.take())
    }

    async fn exit(self, _: T, _: Cause) -> Result<(), Infallible> {
        Ok(())
    }
}
