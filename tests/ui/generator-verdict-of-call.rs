//! What decides about suppression is called, not written.

use std::convert::Infallible;

use async_with::prelude::*;

fn decide() -> async_with_verdict::V {
    async_with_verdict::V::Suppress
}

mod async_with_verdict {
    pub(crate) use async_with::Verdict as V;
}

#[async_context_manager]
async fn lease() -> Result<u64, Infallible> {
    yield_!(&mut 7);
    decide()
}

fn main() {}
