//! A generator that borrows is entered through a stack.

use std::io;

use async_with::{async_with, prelude::*};

#[async_context_manager]
async fn lease(number: &u64) -> io::Result<u64> {
    yield_!(*number);
}

async fn renew(number: u64) -> io::Result<()> {
    async_with! { AsyncExitStack::new() as stack => {
        stack.enter(lease(&number)).await?;
    }}
    Ok(())
}

fn main() {}
