//! The methods that make adaptors.

use std::fmt::Debug;
use std::future::Future;
#[cfg(feature = "tokio")]
use std::time::Duration;

use super::{FinishEnter, Map, MapErr, Named, OnEnter, OnExit};
use crate::{
    AsyncContextManager, BoxManager, Cause, ExitVerdict, ScopedAsyncContextManager,
    ScopedBoxManager,
};
#[cfg(feature = "tokio")]
use crate::{EnterWithin, ExitWithin, exit_within};

/// Runs the manager as a block whose body is a function.
macro_rules! run {
    ($manager:expr, $body:expr) => {{
        let (manager, body) = ($manager, $body);
        async move {
            let mut value = None;
            crate::async_with! { manager as resource => {
                value = Some(body(resource).await?);
            }}
            Ok(Self::Exit::value(value))
        }
    }};
}

/// Adaptors for managers whose exit survives, named after those of iterators and futures.
///
/// Every adaptor leaves what it does not change as it is: `inspect`, `interrupt`, `around_poll` and `name` reach the
/// manager inside. When code of the adaptor's own panics while the manager is entered, the manager is exited, told
/// [`Cause::Panicked`], before the panic goes on (rule PAN-1).
///
/// A manager that may borrow has the same methods from [`ScopedAsyncContextManagerExt`].
pub trait AsyncContextManagerExt: AsyncContextManager {
    /// Gives the body what `f` makes of the resource.
    ///
    /// The resource itself stays with the manager, for its exit: `f` is lent it, and may copy from it, or take parts
    /// out of it that the exit does not need. What it made is dropped before the exit. To get at a part in place, no
    /// adaptor is needed: a pattern of the block does that, as in `pool as Pool { connection, .. }`.
    ///
    /// ```
    /// use async_with::{nullcontext, prelude::*};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let names = nullcontext(vec!["Grace", "Ada"]);
    /// let count = async_with! { names.map(|names| names.len()) as count => { *count } };
    /// assert_eq!(count, 2);
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// A panic of `f` is one of the enter. The manager is exited before.
    fn map<T, F>(self, f: F) -> Map<Self, Self::Resource, F>
    where
        F: FnOnce(&mut Self::Resource) -> T + Send + 'static,
        T: Send + 'static,
    {
        Map::new(self, f)
    }

    /// Converts what enter, exit and an interruption fail with. The function is cloned for the interruption.
    ///
    /// ```
    /// use async_with::{prelude::*, timeout};
    /// use std::time::Duration;
    ///
    /// async fn answer() -> Result<u32, String> {
    ///     let patience = timeout(Duration::from_secs(5)).map_err(|elapsed| elapsed.to_string());
    ///     async_with! { patience => { Ok(42) } }
    /// }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// assert_eq!(answer().await, Ok(42));
    /// # }
    /// ```
    fn map_err<E, F>(self, f: F) -> MapErr<Self, F>
    where
        F: Fn(Self::Error) -> E + Clone + Send + 'static,
        E: Debug + Send + 'static,
    {
        MapErr::new(self, f)
    }

    /// Gives the manager a [name](AsyncContextManager::name), which stands for it in [reports](crate::report) and in
    /// [`pending_exits`](crate::pending_exits()) (rules ERR-5, CAN-5).
    ///
    /// ```
    /// use async_with::{nullcontext, pending_exits, prelude::*};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// async_with! { nullcontext(()).named("session") => {
    ///     assert_eq!(pending_exits()[0].manager, "session");
    /// }}
    /// # }
    /// ```
    fn named(self, name: &'static str) -> Named<Self> {
        Named::new(self, name)
    }

    /// Gives the manager so long for its enter. After that, the enter's future is dropped, and the block raises
    /// [`OrElapsed::Elapsed`](crate::OrElapsed).
    ///
    /// A dropped enter owes no exit (rule CAN-7). Where the other side may have got the request by then, as with a lock
    /// on another machine, limit `manager.finish_enter()`.
    ///
    /// ```
    /// use async_with::{nullcontext, prelude::*};
    /// use std::io;
    /// use std::time::Duration;
    ///
    /// async fn length() -> io::Result<usize> {
    ///     # let connection = nullcontext(vec![0; 3]).map_err(|never| -> io::Error { match never {} });
    ///     async_with! { connection.enter_within(Duration::from_secs(5)) as connection => {
    ///         Ok(connection.len())
    ///     }}
    /// }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// assert_eq!(length().await.unwrap(), 3);
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// The enter panics outside of a tokio runtime with timers.
    #[cfg(feature = "tokio")]
    fn enter_within(self, duration: Duration) -> EnterWithin<Self> {
        EnterWithin::new(self, duration)
    }

    /// Gives the manager so long for its exit: [`exit_within`] as a method.
    ///
    /// ```
    /// use async_with::{callback, prelude::*, report};
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let stuck = callback(|| std::future::pending::<()>()).named("stuck");
    /// let block = async {
    ///     async_with! { stuck.exit_within(Duration::from_millis(5)) => {} }
    /// };
    /// let ((), entries) = report::collect(block).await;
    /// assert_eq!(entries[0].to_string(), "exit of stuck (cause: completed) was given up after 5ms");
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// As [`exit_within`].
    #[cfg(feature = "tokio")]
    fn exit_within(self, duration: Duration) -> ExitWithin<Self> {
        exit_within(duration, self)
    }

    /// Finishes an enter that is dropped half-way, and exits at once, told [`Cause::Dropped`].
    ///
    /// An enter that is dropped owes no exit (rule CAN-7), because nobody can say how far it came: a lock on another
    /// machine was asked for, and the answer was not read. With this adaptor the enter goes on instead, where detached
    /// exits do: the enclosing block and [`drain`](crate::drain()) wait for it (rule CAN-4). When it fails after all,
    /// that is [reported](crate::report) with the phase [`Enter`](crate::report::Phase::Enter). Before it is dropped, `drain`
    /// does not know of it: join a task that was aborted before. The enter is boxed.
    ///
    /// ```
    /// use async_with::{drain, prelude::*};
    /// # use std::convert::Infallible;
    /// # use std::sync::Arc;
    /// # use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
    /// # use tokio::task::yield_now;
    /// # struct Lock(Arc<AtomicBool>);
    /// # impl AsyncContextManager for Lock {
    /// #     type Resource = ();
    /// #     type Error = Infallible;
    /// #     type Exit = ();
    /// #     async fn enter(&mut self) -> Result<(), Infallible> {
    /// #         self.0.store(true, SeqCst); // The lock is taken, and
    /// #         yield_now().await; // the reply on its way.
    /// #         Ok(())
    /// #     }
    /// #     async fn exit(self, (): (), _: Cause) -> Result<(), Infallible> { self.0.store(false, SeqCst); Ok(()) }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let taken = Arc::new(AtomicBool::new(false));
    /// # let lock = Lock(taken.clone());
    /// let locked = async {
    ///     async_with! { lock.finish_enter() => { unreachable!("given up before") } }
    /// };
    /// tokio::select! {
    ///     biased;
    ///     () = locked => {}
    ///     () = std::future::ready(()) => {}
    /// }
    /// assert!(taken.load(SeqCst));
    /// drain().await;
    /// assert!(!taken.load(SeqCst));
    /// # }
    /// ```
    ///
    /// # Cancel safety
    ///
    /// The enter may be dropped at any point.
    fn finish_enter(self) -> FinishEnter<Self> {
        FinishEnter::new(self)
    }

    /// Calls the hook with the resource, after the enter and before the body.
    ///
    /// ```
    /// use async_with::{nullcontext, prelude::*};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// async_with! { nullcontext(vec![1, 2]).on_enter(|list| list.push(3)) as list => {
    ///     assert_eq!(*list, [1, 2, 3]);
    /// }}
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// A panic of the hook is one of the enter. The manager is exited before.
    fn on_enter<F>(self, hook: F) -> OnEnter<Self, F>
    where
        F: FnOnce(&mut Self::Resource) + Send + 'static,
    {
        OnEnter::new(self, hook)
    }

    /// Calls the hook with the resource and with how the body ended, before the exit.
    ///
    /// ```
    /// use async_with::{nullcontext, prelude::*};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let session = nullcontext("session").on_exit(|name, cause| println!("{name} {cause}"));
    /// async_with! { session => {} } // session completed
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// A panic of the hook is one of the exit. The manager is exited before it goes on.
    fn on_exit<F>(self, hook: F) -> OnExit<Self, F>
    where
        F: FnOnce(&mut Self::Resource, Cause) + Send + 'static,
    {
        OnExit::new(self, hook)
    }

    /// Hides the type of the manager: only what the block sees of it is left.
    ///
    /// ```
    /// use async_with::{BoxManager, nullcontext, prelude::*};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let managers: Vec<BoxManager<usize>> = vec![
    ///     nullcontext(1).boxed(),
    ///     nullcontext("two").map(|text| text.len()).boxed(),
    /// ];
    /// let mut sum = 0;
    /// for manager in managers {
    ///     async_with! { manager as n => { sum += *n; } }
    /// }
    /// assert_eq!(sum, 4);
    /// # }
    /// ```
    fn boxed(self) -> BoxManager<Self::Resource, Self::Error, Self::Exit> {
        BoxManager::new(self)
    }

    /// Runs the body in a block of this manager: [`async_with!`](crate::async_with!) as a function, for libraries that
    /// offer one of their own.
    ///
    /// It has the value of the body; with a manager that may suppress, `None` when a failure was (rule SUP-3).
    ///
    /// ```
    /// use async_with::{nullcontext, prelude::*};
    /// use std::num::ParseIntError;
    ///
    /// # struct Database;
    /// # #[derive(Debug)] struct DatabaseError;
    /// # impl From<ParseIntError> for DatabaseError { fn from(_: ParseIntError) -> Self { Self } }
    /// impl Database {
    /// #   fn begin(&self) -> impl AsyncContextManager<Resource = Vec<i32>, Error = DatabaseError, Exit = ()> + use<> {
    /// #       nullcontext(Vec::new()).map_err(|never| match never {})
    /// #   }
    ///     async fn transaction<T>(
    ///         &self,
    ///         body: impl AsyncFnOnce(&mut Vec<i32>) -> Result<T, DatabaseError>,
    ///     ) -> Result<T, DatabaseError> {
    ///         self.begin().run(body).await
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let database = Database;
    /// let rows = database.transaction(async |tx| {
    ///     tx.push("7".parse()?);
    ///     Ok(tx.len())
    /// });
    /// assert_eq!(rows.await.unwrap(), 1);
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// What the body, enter or exit fail with, as of the block. A manager that cannot fail gets the body's error type
    /// by `map_err(|never| match never {})`. Managers see the body's error as of its type, not as a `dyn Error`
    /// ([`Raised::as_error`](crate::Raised::as_error) is `None`).
    ///
    /// # Panics
    ///
    /// As [`async_with!`](crate::async_with!).
    ///
    /// # Cancel safety
    ///
    /// As [`async_with!`](crate::async_with!): dropped before it is ready, the exit still runs (rule CAN-1).
    fn run<T, E, F>(
        self,
        body: F,
    ) -> impl Future<Output = Result<<Self::Exit as ExitVerdict>::Value<T>, E>>
    where
        F: AsyncFnOnce(&mut Self::Resource) -> Result<T, E>,
        E: From<Self::Error> + Debug + 'static,
    {
        run!(self, body)
    }
}

impl<M: AsyncContextManager> AsyncContextManagerExt for M {}

/// Adaptors for managers that may borrow: those of [`AsyncContextManagerExt`], where an exit need not survive.
///
/// ```
/// use async_with::{prelude::*, scoped_nullcontext};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let (names, mut log) = (["Ada", "Grace"], Vec::new());
/// let manager = scoped_nullcontext(&names)
///     .map(|names| names.len())
///     .on_exit(|count, _| log.push(*count));
/// async_with! { manager as count => { *count += 1; } }
/// assert_eq!(log, [3]);
/// # }
/// ```
pub trait ScopedAsyncContextManagerExt: ScopedAsyncContextManager {
    /// See [`AsyncContextManagerExt::map`].
    fn map<T, F>(self, f: F) -> Map<Self, Self::Resource, F>
    where
        F: FnOnce(&mut Self::Resource) -> T,
    {
        Map::new(self, f)
    }

    /// See [`AsyncContextManagerExt::map_err`].
    fn map_err<E, F>(self, f: F) -> MapErr<Self, F>
    where
        F: Fn(Self::Error) -> E + Clone,
        E: Debug + 'static,
    {
        MapErr::new(self, f)
    }

    /// See [`AsyncContextManagerExt::named`].
    fn named(self, name: &'static str) -> Named<Self> {
        Named::new(self, name)
    }

    /// See [`AsyncContextManagerExt::enter_within`].
    #[cfg(feature = "tokio")]
    fn enter_within(self, duration: Duration) -> EnterWithin<Self> {
        EnterWithin::new(self, duration)
    }

    /// See [`AsyncContextManagerExt::exit_within`].
    #[cfg(feature = "tokio")]
    fn exit_within(self, duration: Duration) -> ExitWithin<Self> {
        exit_within(duration, self)
    }

    /// See [`AsyncContextManagerExt::on_enter`].
    fn on_enter<F>(self, hook: F) -> OnEnter<Self, F>
    where
        F: FnOnce(&mut Self::Resource),
    {
        OnEnter::new(self, hook)
    }

    /// See [`AsyncContextManagerExt::on_exit`]. When the block is dropped, the hook runs before `abandon`, told
    /// [`Cause::Dropped`].
    fn on_exit<F>(self, hook: F) -> OnExit<Self, F>
    where
        F: FnOnce(&mut Self::Resource, Cause),
    {
        OnExit::new(self, hook)
    }

    /// See [`AsyncContextManagerExt::boxed`].
    fn boxed<'a>(self) -> ScopedBoxManager<'a, Self::Resource, Self::Error, Self::Exit>
    where
        Self: 'a,
    {
        ScopedBoxManager::new(self)
    }

    /// See [`AsyncContextManagerExt::run`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, the manager is abandoned, as by a block (rule CAN-1).
    fn run<T, E, F>(
        self,
        body: F,
    ) -> impl Future<Output = Result<<Self::Exit as ExitVerdict>::Value<T>, E>>
    where
        F: AsyncFnOnce(&mut Self::Resource) -> Result<T, E>,
        E: From<Self::Error> + Debug + 'static,
    {
        run!(self, body)
    }
}

impl<M: ScopedAsyncContextManager> ScopedAsyncContextManagerExt for M {}
