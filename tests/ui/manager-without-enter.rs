//! There is no `enter`, because there is nothing to do.

use std::convert::Infallible;

use async_with::prelude::*;

struct Lease;

#[async_context_manager]
impl AsyncContextManager for Lease {
    async fn exit(self, _: u64, _: Cause) -> Result<(), Infallible> {
        Ok(())
    }
}

async fn renew() {
    async_with! { Lease as number => { *number += 1; } }
}

fn main() {}
