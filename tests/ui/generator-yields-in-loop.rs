//! The yield is retried.

use std::convert::Infallible;

use async_with::prelude::*;

#[async_context_manager]
async fn lease() -> Result<u64, Infallible> {
    for mut number in 0..3 {
        yield_!(&mut number);
    }
}

fn main() {}
