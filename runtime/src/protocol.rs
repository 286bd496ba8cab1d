//! The two protocol traits.

use std::fmt::Debug;
use std::future::Future;

use crate::{Cause, ExitVerdict, Interruption, NoInterruption, Raised};

/// A manager whose exit survives cancellation.
///
/// The block [`async_with!`](crate::async_with) awaits [`enter`](Self::enter), lends the resource to its body, and
/// runs [`exit`](Self::exit) exactly once, however the body ends (rule EXI-1). When the future that holds the block is
/// dropped, the exit goes on as a task of the runtime (rule CAN-1); that is why everything is `Send + 'static`. A
/// manager that borrows or is not `Send` implements [`ScopedAsyncContextManager`] instead.
///
/// [Writing a manager](crate::guide::writing_a_manager) is a page of the guide.
///
/// The two methods are Python's `__aenter__` and `__aexit__`. Exit takes the resource back by value: it exists exactly
/// as long as the manager is entered. The resource can be any type, also one of another crate. Above the `impl`,
/// [`#[async_context_manager]`](crate::async_context_manager) infers the associated types.
///
/// # Example
///
/// ```
/// use async_with::prelude::*;
/// # use std::io;
/// # use std::sync::{Arc, Mutex};
/// # type Log = Arc<Mutex<Vec<String>>>;
/// # struct Connection(Log);
/// # impl Connection {
/// #     async fn open(log: &Log) -> io::Result<Self> { Ok(Connection(log.clone())) }
/// #     async fn run(&mut self, sql: &str) -> io::Result<()> { self.0.lock().unwrap().push(sql.into()); Ok(()) }
/// # }
///
/// /// Commits when the body completed, rolls back otherwise.
/// struct Transaction {
///     database: Log,
/// }
///
/// impl AsyncContextManager for Transaction {
///     type Resource = Connection;
///     type Error = io::Error;
///     type Exit = ();
///
///     async fn enter(&mut self) -> io::Result<Connection> {
///         let mut connection = Connection::open(&self.database).await?;
///         connection.run("BEGIN").await?;
///         Ok(connection)
///     }
///
///     async fn exit(self, mut connection: Connection, cause: Cause) -> io::Result<()> {
///         let end = if cause.is_completed() { "COMMIT" } else { "ROLLBACK" };
///         connection.run(end).await
///     }
/// }
///
/// async fn debit(database: &Log) -> io::Result<()> {
///     async_with! { Transaction { database: database.clone() } as tx => {
///         tx.run("UPDATE ..").await?;
///     }};
///     Ok(())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> io::Result<()> {
/// let database = Log::default();
/// debit(&database).await?;
/// assert_eq!(*database.lock().unwrap(), ["BEGIN", "UPDATE ..", "COMMIT"]);
/// # Ok(())
/// # }
/// ```
///
/// # Reuse
///
/// A block takes its manager by value, and enters it once. What Python calls a reusable manager is what makes managers
/// here: a closure, a method of a pool, or a value that is cloned for each block.
///
/// ```
/// use async_with::{async_with, nullcontext};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let session = || nullcontext("session");
/// for _ in 0..2 {
///     async_with! { session() as name => { assert_eq!(*name, "session"); } }
/// }
/// # }
/// ```
///
/// # A manager that borrows
///
/// `impl AsyncContextManager for Lease<'_>` is refused with several errors about lifetimes (E0477, E0478, E0803): write
/// `impl ScopedAsyncContextManager for Lease<'_>`. Where a type parameter may borrow (E0310), add the bound `'static` to
/// it. With [`#[async_context_manager]`](crate::async_context_manager) above, there is one error that says so.
///
/// # A manager behind `dyn`
///
/// There is no `dyn AsyncContextManager` (E0038): `exit` takes the manager by value, and both methods return futures of
/// types of their own. [`boxed`](crate::AsyncContextManagerExt::boxed) hides the type of a manager, in a
/// [`BoxManager<Resource, Error, Exit>`](crate::BoxManager):
///
/// ```
/// use async_with::{BoxManager, async_with, nullcontext, prelude::*};
///
/// fn session(name: Option<&'static str>) -> BoxManager<String> {
///     match name {
///         Some(name) => nullcontext(name.to_owned()).boxed(),
///         None => nullcontext(()).map(|()| "nobody".to_owned()).boxed(),
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let length = async_with! { session(None) as name => { name.len() } };
/// assert_eq!(length, 6);
/// # }
/// ```
///
/// # Cancel safety
///
/// The future of `enter` must be drop-safe: when it is dropped, nothing is owed (rule CAN-7). The future of `exit` is
/// never dropped half-way by the block; it is carried on elsewhere (rule CAN-2).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an async context manager",
    label = "this needs to implement `AsyncContextManager`",
    note = "implement `AsyncContextManager` for it, or `ScopedAsyncContextManager` when it borrows or is not `Send`; a reference to a manager is none: pass it by value"
)]
pub trait AsyncContextManager: Sized + Send + 'static {
    // Of a manager that borrows, or is not `Send`, rustc shows some of these lines; hence the comments at their ends.

    /// What the body gets to use; `as pat` is matched against `&mut Resource`.
    type Resource: Send + 'static; // If not `Send`: `ScopedAsyncContextManager`.
    /// Why enter or exit failed: [`Infallible`](std::convert::Infallible) where neither can. It is raised as `?` would
    /// raise it, converted with `From` into the enclosing function's error (rule ERR-1).
    type Error: Debug + Send + 'static;
    /// `()` for a manager that never suppresses a failure, [`Verdict`](crate::Verdict) for one that may (rule SUP-1).
    type Exit: ExitVerdict;

    /// Acquires the resource. When it fails, panics or is dropped, this manager is owed no exit (rule EXI-1), and the
    /// exits of the managers further out run.
    fn enter(&mut self) -> impl Future<Output = Result<Self::Resource, Self::Error>> + Send; // If not `Send`: `ScopedAsyncContextManager`.

    /// Releases the resource. Called once for every enter that succeeded.
    ///
    /// An error is raised when the body completed (rule FLO-6). When it did not, the body's failure stays the one that
    /// is raised, and this error goes to the [report](crate::report) (rule ERR-3).
    fn exit(
        self,
        resource: Self::Resource, // To borrow, implement `ScopedAsyncContextManager`.
        cause: Cause,
    ) -> impl Future<Output = Result<Self::Exit, Self::Error>> + Send; // If not `Send`: `ScopedAsyncContextManager`.

    /// Sees, and may change, the error that left the body, directly before exit (rules ERR-6, EXI-7).
    ///
    /// A panic in it is treated as a panic of the body.
    fn inspect(&mut self, resource: &mut Self::Resource, raised: Raised<'_>) {
        let _ = (resource, raised);
    }

    /// Resolves when the body is to be interrupted, to the error that is then raised (rule CAN-6). By default it never
    /// does, and the type says so.
    ///
    /// An [`Interruption`] is any future; write the trait all the same, as rustc wants the words of the trait's signature.
    /// An implementation must capture neither `self` nor the resource, hence `use<>`:
    ///
    /// ```
    /// # use async_with::{AsyncContextManager, Cause, Interruption};
    /// # use std::convert::Infallible;
    /// # use std::time::Duration;
    /// # struct Patience(Duration);
    /// #[derive(Debug)]
    /// struct TookTooLong;
    ///
    /// impl AsyncContextManager for Patience {
    /// #   type Resource = ();
    /// #   type Exit = ();
    /// #   async fn enter(&mut self) -> Result<(), TookTooLong> { Ok(()) }
    /// #   async fn exit(self, (): (), _: Cause) -> Result<(), TookTooLong> { Ok(()) }
    ///     type Error = TookTooLong;
    ///
    ///     fn interrupt(&self, _: &()) -> impl Interruption<TookTooLong> + Send + use<> {
    ///         let patience = self.0;
    ///         async move {
    ///             tokio::time::sleep(patience).await;
    ///             TookTooLong
    ///         }
    ///     }
    ///     // ..
    /// }
    /// ```
    fn interrupt(
        &self,
        resource: &Self::Resource,
    ) -> impl Interruption<Self::Error> + Send + use<Self> // in an `impl`, write `use<>`
    {
        let _ = resource;
        NoInterruption
    }

    /// Makes a guard that is held while the body is polled, each time, and while it is dropped (rule EXI-6): an entered
    /// tracing span, an OpenTelemetry context. In a stack, and around the yield of a generator, it is held around the polls only.
    fn around_poll(&self) -> impl Sized {}

    /// What stands for this manager in [reports](crate::report) and in [`pending_exits`](crate::pending_exits()): by
    /// default its type, as [`std::any::type_name`] gives it. A closure, as [`callback`](crate::callback()) takes one, is
    /// named by its place. It is asked for once, before the enter.
    ///
    /// [`named`](crate::AsyncContextManagerExt::named) gives a manager another name.
    fn name(&self) -> &'static str {
        std::any::type_name::<Self>()
    }
}

/// A manager that may borrow, or be `!Send`: its exit lives in the frame of its block.
///
/// It keeps every rule of [`AsyncContextManager`] but one: an exit that lives in the frame cannot outlive it. When the
/// future that holds the block is dropped, the synchronous [`abandon`](Self::abandon) runs in place of exit; when it is
/// dropped during exit, the exit's future is dropped, which is reported (rules CAN-1, CAN-2). No allocation is made for
/// it (rule TYP-2).
///
/// # Example
///
/// ```
/// use async_with::{async_with, Cause, ScopedAsyncContextManager};
/// use std::convert::Infallible;
///
/// /// Counts who is inside, in a counter of the caller's.
/// struct Inside<'a>(&'a mut u32);
///
/// impl ScopedAsyncContextManager for Inside<'_> {
///     type Resource = ();
///     type Error = Infallible;
///     type Exit = ();
///
///     async fn enter(&mut self) -> Result<(), Infallible> {
///         *self.0 += 1;
///         Ok(())
///     }
///
///     async fn exit(self, (): (), _cause: Cause) -> Result<(), Infallible> {
///         *self.0 -= 1;
///         Ok(())
///     }
///
///     fn abandon(self, (): ()) {
///         *self.0 -= 1;
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut inside = 0;
/// async_with! { Inside(&mut inside) => { tokio::task::yield_now().await } };
/// assert_eq!(inside, 0);
/// # }
/// ```
///
/// # Cancel safety
///
/// As [`AsyncContextManager`], but for `exit`: its future may be dropped half-way, together with the block's.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a scoped async context manager",
    label = "this needs to implement `ScopedAsyncContextManager`"
)]
pub trait ScopedAsyncContextManager: Sized {
    /// See [`AsyncContextManager::Resource`].
    type Resource;
    /// See [`AsyncContextManager::Error`].
    type Error: Debug + 'static;
    /// See [`AsyncContextManager::Exit`].
    type Exit: ExitVerdict;

    /// See [`AsyncContextManager::enter`].
    fn enter(&mut self) -> impl Future<Output = Result<Self::Resource, Self::Error>>;

    /// See [`AsyncContextManager::exit`].
    fn exit(
        self,
        resource: Self::Resource,
        cause: Cause,
    ) -> impl Future<Output = Result<Self::Exit, Self::Error>>;

    /// Runs in place of exit when the block's future is dropped in the body: at once, before exits of surviving managers inside
    /// have run (rule CAN-3). By default the resource is dropped. What is handed to [`detach`](crate::detach()) runs after those.
    ///
    /// A panic in it is caught and reported.
    fn abandon(self, resource: Self::Resource) {
        drop(resource);
    }

    /// See [`AsyncContextManager::inspect`].
    fn inspect(&mut self, resource: &mut Self::Resource, raised: Raised<'_>) {
        let _ = (resource, raised);
    }

    /// See [`AsyncContextManager::interrupt`].
    fn interrupt(&self, resource: &Self::Resource) -> impl Interruption<Self::Error> + use<Self> {
        let _ = resource;
        NoInterruption
    }

    /// See [`AsyncContextManager::around_poll`].
    fn around_poll(&self) -> impl Sized {}

    /// See [`AsyncContextManager::name`].
    fn name(&self) -> &'static str {
        std::any::type_name::<Self>()
    }
}
