//! A failure of the set-up would be suppressed before the yield.

use std::convert::Infallible;

use async_with::prelude::*;

use async_with::move_on_after;

#[async_context_manager]
async fn lease() -> Result<u64, Infallible> {
    async_with! { move_on_after(std::time::Duration::from_secs(1)) => {
        yield_!(&mut 7);
    }}
}

fn main() {}
