//! `interrupt` as an `async fn`, which captures `self`.

use std::convert::Infallible;
use std::future::pending;

use async_with::prelude::*;

struct Lease;

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

    async fn interrupt(&self, _: &u64) -> Infallible {
        pending().await
    }
}

fn main() {}
