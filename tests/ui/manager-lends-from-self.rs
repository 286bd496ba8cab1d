//! The resource borrows from the manager.

use std::convert::Infallible;

use async_with::prelude::*;

struct Lease(u64);

#[async_context_manager]
impl AsyncContextManager for Lease {
    async fn enter(&mut self) -> Result<&mut u64, Infallible> {
        Ok(&mut self.0)
    }

    async fn exit(self, _: &mut u64, _: Cause) -> Result<(), Infallible> {
        Ok(())
    }
}

fn main() {}
