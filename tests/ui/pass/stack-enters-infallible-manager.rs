//! A manager that cannot fail has an `enter` of its own.

use async_with::{async_with, nullcontext, prelude::*};

async fn count() -> anyhow::Result<u64> {
    async_with! { AsyncExitStack::new() as stack => {
        let number = stack.enter_infallible(nullcontext(7)).await;
        Ok(*number)
    }}
}
