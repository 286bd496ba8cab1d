//! The yield is behind `else`.

use std::convert::Infallible;

use async_with::prelude::*;

#[async_context_manager]
async fn lease() -> Result<u64, Infallible> {
    async_with::async_with! { async_with::nullcontext(1) => {} else { yield_!(7); } }
}

fn main() {}
