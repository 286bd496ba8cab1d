//! The block of a suppressing stack has a value.

use async_with::prelude::*;

async fn renew() -> u64 {
    async_with! { AsyncExitStack::suppressing() as stack => {
        stack.callback(async || {});
        7
    }}
}

fn main() {}
