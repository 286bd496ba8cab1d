#![doc = include_str!("../README.md")]
// On docs.rs, each item says which feature it needs.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod adaptors;
mod cause;
mod executor;
// Hidden from the documentation only: rustc writes hidden items with their whole path in messages.
#[cfg_attr(doc, doc(hidden))]
pub mod expansion;
mod generator;
pub mod guide;
mod interruption;
mod leaving;
mod level;
mod limits;
mod manager;
mod managers;
mod nest;
mod protocol;
pub mod report;
mod scope;
mod site;
mod slot;
mod stack;
mod sync;
#[cfg(feature = "testing")]
pub mod testing;

pub use adaptors::{
    AsyncContextManagerExt, FinishEnter, Map, MapErr, Named, OnEnter, OnExit,
    ScopedAsyncContextManagerExt,
};
#[cfg(feature = "tokio")]
pub use adaptors::{EnterWithin, OrElapsed};
pub use cause::{Cause, ErrorType, ExitVerdict, Outcome, Raised, Verdict};
pub use generator::{Generated, ScopedGenerated, Yielded};
pub use interruption::{Interruption, NoInterruption};
#[cfg(feature = "tokio")]
pub use limits::set_exit_deadline;
pub use managers::{
    AsyncClose, BoxManager, Callback, CleanUp, CleanUpFuture, Closing, Either, Held, Join, Manage,
    MovedOn, NullContext, OpenTransaction, Releasable, ScopedBoxManager, ScopedNullContext,
    Suppress, Transaction, TransactionControl, callback, closing, join, manage, nullcontext,
    releasable, scoped_nullcontext, suppress, suppress_if, transaction,
};
#[cfg(feature = "tokio")]
pub use managers::{
    Backoff, Cancellable, Cancelled, Deadline, Elapsed, ExitWithin, Permits, Reading, Retry,
    TaskFuture, TaskGroup, TaskOutput, Tasks, Timeout, Writing, cancellable, exit_within,
    move_on_after, move_on_at, move_on_when_cancelled, permits, reading, retry, task_group,
    timeout, timeout_at, try_task_group, writing,
};
#[cfg(feature = "tracing")]
pub use managers::{InSpan, in_span};
#[cfg(feature = "tokio")]
pub use nest::drain_timeout;
pub use nest::{PendingExit, detach, drain, pending_exits, set_spawner};
pub use protocol::{AsyncContextManager, ScopedAsyncContextManager};
pub use stack::{
    AsyncExitStack, CleanUpOf, Closed, Enterable, EnteredInto, Handle, Loan, NoError, RaisedAs,
    Registrar, StackError, StackManager, Takes,
};

/// Enters the managers, runs the body, and exits them in reverse order, on every way out.
///
/// ```text
/// async_with! { manager as pattern, .. => { body } }
/// async_with! { manager as pattern, .. => { body } else { value after a suppressed failure } }
/// async_with!(manager as pattern, .., { body })
/// ```
///
/// - An item is an expression, and optionally `as` and a pattern that is matched against `&mut Resource` and always
///   matches. A cast in an item needs parentheses; an item that is itself a cast or a tuple, two pairs (rules SYN-1 to
///   SYN-6).
/// - The whole is an expression. Expected types reach the body's tail, and the function's return type every `return`
///   (rule SYN-7).
/// - The body is lent the resource, which cannot leave it (rule ORD-5). Where it does, rustc says that a value is moved out
///   of while it is borrowed (E0505), at the name after `as`: let the body's value be what was made of the resource.
/// - Items are evaluated and entered from the left, each after the one before was bound; exits run in reverse, one after
///   the other (rules ORD-1 to ORD-3).
/// - `?`, `return`, `break` and `continue` mean what they mean without the macro; every exit is awaited before control
///   leaves (rules FLO-1 to FLO-7).
/// - `else { .. }` gives the value when a failure was suppressed (rule SYN-5). Where no manager suppresses, it is refused
///   (rule SUP-3).
///
/// ```
/// use async_with::{async_with, move_on_after};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let answer = async_with! { move_on_after(Duration::from_secs(5)) as deadline => {
///     deadline.reschedule(None);
///     tokio::task::yield_now().await;
///     42
/// } else {
///     0
/// }};
/// assert_eq!(answer, 42);
/// # }
/// ```
///
/// For those who know it from Python, the guide says [what differs](guide::coming_from_python); another page of it is about
/// [a number of managers](guide::a_dynamic_number_of_resources) that is known at run time only.
///
/// # Errors
///
/// What enter or exit fail with is raised as `?` would raise it (rule ERR-1), unless the body failed first: then the
/// exit's error is [reported](report), and the body's is raised (rule ERR-3).
///
/// # Panics
///
/// A panic of the body, of an enter or of an exit is resumed after all exits that are owed, with its own payload (rules
/// PAN-1, PAN-2).
///
/// # Cancel safety
///
/// The future may be dropped at any point. What was entered is exited: on the runtime for an [`AsyncContextManager`]
/// (rules CAN-1, CAN-2), by `abandon` for a [`ScopedAsyncContextManager`].
#[macro_export]
macro_rules! async_with {
    ($($tokens:tt)*) => {
        $crate::expansion::block_inner! { $crate $($tokens)* }
    };
}

/// What the attribute brings into scope. By a glob, because that may be there twice, as when two attributes are above one
/// function, and beside an import of the user's.
#[cfg_attr(doc, doc(hidden))]
pub mod block {
    pub use crate::async_with;
}

/// The attribute, which has the name of the block, in a module of its own: to Rust, both are macros, and a name stands for
/// one macro.
///
/// The [`prelude`] has this module, so that the attribute is `#[attr::async_with]`. In a file that has no block, or has
/// blocks only in functions with the attribute, `use async_with::attr::async_with;` does as well.
pub mod attr {
    /// Runs an async function, or parts of it, in an [`async_with!`](crate::async_with!) block.
    ///
    /// With managers, the whole body is the block, evaluated afresh on every call; they may use the parameters (rule
    /// ATT-1). Parameters that no manager mentions are moved into the body. `crate = path` comes first when the
    /// dependency has another name.
    ///
    /// ```
    /// use async_with::attr::async_with;
    /// # use async_with::{Elapsed, timeout};
    /// # use std::time::Duration;
    ///
    /// #[async_with(timeout(patience) as deadline)]
    /// async fn patient(patience: Duration, steps: u32) -> Result<u32, Elapsed> {
    ///     for _ in 0..steps {
    ///         tokio::task::yield_now().await;
    ///     }
    ///     deadline.reschedule(None);
    ///     Ok(steps)
    /// }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # assert_eq!(patient(Duration::from_secs(9), 2).await, Ok(2));
    /// # }
    /// ```
    ///
    /// Bare, on a function, an `impl` block or an inline module, it turns on the forms inside (rule ATT-2):
    /// `async_with!` without an import; `#[with] let pattern = manager;`, whose body is the rest of the enclosing block;
    /// and `#[with(manager as pattern, ..)] { body }` as statement, tail or initializer.
    ///
    /// ```
    /// use async_with::attr::async_with;
    /// # use async_with::{Elapsed, timeout};
    /// # use std::time::Duration;
    ///
    /// #[async_with]
    /// async fn patient(patience: Duration) -> Result<bool, Elapsed> {
    ///     #[with]
    ///     let outer = timeout(patience);
    ///     let inner = #[with(timeout(patience / 2) as inner)]
    ///     {
    ///         inner.deadline()
    ///     };
    ///     Ok(inner < outer.deadline())
    /// }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # assert_eq!(patient(Duration::from_secs(9)).await, Ok(true));
    /// # }
    /// ```
    ///
    /// It works beside `#[tokio::main]`, `#[tokio::test]`, `#[tracing::instrument]` and `#[async_trait]`, above or
    /// below. On a function that is not async, it is an error (rule ATT-3).
    ///
    /// # Errors, panics and cancel safety
    ///
    /// Those of [`async_with!`](crate::async_with!).
    #[doc(inline)]
    pub use async_with_macros::async_with;
}

/// Makes a manager of one function, or fills in the associated types of an `impl`.
///
/// Which of them to choose, and what to think of, is a [page of the guide](guide::writing_a_manager).
///
/// # On an async function
///
/// The code before [`yield_!`](crate::yield_!) is enter, the code behind it is exit; the function returns a manager
/// (rule GEN-1). It is Python's `contextlib.asynccontextmanager`, with one difference: the code behind the yield always
/// runs, and is told how the block ended, where Python's needs a `try` (rule GEN-3).
///
/// ```
/// use async_with::prelude::*;
/// # use std::io;
/// # struct Connection(Vec<&'static str>);
/// # impl Connection {
/// #     async fn open() -> io::Result<Self> { Ok(Connection(Vec::new())) }
/// #     async fn run(&mut self, sql: &'static str) -> io::Result<()> { self.0.push(sql); Ok(()) }
/// # }
///
/// /// Commits when the block completed, rolls back otherwise.
/// #[async_context_manager]
/// async fn transaction(mut connection: Connection) -> io::Result<Connection> {
///     connection.run("BEGIN").await?;
///     let cause = yield_!(&mut connection);
///     let end = if cause.is_completed() { "COMMIT" } else { "ROLLBACK" };
///     connection.run(end).await
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> io::Result<()> {
/// let connection = Connection::open().await?;
/// async_with! { transaction(connection) as tx => {
///     tx.run("UPDATE ..").await?;
/// }}
/// # Ok(())
/// # }
/// ```
///
/// - The function returns `Result<R, E>`: `R` is the resource, `E` what enter and exit fail with. An error before the
///   yield is an enter failure, one behind it an exit failure (rule GEN-2).
/// - It ends with `()`, with `Ok(())`, or with a [`Verdict`] that decides whether a failure is suppressed. The manager may
///   suppress when the function mentions `Verdict`, or with the argument `suppresses`.
/// - `yield_!` on every path once, not in a loop, closure or `async` block, is checked at compile time (rule GEN-2). It may
///   be in an [`async_with!`](crate::async_with!) block, which is around the user's block then: its managers are told how that
///   ended, as if it were their own, and their deadlines interrupt it (rule GEN-6). It needs no import.
/// - In [reports](report), the manager has the path of the function for a name.
/// - When no parameter borrows, the manager's exit survives cancellation, and the future must be `Send`. When one does, or
///   is generic without `Send + 'static`, or with the argument `scoped`, it is a [`ScopedAsyncContextManager`]: when its
///   block is dropped, so is the function, at its yield (rule CAN-1).
/// - Everything else of the signature is kept; each call makes a fresh manager (rule GEN-4).
///
/// # On an `impl`
///
/// Above `impl AsyncContextManager for T` or `impl ScopedAsyncContextManager for T`, it infers `Resource` and `Error` from
/// what `enter` and `exit` return, and `Exit` from what `exit` returns. What is written by hand wins. Aliases such as
/// `io::Result<T>` and `anyhow::Result<T>` are understood. `crate = path` is for when the dependency has another name.
///
/// The name is that of Python's `contextlib.asynccontextmanager`; a class with `__aenter__` and `__aexit__` is the other
/// way to write a manager there.
///
/// ```
/// use async_with::prelude::*;
/// # use std::io;
/// # struct Connection(Vec<&'static str>);
/// # impl Connection {
/// #     async fn open() -> io::Result<Self> { Ok(Connection(Vec::new())) }
/// #     async fn run(&mut self, sql: &'static str) -> io::Result<()> { self.0.push(sql); Ok(()) }
/// # }
///
/// struct Transaction;
///
/// #[async_context_manager]
/// impl AsyncContextManager for Transaction {
///     async fn enter(&mut self) -> io::Result<Connection> {
///         let mut connection = Connection::open().await?;
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
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> io::Result<()> {
/// async_with! { Transaction as tx => {
///     tx.run("UPDATE ..").await?;
/// }}
/// # Ok(())
/// # }
/// ```
///
/// # Panics
///
/// A block enters a manager once. Who calls `enter` of a generated manager by hand, and a second time, gets a panic that
/// names the function: whether the first enter succeeded, failed, panicked or was dropped, there is nothing left to be run.
/// So it does where the body ends well without having yielded, which the check of the paths misses when a macro hides a
/// `return Ok(..)`. (Python raises `RuntimeError("generator didn't yield")` in both places.)
///
/// # Cancel safety
///
/// The code before the yield is dropped with enter, at one of its awaits (rule CAN-7).
#[doc(inline)]
pub use async_with_macros::async_context_manager;

/// In a function with [`#[async_context_manager]`](async_context_manager): hands the resource to the block, and waits
/// until that has ended.
///
/// ```text
/// let cause = yield_!(&mut resource);         // lends what the function keeps
/// let (resource, cause) = yield_!(resource);  // gives a value away, and gets it back
/// let ((), cause) = yield_!();                // there is nothing to give
/// let cause = yield_!(&mut resource, interrupt = future);
/// ```
///
/// It evaluates to how the block ended, a [`Cause`], and the value if one was given away (rules GEN-3, GEN-5). When the
/// future after `interrupt =` resolves first, to an error of the manager's, the block is interrupted: that error is raised
/// unless the manager suppresses it (rule CAN-6).
#[macro_export]
macro_rules! yield_ {
    ($($tokens:tt)*) => {
        ::core::compile_error!("`yield_!` outside of a manager; write it in an `async fn` with `#[async_context_manager]`")
    };
}

/// The one import that most files need, `use async_with::prelude::*;`: the block [`async_with!`](crate::async_with!), the
/// attribute as `#[attr::async_with]`, what managers and bodies need by name, and the methods that make adaptors.
///
/// It reaches other modules through `use super::*;` and through a prelude of your own (`pub use async_with::prelude::*;`)
/// (rule ATT-4).
///
/// [`ScopedAsyncContextManager`] is not here: with both traits in scope, a hand-written
/// `manager.enter()` would be ambiguous.
pub mod prelude {
    pub use crate::{
        AsyncContextManager, AsyncExitStack, Cause, Interruption, Outcome, Raised, Verdict,
    };
    pub use crate::{AsyncContextManagerExt as _, ScopedAsyncContextManagerExt as _};
    pub use crate::{async_context_manager, async_with, attr, yield_};
}
