//! Two resources are yielded one after another.

use std::convert::Infallible;

use async_with::prelude::*;

#[async_context_manager]
async fn leases() -> Result<u64, Infallible> {
    yield_!(&mut 1);
    yield_!(&mut 2);
}

fn main() {}
