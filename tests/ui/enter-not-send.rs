//! The `enter` of a surviving manager holds something that is not `Send`.

use std::convert::Infallible;
use std::rc::Rc;

use async_with::prelude::*;

struct Lease;

impl AsyncContextManager for Lease {
    type Resource = u64;
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<u64, Infallible> {
        let number = Rc::new(7);
        tokio::task::yield_now().await;
        Ok(*number)
    }

    async fn exit(self, _: u64, _: Cause) -> Result<(), Infallible> {
        Ok(())
    }
}

fn main() {}
