//! A resource is used after the stack was closed.

use std::convert::Infallible;

use async_with::prelude::*;

struct Lease;

#[async_context_manager]
impl AsyncContextManager for Lease {
    async fn enter(&mut self) -> Result<u64, Infallible> {
        Ok(7)
    }
    async fn exit(self, _: u64, _: Cause) -> Result<(), Infallible> {
        Ok(())
    }
}

async fn renew() -> Result<(), std::io::Error> {
    let mut stack = AsyncExitStack::<std::io::Error>::new();
    let Ok(lease) = stack.enter(Lease).await;
    stack.close().await?;
    *lease += 1;
    Ok(())
}

fn main() {}
