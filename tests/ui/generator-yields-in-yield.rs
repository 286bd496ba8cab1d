//! What is yielded yields.

use std::convert::Infallible;

use async_with::prelude::*;

#[async_context_manager]
async fn lease() -> Result<u64, Infallible> {
    yield_!(yield_!(7).0);
}

fn main() {}
