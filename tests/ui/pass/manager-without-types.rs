//! The associated types of a manager are inferred.

use std::convert::Infallible;

use async_with::prelude::*;

struct Lease;

#[async_context_manager]
impl AsyncContextManager for Lease {
    async fn enter(&mut self) -> Result<u64, Infallible> {
        Ok(7)
    }

    async fn exit(self, _: u64, _: Cause) -> Result<(), Infallible> {
        Ok(())
    }
}
