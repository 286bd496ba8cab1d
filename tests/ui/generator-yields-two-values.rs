//! Two resources are yielded at once.

use std::convert::Infallible;

use async_with::prelude::*;

#[async_context_manager]
async fn lease() -> Result<(u64, u64), Infallible> {
    yield_!(1, 2);
}

fn main() {}
