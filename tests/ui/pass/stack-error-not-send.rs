//! The error of the enclosing function, which is that of the stack, is `Send`.

use std::error::Error;

use async_with::{async_with, prelude::*};

async fn visit() -> Result<(), Box<dyn Error + Send + Sync>> {
    async_with! { AsyncExitStack::new() as stack => {
        stack.callback(async || println!("goodbye"));
    }}
    Ok(())
}
