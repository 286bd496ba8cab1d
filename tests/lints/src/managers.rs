//! The managers that the other modules enter.

use std::convert::Infallible;
use std::error::Error;
use std::fmt::{self, Display, Formatter};

use async_with::{AsyncContextManager, Cause, ScopedAsyncContextManager, Verdict};
use tokio::sync::{Mutex, MutexGuard};

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Problem;

impl Display for Problem {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("a problem")
    }
}

impl Error for Problem {}

/// An open counter.
#[derive(Debug, Default)]
pub struct Counter {
    /// How far it has counted.
    pub count: u64,
    /// What it has counted.
    pub names: Vec<String>,
}

impl Counter {
    /// Counts.
    #[must_use = "the count is what it is for"]
    pub const fn next(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// Counts, somewhere else.
    ///
    /// # Errors
    ///
    /// Never, but nobody knows.
    pub async fn fetch(&mut self) -> Result<u64, Problem> {
        tokio::task::yield_now().await;
        Ok(self.next())
    }

    /// Fails.
    ///
    /// # Errors
    ///
    /// Always.
    pub const fn fail(&self) -> Result<u64, Problem> {
        let _ = self.count;
        Err(Problem)
    }
}

/// Cannot fail.
#[derive(Clone, Copy, Debug)]
pub struct Open(pub u64);

impl AsyncContextManager for Open {
    type Resource = Counter;
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<Counter, Infallible> {
        Ok(Counter {
            count: self.0,
            ..Counter::default()
        })
    }

    async fn exit(self, _: Counter, _: Cause) -> Result<(), Infallible> {
        tokio::task::yield_now().await;
        Ok(())
    }
}

/// Can fail.
#[derive(Clone, Copy, Debug)]
pub struct Fallible;

impl AsyncContextManager for Fallible {
    type Resource = Counter;
    type Error = Problem;
    type Exit = ();

    async fn enter(&mut self) -> Result<Counter, Problem> {
        Ok(Counter::default())
    }

    async fn exit(self, _: Counter, _: Cause) -> Result<(), Problem> {
        Ok(())
    }
}

/// Suppresses every failure.
#[derive(Clone, Copy, Debug)]
pub struct Suppressing;

impl AsyncContextManager for Suppressing {
    type Resource = Counter;
    type Error = Infallible;
    type Exit = Verdict;

    async fn enter(&mut self) -> Result<Counter, Infallible> {
        Ok(Counter::default())
    }

    async fn exit(self, _: Counter, _: Cause) -> Result<Verdict, Infallible> {
        Ok(Verdict::Suppress)
    }
}

/// Borrows what it counts in.
#[derive(Debug)]
pub struct Borrowing<'a>(pub &'a mut u64);

impl ScopedAsyncContextManager for Borrowing<'_> {
    type Resource = (u64, Counter);
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<(u64, Counter), Infallible> {
        Ok((*self.0, Counter::default()))
    }

    async fn exit(self, (before, counter): (u64, Counter), _: Cause) -> Result<(), Infallible> {
        *self.0 = before + counter.count;
        Ok(())
    }
}

/// Lends the guard of a lock, whose drop is significant.
#[derive(Debug)]
pub struct Locking<'a>(pub &'a Mutex<u64>);

impl<'a> ScopedAsyncContextManager for Locking<'a> {
    type Resource = MutexGuard<'a, u64>;
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<MutexGuard<'a, u64>, Infallible> {
        Ok(self.0.lock().await)
    }

    async fn exit(self, guard: MutexGuard<'a, u64>, _: Cause) -> Result<(), Infallible> {
        drop(guard);
        Ok(())
    }
}
