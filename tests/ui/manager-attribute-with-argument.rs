//! The attribute for managers with an argument of another library's.

use std::convert::Infallible;

use async_with::prelude::*;

struct Lease;

#[async_context_manager(suppress)]
impl AsyncContextManager for Lease {
    type Resource = u64;
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<u64, Infallible> {
        Ok(7)
    }

    async fn exit(self, _: u64, _: Cause) -> Result<(), Infallible> {
        Ok(())
    }
}

fn main() {}
