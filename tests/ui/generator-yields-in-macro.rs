//! The yield is an argument of another macro.

use std::convert::Infallible;

use async_with::prelude::*;

#[async_context_manager]
async fn lease() -> Result<u64, Infallible> {
    println!("{:?}", yield_!(&mut 7));
}

fn main() {}
