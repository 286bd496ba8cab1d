//! A manager that cannot fail is entered through a stack whose error `Infallible` converts to.
//!
//! There are two ways then, and no text of ours for that: the name of the type parameter says what to write.

use async_with::{async_with, nullcontext, prelude::*};

async fn count() -> anyhow::Result<u64> {
    async_with! { AsyncExitStack::new() as stack => {
        let number = stack.enter(nullcontext(7)).await?;
        Ok(*number)
    }}
}

fn main() {}
