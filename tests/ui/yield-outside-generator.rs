//! There is no attribute.

use std::convert::Infallible;

use async_with::prelude::*;

async fn lease() -> Result<u64, Infallible> {
    yield_!(&mut 7);
    Ok(7)
}

fn main() {}
