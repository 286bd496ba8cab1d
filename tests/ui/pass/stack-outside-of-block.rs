//! The error of a stack that is in no block is written.

use std::io;

use async_with::prelude::*;

async fn visit() {
    let mut stack = AsyncExitStack::<io::Error>::new();
    stack.callback(async || println!("goodbye"));
    let _ = stack.close().await;
}
