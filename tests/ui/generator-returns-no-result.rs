//! The function returns the resource.

use async_with::prelude::*;

#[async_context_manager]
async fn lease() -> u64 {
    yield_!(&mut 7);
}

fn main() {}
