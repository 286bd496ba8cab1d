//! Python's `async with` for Rust.

mod cause;
mod detach;
// Hidden from the documentation only: rustc writes hidden items with their whole path in messages.
#[cfg_attr(doc, doc(hidden))]
pub mod expansion;
mod frame;
mod interrupt;
mod limits;
mod manager;
mod managers;
mod protocol;
mod registry;
pub mod report;
mod scope;

pub use cause::{Cause, ErrorType, ExitVerdict, Outcome, Raised, Verdict};
pub use detach::{detach, set_spawner};
#[cfg(feature = "tokio")]
pub use limits::set_exit_deadline;
pub use managers::MovedOn;
#[cfg(feature = "tokio")]
pub use managers::{
    Cancellable, Cancelled, Deadline, Elapsed, ExitWithin, Timeout, cancellable, exit_within,
    move_on_after, move_on_at, move_on_when_cancelled, timeout, timeout_at,
};
pub use protocol::{AsyncContextManager, ScopedAsyncContextManager};
#[cfg(feature = "tokio")]
pub use registry::drain_timeout;
pub use registry::{PendingExit, drain, pending_exits};

/// The block.
#[macro_export]
macro_rules! async_with {
    ($($tokens:tt)*) => {
        $crate::expansion::block_inner! { $crate $($tokens)* }
    };
}

/// The attribute.
pub mod attr {
    #[doc(inline)]
    pub use async_with_macros::async_with;
}

/// What most users of the block need.
pub mod prelude {
    pub use crate::attr::async_with;
    pub use crate::{AsyncContextManager, Cause, Outcome, Raised, Verdict};
}
