//! The bare attribute, and the forms that it turns on.

use async_with::prelude::*;

use crate::managers::{Counter, Fallible, Open, Problem};

/// Without any of the forms.
#[attr::async_with]
pub async fn nothing() -> u64 {
    tokio::task::yield_now().await;
    1
}

/// The block, without an import of it.
#[attr::async_with]
pub async fn block() -> u64 {
    async_with! { Open(1) as counter => { counter.next() } }
}

/// `#[with] let`, more than once.
///
/// # Errors
///
/// With the managers.
#[attr::async_with]
pub async fn lets(flag: bool) -> Result<u64, Problem> {
    let start = 1;
    #[with]
    let counter = Open(start);
    let second = counter.next();
    #[with]
    let other = Fallible;
    #[with]
    let _ = Open(3);
    #[with]
    let Counter { count, .. } = Open(4);
    if flag {
        return other.fail();
    }
    *count += other.fetch().await?;
    Ok(*count + second)
}

/// `#[with] let` as the last statement but one of blocks that have no value, and as the last.
#[attr::async_with]
pub async fn lets_in_blocks(limit: u64) -> u64 {
    let mut sum = 0;
    for number in 0..limit {
        #[with]
        let counter = Open(number);
        if counter.next() == 2 {
            continue;
        }
        sum += counter.count;
    }
    if sum > 0 {
        #[with]
        let counter = Open(sum);
        sum = counter.next();
    }
    if sum > 1 {
        #[with]
        let _ = Open(sum);
    }
    if sum > 2 {
        #[with]
        let _counter = Open(sum);
    }
    sum
}

/// `#[with(..)] { .. }` as a statement, in a `let`, as an argument, and as the tail.
///
/// # Errors
///
/// With the managers.
#[attr::async_with]
pub async fn blocks(limit: u64) -> Result<u64, Problem> {
    let mut sum = 0;
    #[with(Open(1) as counter)]
    {
        sum += counter.next();
    }
    #[with(Open(1), Open(2) as _, Open(3) as _counter)]
    {}
    let value = #[with(Open(1) as first, Fallible as second)]
    {
        first.next() + second.fetch().await?
    };
    for number in 0..limit {
        #[with(Open(number) as counter)]
        {
            if counter.next() == 3 {
                break;
            }
            sum += counter.count;
        }
    }
    if sum == 0 {
        return #[with(Fallible as counter)]
        {
            counter.fail()
        };
    }
    Ok(
        #[with(Open(sum) as counter)]
        {
            counter.next() + value
        },
    )
}

/// Has methods.
#[derive(Clone, Copy, Debug, Default)]
pub struct Server {
    requests: u64,
}

#[attr::async_with]
impl Server {
    /// With `#[with] let`.
    pub async fn handle(&mut self) -> u64 {
        #[with]
        let counter = Open(self.requests);
        self.requests += counter.next();
        self.requests
    }

    /// With a block.
    pub async fn block(self) -> u64 {
        async_with! { Open(self.requests) as counter => { counter.next() } }
    }

    /// Is not async.
    #[must_use]
    pub const fn requests(&self) -> u64 {
        self.requests
    }
}

/// Holds a function.
#[attr::async_with]
pub mod inner {
    use super::Open;

    /// With `#[with(..)] { .. }`.
    pub async fn function() -> u64 {
        #[with(Open(1) as counter)]
        {
            counter.next()
        }
    }
}
