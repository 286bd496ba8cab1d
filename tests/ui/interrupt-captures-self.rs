//! `interrupt` without `use<..>`: what it returns captures `self`.

use std::convert::Infallible;
use std::future::{Future, pending};

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

    fn interrupt(&self, _: &u64) -> impl Future<Output = Infallible> + Send {
        pending()
    }
}

fn main() {}
