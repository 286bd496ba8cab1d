//! A surviving manager borrows.
//!
//! Of lifetimes, rustc speaks in its own words only, wherever the bound `'static` is asked for: at the header and at each
//! future of the protocol. The lines of the protocol that it shows say more, in a comment. With `#[async_context_manager]`
//! there is one error.

use std::convert::Infallible;

use async_with::prelude::*;

struct Lease<'a>(&'a u64);

impl AsyncContextManager for Lease<'_> {
    type Resource = u64;
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<u64, Infallible> {
        Ok(*self.0)
    }

    async fn exit(self, _: u64, _: Cause) -> Result<(), Infallible> {
        Ok(())
    }
}

fn main() {}
