//! The future of a block is `Send` when its parts are, whatever lifetimes, `'static` included, are in their types.
//!
//! In a spawned future rustc forgets which lifetimes its parts mention, and asks for `Send` for all of them at once. So
//! each program here has a lifetime in a resource, an error, a capture or an argument, as `&'static str`,
//! `Box<dyn Error>` and a transaction of sqlx's have, and holds it across an await.
//!
//! The errors of this kind come after all others. Nothing else belongs in this target, where another error would hide
//! them. What is [`spawned`] runs to its end on a runtime with two threads, and its value, event log or database is
//! compared; what is [`spawnable`] only has to compile.

// The bodies under test are written to be seen through, not to please. So are the functions that promise `Send`.
#![allow(clippy::pedantic, clippy::manual_async_fn)]

mod adaptors;
mod closures;
mod generators;
mod handlers;
mod own;
mod ready_made;
mod scoped;
mod stacks;

use std::time::Duration;

/// The error of programs that take any: a type with a `'static` that nobody wrote.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Far more than any test takes.
const LONG: Duration = Duration::from_secs(60);

/// Runs a future to its end as a task of its own.
async fn spawned<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    tokio::spawn(future).await.expect("the task ends")
}

/// Takes what could be spawned.
fn spawnable(_: impl Future + Send + 'static) {}

/// Takes what could run on another thread, but borrows.
fn sendable<T: Future + Send>(future: T) -> T {
    future
}
