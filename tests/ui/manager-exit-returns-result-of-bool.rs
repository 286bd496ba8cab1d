//! Exit says whether it suppresses with a `bool`, and the attribute reads the types off.

use std::convert::Infallible;

use async_with::prelude::*;

struct Lease;

#[async_context_manager]
impl AsyncContextManager for Lease {
    async fn enter(&mut self) -> Result<u64, Infallible> {
        Ok(7)
    }

    async fn exit(self, _: u64, _: Cause) -> Result<bool, Infallible> {
        Ok(true)
    }
}

fn main() {}
