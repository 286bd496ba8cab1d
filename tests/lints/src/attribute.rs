//! The attribute with items.

use async_with::prelude::*;

use crate::managers::{Borrowing, Counter, Fallible, Open, Problem, Suppressing};

/// With a value.
#[attr::async_with(Open(1) as counter)]
pub async fn value() -> u64 {
    counter.next()
}

/// Without a value.
#[attr::async_with(Open(1) as counter)]
pub async fn unit() {
    let _ = counter.next();
}

/// Without a body.
#[attr::async_with(Open(1), Open(2) as _, Open(3) as _counter)]
pub async fn empty() {}

/// Parameters that the items mention, that the body mentions, that both do, and that none does.
///
/// # Errors
///
/// With the managers.
#[attr::async_with(Open(start) as first, Fallible as second, Open(both + first.next()) as third)]
pub async fn parameters(
    start: u64,
    mut grows: Vec<u64>,
    (left, mut right): (u64, u64),
    Counter { count, names }: Counter,
    both: u64,
    _text: &str,
    _: u8,
) -> Result<u64, Problem> {
    right += left + count;
    grows.push(second.fetch().await?);
    grows.push(both);
    if names.is_empty() {
        return Err(Problem);
    }
    Ok(grows.len() as u64 + right + third.next())
}

/// With jumps inside, and a block in the body.
#[attr::async_with((Open(1) as outer, Open(2)))]
pub async fn block_inside(limit: u64) -> u64 {
    for number in 0..limit {
        async_with! { Open(number) as inner => {
            if inner.next() > 3 {
                break;
            }
            outer.count += inner.count;
        } }
    }
    outer.next()
}

/// An item that suppresses, where the function returns nothing.
#[attr::async_with(Suppressing as counter)]
pub async fn suppresses(flag: bool) {
    if flag {
        return;
    }
    let _ = counter.next();
}

/// Never returns.
#[attr::async_with(Open(1) as counter)]
pub async fn never() -> ! {
    loop {
        let _ = counter.next();
        tokio::task::yield_now().await;
    }
}

/// Never returns, by a call.
#[attr::async_with(Open(1))]
pub async fn never_calls() -> ! {
    never().await
}

/// Always panics.
///
/// # Panics
///
/// Always.
#[attr::async_with(Open(1) as counter)]
pub async fn never_panics() -> ! {
    panic!("after {}", counter.next())
}

/// Generic, with lifetimes and a where clause.
#[attr::async_with(Open(1) as counter)]
pub async fn generic<'a, T, const N: usize>(values: &'a [T; N], default: &'a T) -> &'a T
where
    T: Sync + PartialEq,
{
    let index = usize::try_from(counter.next()).unwrap_or(N);
    values.get(index).unwrap_or(default)
}

/// Is implemented with the attribute.
pub trait Service {
    /// Handles a request.
    fn handle(&mut self, request: u64) -> impl Future<Output = Result<u64, Problem>> + Send;

    /// Handles none.
    fn nothing(&self) -> impl Future<Output = ()> + Send;
}

/// Has methods.
#[derive(Clone, Copy, Debug, Default)]
pub struct Server {
    requests: u64,
}

impl Server {
    /// By shared reference.
    #[attr::async_with(Open(self.requests) as counter)]
    pub async fn shared(&self) -> u64 {
        counter.next() + self.requests
    }

    /// By mutable reference, some of which the manager borrows.
    #[attr::async_with(Borrowing(&mut self.requests) as (before, counter))]
    pub async fn mutable(&mut self) -> u64 {
        counter.next() + *before
    }

    /// By value.
    #[attr::async_with(Open(1) as counter)]
    pub async fn owned(mut self) -> Self {
        self.requests += counter.next();
        self
    }

    /// Associated.
    #[attr::async_with(Open(1) as counter)]
    pub async fn associated() -> Self {
        Self {
            requests: counter.next(),
        }
    }

    /// The number of requests.
    #[must_use]
    pub const fn requests(&self) -> u64 {
        self.requests
    }
}

impl Service for Server {
    #[attr::async_with(Fallible as counter)]
    async fn handle(&mut self, request: u64) -> Result<u64, Problem> {
        self.requests += request;
        let fetched = counter.fetch().await?;
        Ok(fetched + self.requests)
    }

    #[attr::async_with(Open(1) as counter)]
    async fn nothing(&self) {
        let _ = counter.next();
    }
}
