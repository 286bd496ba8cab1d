//! Managers that are written as one function: their expansion has `unsafe` in it, which lints must not see.

use async_with::{Verdict, async_context_manager, async_with, move_on_after};
use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use crate::managers::{Counter, Fallible, Problem};

/// Lends what it keeps.
///
/// # Errors
///
/// When it starts too high.
#[async_context_manager]
pub async fn lent(start: u64) -> Result<Counter, Problem> {
    let mut counter = Counter {
        count: start,
        names: Vec::new(),
    };
    if start > 99 {
        return Err(Problem);
    }
    let cause = yield_!(&mut counter);
    if cause.is_completed() {
        counter.names.clear();
    }
    let _ = counter.fetch().await?;
    Ok(())
}

/// Gives a value away, and has an interruption.
#[async_context_manager]
pub async fn owned(mut name: String) -> Result<String, Infallible> {
    name.push('!');
    let (name, _) = yield_!(name, interrupt = pending());
    drop(name);
}

/// Has nothing to give.
#[async_context_manager]
pub async fn nothing() -> Result<(), Infallible> {
    let ((), _) = yield_!();
}

/// Has names for what nobody uses.
///
/// # Errors
///
/// What the inner manager raises.
#[async_context_manager]
pub async fn unused(_start: u64, (_left, _right): (u64, u64)) -> Result<(), Problem> {
    async_with! { Fallible as _counter => {
        let ((), _cause) = yield_!();
    }}
}

/// Borrows, and decides.
#[async_context_manager]
pub async fn scoped<'a>(
    counter: &'a mut Counter,
    patient: bool,
) -> Result<&'a mut Counter, Problem> {
    let (counter, _) = if patient {
        yield_!(counter)
    } else {
        counter.count += 1;
        let (counter, cause) = yield_!(counter);
        counter.names.push(format!("{cause:?}"));
        (counter, cause)
    };
    let _ = counter.fetch().await?;
    Ok(Verdict::Suppress)
}

/// Yields in blocks.
///
/// # Errors
///
/// What the inner managers raise.
#[async_context_manager]
pub async fn in_blocks(start: u64) -> Result<Counter, Problem> {
    async_with! { Fallible as outer => {
        let sum = outer.next();
        async_with! { lent(start + sum) as inner => {
            yield_!(inner);
        }}
    }}
}

/// Makes managers.
#[derive(Clone, Copy, Debug)]
pub struct Pool {
    start: u64,
}

impl Pool {
    /// A pool of counters.
    #[must_use]
    pub const fn new(start: u64) -> Self {
        Self { start }
    }

    /// Borrows the pool.
    ///
    /// # Errors
    ///
    /// Never, but nobody knows.
    #[async_context_manager]
    pub async fn counter(&self) -> Result<Counter, Problem> {
        let mut counter = Counter {
            count: self.start,
            names: Vec::new(),
        };
        yield_!(&mut counter);
    }
}

/// Enters them all.
///
/// # Errors
///
/// What they raise.
pub async fn enter(start: u64) -> Result<u64, Problem> {
    let mut counter = Counter::default();
    let pool = Pool::new(start);
    let mut sum = 0;
    async_with! { scoped(&mut counter, true) as scoped, nothing(), move_on_after(Duration::MAX) => {
        let name = String::from("name");
        async_with! { lent(start) as lent, in_blocks(start) as inner, pool.counter() as pooled, owned(name) as name, unused(1, (2, 3)) as _nothing => {
            sum = lent.next() + inner.next() + pooled.next() + scoped.next() + name.len() as u64;
        }}
    }}
    Ok(sum)
}
