//! It returns the resource at its end.

use std::convert::Infallible;

use async_with::prelude::*;

#[async_context_manager]
async fn lease() -> Result<u64, Infallible> {
    let (number, _) = yield_!(7);
    number
}

fn main() {}
