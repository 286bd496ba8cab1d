//! A type that implements both protocols.

use std::convert::Infallible;

use async_with::{AsyncContextManager, Cause, ScopedAsyncContextManager, async_with};

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
}

impl ScopedAsyncContextManager for Lease {
    type Resource = u64;
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<u64, Infallible> {
        Ok(7)
    }

    async fn exit(self, _: u64, _: Cause) -> Result<(), Infallible> {
        Ok(())
    }
}

async fn renew() {
    async_with! { Lease as number => {
        println!("{number}");
    }};
}

fn main() {}
