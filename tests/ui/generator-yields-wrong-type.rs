//! What is yielded is not the resource.

use std::convert::Infallible;

use async_with::prelude::*;

#[async_context_manager]
async fn lease() -> Result<u64, Infallible> {
    let name = String::new();
    yield_!(name);
}

fn main() {}
