//! The yield is in a macro of its own, which is not expanded when it is looked for.

use std::convert::Infallible;

use async_with::prelude::*;

#[allow(unused_macros)]
macro_rules! lend {
    ($resource:expr) => {
        yield_!(&mut $resource)
    };
}

#[async_context_manager]
async fn lease() -> Result<u64, Infallible> {
    lend!(7);
}

fn main() {}
