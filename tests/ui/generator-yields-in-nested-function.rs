//! The yield is in a function inside.

use std::convert::Infallible;

use async_with::prelude::*;

#[async_context_manager]
async fn lease() -> Result<u64, Infallible> {
    async fn give() {
        yield_!(&mut 7);
    }
    give().await;
}

fn main() {}
