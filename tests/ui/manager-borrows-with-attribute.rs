//! A surviving manager borrows, and has its associated types from the attribute.

use std::convert::Infallible;

use async_with::{async_with, prelude::*};

struct Lease<'a>(&'a u64);

#[async_context_manager]
impl AsyncContextManager for Lease<'_> {
    async fn enter(&mut self) -> Result<u64, Infallible> {
        Ok(*self.0)
    }

    async fn exit(self, _: u64, _: Cause) -> Result<(), Infallible> {
        Ok(())
    }
}

async fn renew(number: u64) {
    async_with! { Lease(&number) as lease => { *lease += 1; } }
}

fn main() {}
