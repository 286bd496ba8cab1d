//! One branch has no yield.

use std::convert::Infallible;

use async_with::prelude::*;

#[async_context_manager]
async fn lease(free: bool) -> Result<u64, Infallible> {
    if free {
        yield_!(&mut 7);
    } else {
        println!("taken");
    }
}

fn main() {}
