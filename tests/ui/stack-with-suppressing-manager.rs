//! The stack takes no manager that may suppress.

use async_with::prelude::*;

use async_with::move_on_after;

async fn renew() {
    async_with! { AsyncExitStack::new() as stack => {
        let _ = stack.enter(move_on_after(std::time::Duration::from_secs(1))).await;
    }}
}

fn main() {}
