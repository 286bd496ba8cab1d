//! The function has no return type.

use async_with::prelude::*;

#[async_context_manager]
async fn lease() {
    yield_!(());
}

fn main() {}
