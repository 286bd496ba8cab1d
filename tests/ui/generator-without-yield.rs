//! There is no yield.

use std::convert::Infallible;

use async_with::prelude::*;

#[async_context_manager]
async fn lease() -> Result<u64, Infallible> {
    Ok(7)
}

async fn renew() {
    async_with! { lease() => {} }
}

fn main() {}
