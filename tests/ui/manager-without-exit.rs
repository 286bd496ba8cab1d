//! `exit` is left to `Drop`.

use std::convert::Infallible;

use async_with::prelude::*;

struct Lease;

#[async_context_manager]
impl AsyncContextManager for Lease {
    async fn enter(&mut self) -> Result<u64, Infallible> {
        Ok(7)
    }
}

async fn renew() {
    async_with! { Lease => {} }
}

fn main() {}
