//! Exit says whether it suppresses with a `bool`, as in Python.

use std::convert::Infallible;

use async_with::prelude::*;

struct Lease;

impl AsyncContextManager for Lease {
    type Resource = u64;
    type Error = Infallible;
    type Exit = bool;

    async fn enter(&mut self) -> Result<u64, Infallible> {
        Ok(7)
    }

    async fn exit(self, _: u64, _: Cause) -> Result<bool, Infallible> {
        Ok(true)
    }
}

fn main() {}
