//! A resource outlives its stack.

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

async fn renew() -> u64 {
    let mut kept = None;
    async_with! { AsyncExitStack::new() as stack => {
        let Ok(lease) = stack.enter(Lease).await;
        kept = Some(lease);
    }}
    kept.map_or(0, |lease| *lease)
}

fn main() {}
