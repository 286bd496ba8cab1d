//! A scoped manager is entered through a stack.

use async_with::{async_with, prelude::*, scoped_nullcontext};

async fn visit(name: &str) {
    async_with! { AsyncExitStack::new() as stack => {
        let _ = stack.enter(scoped_nullcontext(name)).await;
    }}
}

fn main() {}
