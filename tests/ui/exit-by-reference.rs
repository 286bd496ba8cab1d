//! Exit takes `self` by reference.

use std::convert::Infallible;

use async_with::prelude::*;

struct Lease;

impl AsyncContextManager for Lease {
    type Resource = u64;
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<u64, Infallible> {
        Ok(7)
    }

    async fn exit(&mut self, _: u64, _: Cause) -> Result<(), Infallible> {
        Ok(())
    }
}

fn main() {}
