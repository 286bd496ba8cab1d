//! What tasks share: the standard library's locks, counters and statics; with `--cfg shuttle` those of a checker, which
//! tries out in which order threads can reach them (`tests/models`).
//!
//! A lock that is not from here is one that nobody waits for, or that is only taken to copy what is in it.

#[cfg(shuttle)]
pub(crate) use shuttle::{
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicPtr, AtomicU64, AtomicUsize, fence},
    },
    thread_local,
};
#[cfg(not(shuttle))]
pub(crate) use std::{
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicPtr, AtomicU64, AtomicUsize, fence},
    },
    thread_local,
};

/// Statics; the checker makes them anew for each run.
#[cfg(not(shuttle))]
macro_rules! shared {
    ($($(#[$attribute:meta])* static $name:ident: $type:ty = $value:expr;)*) => {
        $($(#[$attribute])* static $name: $type = $value;)*
    };
}
#[cfg(shuttle)]
macro_rules! shared {
    ($($(#[$attribute:meta])* static $name:ident: $type:ty = $value:expr;)*) => {
        shuttle::lazy_static! { $($(#[$attribute])* static ref $name: $type = $value;)* }
    };
}
pub(crate) use shared;
