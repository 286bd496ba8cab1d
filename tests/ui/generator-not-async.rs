//! The function is not async.

use std::convert::Infallible;

use async_with::prelude::*;

#[async_context_manager]
fn lease() -> Result<u64, Infallible> {
    yield_!(&mut 7);
}

fn main() {}
