//! A surviving manager borrows.

use std::convert::Infallible;

use async_with::prelude::*;

struct Lease<'a>(&'a u64);

impl AsyncContextManager for Lease<'_> {
    type Resource = u64;
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<u64, Infallible> {
        Ok(*self.0)
    }

    async fn exit(self, _: u64, _: Cause) -> Result<(), Infallible> {
        Ok(())
    }
}

fn main() {}
