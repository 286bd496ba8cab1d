//! The yield is written as a function.

use std::convert::Infallible;

use async_with::prelude::*;

#[async_context_manager]
async fn lease() -> Result<u64, Infallible> {
    let mut number = 7;
    yield_(&mut number).await;
    println!("{number}");
}

fn main() {}
