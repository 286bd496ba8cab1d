//! The closure of a stack's `callback` is not async.

use async_with::{async_with, prelude::*};

async fn visit() {
    async_with! { AsyncExitStack::new() as stack => {
        stack.callback(|| println!("goodbye"));
    }}
}

fn main() {}
