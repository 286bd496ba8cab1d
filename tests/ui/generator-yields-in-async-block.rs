//! The yield is in a block of its own.

use std::convert::Infallible;

use async_with::prelude::*;

#[async_context_manager]
async fn lease() -> Result<u64, Infallible> {
    async { yield_!(&mut 7) }.await;
}

fn main() {}
