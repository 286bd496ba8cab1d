//! The error of a manager is not one that the function returns.

use async_with::prelude::*;

struct Lease;

#[async_context_manager]
impl AsyncContextManager for Lease {
    async fn enter(&mut self) -> Result<u64, std::fmt::Error> {
        Ok(7)
    }
    async fn exit(self, _: u64, _: Cause) -> Result<(), std::fmt::Error> {
        Ok(())
    }
}

async fn renew() -> Result<(), std::io::Error> {
    async_with! { AsyncExitStack::new() as stack => {
        if let Ok(lease) = stack.enter(Lease).await {
            *lease += 1;
        }
    }}
    Ok(())
}

fn main() {}
