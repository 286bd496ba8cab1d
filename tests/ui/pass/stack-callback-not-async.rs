//! The closure of a stack's `callback` is async.

use async_with::{async_with, prelude::*};

async fn visit() {
    async_with! { AsyncExitStack::new() as stack => {
        stack.callback(async || println!("goodbye"));
    }}
}
