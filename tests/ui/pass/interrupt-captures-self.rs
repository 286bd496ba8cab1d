//! `interrupt` captures what it needs by value.

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

    fn interrupt(&self, number: &u64) -> impl Interruption<Infallible> + Send + use<> {
        let number = *number;
        async move {
            println!("{number} is never interrupted");
            pending().await
        }
    }
}
