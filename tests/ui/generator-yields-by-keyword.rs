//! The yield is written as in Python.

use std::convert::Infallible;

use async_with::prelude::*;

#[async_context_manager]
async fn lease() -> Result<u64, Infallible> {
    let number = 7;
    yield number;
    println!("{number}");
}

fn main() {}
