//! What is entered is no manager.

use async_with::prelude::*;

async fn renew() -> Result<(), std::io::Error> {
    async_with! { AsyncExitStack::new() as stack => {
        stack.enter(7).await?;
    }}
    Ok(())
}

fn main() {}
