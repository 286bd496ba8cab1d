//! The error of a manager is not `Debug`.

use async_with::prelude::*;

struct Lease;
struct Expired;

impl AsyncContextManager for Lease {
    type Resource = u64;
    type Error = Expired;
    type Exit = ();

    async fn enter(&mut self) -> Result<u64, Expired> {
        Ok(7)
    }

    async fn exit(self, _: u64, _: Cause) -> Result<(), Expired> {
        Ok(())
    }
}

fn main() {}
