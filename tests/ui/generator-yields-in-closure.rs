//! The yield is in a closure.

use std::convert::Infallible;

use async_with::prelude::*;

#[async_context_manager]
async fn lease() -> Result<u64, Infallible> {
    let give = |mut number| yield_!(&mut number);
    give(7);
}

fn main() {}
