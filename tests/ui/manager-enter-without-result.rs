//! `enter` returns the resource itself, as `__aenter__` does.

use std::convert::Infallible;

use async_with::prelude::*;

struct Lease;
struct Number(u64);

#[async_context_manager]
impl AsyncContextManager for Lease {
    async fn enter(&mut self) -> Number {
        Number(7)
    }

    async fn exit(self, _: Number, _: Cause) -> Result<(), Infallible> {
        Ok(())
    }
}

async fn renew() {
    async_with! { Lease as number => { number.0 += 1; } }
}

fn main() {}
