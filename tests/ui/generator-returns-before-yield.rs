//! It returns without a resource.

use std::convert::Infallible;

use async_with::prelude::*;

#[async_context_manager]
async fn lease(free: bool) -> Result<u64, Infallible> {
    if !free {
        return Ok(0);
    }
    yield_!(&mut 7);
}

fn main() {}
