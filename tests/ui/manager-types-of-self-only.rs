//! The signatures name the associated types, and nothing says what they are.

use async_with::prelude::*;

struct Lease;

#[async_context_manager]
impl AsyncContextManager for Lease {
    async fn enter(&mut self) -> Result<u64, Self::Error> {
        Ok(7)
    }

    async fn exit(self, _: u64, _: Cause) -> Result<(), Self::Error> {
        Ok(())
    }
}

fn main() {}
