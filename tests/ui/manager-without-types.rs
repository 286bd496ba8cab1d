//! The associated types of a manager are missing.
//!
//! What is said of missing items is rustc's own. The documentation of the trait shows them, and the attribute that infers
//! them.

use std::convert::Infallible;

use async_with::prelude::*;

struct Lease;

impl AsyncContextManager for Lease {
    async fn enter(&mut self) -> Result<u64, Infallible> {
        Ok(7)
    }

    async fn exit(self, _: u64, _: Cause) -> Result<(), Infallible> {
        Ok(())
    }
}

fn main() {}
