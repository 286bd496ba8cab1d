//! `#[attr::async_with]` sees no async function any more.

use std::convert::Infallible;

use async_with::prelude::*;

#[async_context_manager]
#[attr::async_with]
async fn lease() -> Result<u64, Infallible> {
    yield_!(&mut 7);
}

fn main() {}
