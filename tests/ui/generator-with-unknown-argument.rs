//! The argument is not one.

use std::convert::Infallible;

use async_with::prelude::*;

#[async_context_manager(local)]
async fn lease() -> Result<u64, Infallible> {
    yield_!(&mut 7);
}

fn main() {}
