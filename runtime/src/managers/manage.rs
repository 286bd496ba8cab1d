//! Managers made on the spot.

use std::convert::Infallible;
use std::fmt::Debug;
use std::future::Future;
use std::marker::PhantomData;

use crate::expansion::Never;
use crate::site::Site;
use crate::slot::Slot;
use crate::{AsyncContextManager, Cause, ExitVerdict, Verdict};

/// Runs the clean-up when the block ends, however it ends: the `callback` of Python's `AsyncExitStack`.
///
/// The clean-up is an exit as any other: it survives cancellation (rules CAN-1, CAN-2), hence `Send + 'static`. It
/// returns `()`, or a `Result` whose error is raised (rule ERR-1). One that is to know how the body ended, or that may
/// suppress, is for [`manage`]; one that borrows is a [`ScopedAsyncContextManager`](crate::ScopedAsyncContextManager),
/// which says what to do when the block is dropped.
///
/// It is named by its place in reports and in [`pending_exits`](crate::pending_exits()), as in `callback at src/main.rs:12`.
///
/// ```
/// use async_with::{async_with, callback};
/// # use std::sync::{Arc, Mutex};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # let log = Arc::new(Mutex::new(Vec::new()));
/// let written = log.clone();
/// async_with! { callback(async move || written.lock().unwrap().push("left")) => {
///     log.lock().unwrap().push("entered");
/// }}
/// assert_eq!(*log.lock().unwrap(), ["entered", "left"]);
/// # }
/// ```
#[must_use = "a manager does nothing unless it is entered"]
#[track_caller]
pub fn callback<F, Fut>(clean_up: F) -> Callback<F, Fut>
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: CleanUpFuture<Returns: CleanUp<Exit = ()>> + Send + 'static,
{
    Callback {
        clean_up,
        site: Site::of_caller(),
        future: PhantomData,
    }
}

/// Lends the value to the body, and gives it to the clean-up when the block ends, with how the body ended.
///
/// The value is made before the block is entered, so that this takes no more than an open resource and a way to release
/// it: one of another crate, for example. The clean-up survives cancellation (rules CAN-1, CAN-2), hence `Send +
/// 'static`. It returns a [`CleanUp`]: `()`, a [`Verdict`], or a `Result` of either, whose error is raised (rule
/// ERR-1). It is named by its place, as in `manage at src/main.rs:12`.
///
/// ```
/// use async_with::{async_with, manage};
/// # use std::io;
/// # struct Connection(Vec<&'static str>);
/// # async fn connect() -> io::Result<Connection> { Ok(Connection(Vec::new())) }
/// # impl Connection {
/// #     async fn query(&mut self, sql: &'static str) -> io::Result<()> { self.0.push(sql); Ok(()) }
/// #     async fn close(self) -> io::Result<()> { Ok(()) }
/// # }
///
/// async fn transfer() -> io::Result<()> {
///     let transaction = manage(connect().await?, async |mut connection, cause| {
///         connection.query(if cause.is_completed() { "COMMIT" } else { "ROLLBACK" }).await?;
///         connection.close().await
///     });
///     async_with! { transaction as connection => {
///         connection.query("BEGIN").await?;
///         connection.query("UPDATE ..").await?;
///     }}
///     Ok(())
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> io::Result<()> {
/// # transfer().await
/// # }
/// ```
#[must_use = "a manager does nothing unless it is entered"]
#[track_caller]
pub fn manage<T, F, Fut>(value: T, clean_up: F) -> Manage<T, F, Fut>
where
    T: Send + 'static,
    F: FnOnce(T, Cause) -> Fut + Send + 'static,
    Fut: CleanUpFuture<Returns: CleanUp> + Send + 'static,
{
    Manage {
        value: Slot::new(value),
        clean_up,
        site: Site::of_caller(),
        future: PhantomData,
    }
}

/// The manager of [`callback`].
pub struct Callback<F, Fut> {
    clean_up: F,
    site: Site,
    future: PhantomData<fn() -> Fut>,
}

/// The manager of [`manage`].
pub struct Manage<T, F, Fut> {
    value: Slot<T>,
    clean_up: F,
    site: Site,
    future: PhantomData<fn() -> Fut>,
}

/// What the clean-up of [`manage`] may return: `()` where it neither fails nor suppresses, [`Verdict`] where it may
/// suppress, and a `Result` of either where it may fail. The clean-up of [`callback`] does not suppress. A clean-up that
/// never returns is one too.
///
/// The trait is sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what a clean-up can return",
    label = "a clean-up returns `()`, `Verdict`, or a `Result` of either",
    note = "end the clean-up with `;` to ignore its value"
)]
pub trait CleanUp: sealed::Sealed {
    /// What the clean-up may fail with.
    type Error: Debug + Send + 'static;
    /// Whether it may suppress.
    type Exit: ExitVerdict;

    #[doc(hidden)]
    fn into_result(self) -> Result<Self::Exit, Self::Error>;
}

/// The future of a clean-up, which is any. It is a trait of its own for what rustc says of a closure that is not async.
#[diagnostic::on_unimplemented(
    message = "this clean-up is not async: it returns `{Self}`, which is not a future",
    label = "the closure in here is not async",
    note = "write `async ||` in place of `||`"
)]
pub trait CleanUpFuture: Future<Output = Self::Returns> {
    /// What the clean-up returns.
    type Returns;
}

#[diagnostic::do_not_recommend]
impl<F: Future> CleanUpFuture for F {
    type Returns = F::Output;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for () {}
    impl Sealed for crate::Verdict {}
    impl Sealed for super::Never {}
    impl<V, E> Sealed for Result<V, E> {}
}

impl CleanUp for () {
    type Error = Infallible;
    type Exit = ();

    fn into_result(self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl CleanUp for Verdict {
    type Error = Infallible;
    type Exit = Verdict;

    fn into_result(self) -> Result<Verdict, Infallible> {
        Ok(self)
    }
}

#[diagnostic::do_not_recommend]
impl CleanUp for Never {
    type Error = Infallible;
    type Exit = ();

    fn into_result(self) -> Result<(), Infallible> {
        self
    }
}

impl<V: ExitVerdict, E: Debug + Send + 'static> CleanUp for Result<V, E> {
    type Error = E;
    type Exit = V;

    fn into_result(self) -> Self {
        self
    }
}

impl<F, Fut, C> AsyncContextManager for Callback<F, Fut>
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = C> + Send + 'static,
    C: CleanUp<Exit = ()>,
{
    type Resource = ();
    type Error = C::Error;
    type Exit = ();

    async fn enter(&mut self) -> Result<(), C::Error> {
        Ok(())
    }

    async fn exit(self, (): (), _: Cause) -> Result<(), C::Error> {
        (self.clean_up)().await.into_result()
    }

    fn name(&self) -> &'static str {
        self.site.name("callback")
    }
}

impl<T, F, Fut, C> AsyncContextManager for Manage<T, F, Fut>
where
    T: Send + 'static,
    F: FnOnce(T, Cause) -> Fut + Send + 'static,
    Fut: Future<Output = C> + Send + 'static,
    C: CleanUp,
{
    type Resource = T;
    type Error = C::Error;
    type Exit = C::Exit;

    async fn enter(&mut self) -> Result<T, C::Error> {
        Ok(self.value.take())
    }

    async fn exit(self, value: T, cause: Cause) -> Result<C::Exit, C::Error> {
        (self.clean_up)(value, cause).await.into_result()
    }

    fn name(&self) -> &'static str {
        self.site.name("manage")
    }
}
