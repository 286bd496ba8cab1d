//! `enter` and `exit` return something that is called like a result, and is none.

use async_with::prelude::*;

struct Lease;
struct LeaseResult;

#[async_context_manager]
impl AsyncContextManager for Lease {
    async fn enter(&mut self) -> LeaseResult {
        LeaseResult
    }

    async fn exit(self, _: u64, _: Cause) -> Result<(), std::io::Error> {
        Ok(())
    }
}

fn main() {}
