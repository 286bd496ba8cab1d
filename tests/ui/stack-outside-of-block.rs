//! Nothing tells the error of a stack that is in no block.
//!
//! What is said of a type that nothing tells is rustc's own. The line of ours that it shows says more, in a comment.

use async_with::prelude::*;

async fn visit() {
    let mut stack = AsyncExitStack::new();
    stack.callback(async || println!("goodbye"));
    let _ = stack.close().await;
}

fn main() {}
