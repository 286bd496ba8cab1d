//! Ready-made managers.

mod boxed;
#[cfg(feature = "tokio")]
mod cancellable;
mod closing;
mod either;
#[cfg(feature = "tokio")]
mod exit_within;
mod join;
#[cfg(feature = "tokio")]
mod locks;
mod manage;
mod nullcontext;
mod releasable;
#[cfg(feature = "tokio")]
mod retry;
#[cfg(feature = "tracing")]
mod span;
mod suppress;
#[cfg(feature = "tokio")]
mod task_group;
#[cfg(feature = "tokio")]
mod timeout;
mod together;
mod transaction;

#[cfg(feature = "tokio")]
use crate::{Cause, Verdict};
pub use boxed::{BoxManager, ScopedBoxManager};
#[cfg(feature = "tokio")]
pub use cancellable::{Cancellable, Cancelled, cancellable, move_on_when_cancelled};
pub use closing::{AsyncClose, Closing, closing};
pub use either::Either;
#[cfg(feature = "tokio")]
pub use exit_within::{ExitWithin, exit_within};
pub use join::{Join, join};
#[cfg(feature = "tokio")]
pub use locks::{Permits, Reading, Writing, permits, reading, writing};
pub use manage::{Callback, CleanUp, CleanUpFuture, Manage, callback, manage};
pub use nullcontext::{NullContext, ScopedNullContext, nullcontext, scoped_nullcontext};
pub use releasable::{Held, Releasable, releasable};
#[cfg(feature = "tokio")]
pub use retry::{Backoff, Retry, retry};
#[cfg(feature = "tracing")]
pub use span::{InSpan, in_span};
pub use suppress::{Suppress, suppress, suppress_if};
#[cfg(feature = "tokio")]
pub use task_group::{TaskFuture, TaskGroup, TaskOutput, Tasks, task_group, try_task_group};
#[cfg(feature = "tokio")]
pub use timeout::{Deadline, Elapsed, Timeout, move_on_after, move_on_at, timeout, timeout_at};

pub use transaction::{OpenTransaction, Transaction, TransactionControl, transaction};

/// Ends a block that goes on after an interruption. It is never raised, and can stand in a function that returns
/// anything.
#[derive(Debug)]
pub struct MovedOn(pub(crate) ());

#[cfg(feature = "tokio")]
fn suppress_cancellation(cause: Cause) -> Verdict {
    if cause == Cause::Cancelled {
        Verdict::Suppress
    } else {
        Verdict::Propagate
    }
}
