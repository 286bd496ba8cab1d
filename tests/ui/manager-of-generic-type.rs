//! A surviving manager holds a value that may borrow.

use std::convert::Infallible;

use async_with::prelude::*;

struct Lease<T>(T);

#[async_context_manager]
impl<T: Send + Clone> AsyncContextManager for Lease<T> {
    async fn enter(&mut self) -> Result<u64, Infallible> {
        Ok(7)
    }

    async fn exit(self, _: u64, _: Cause) -> Result<(), Infallible> {
        Ok(())
    }
}

fn main() {}
