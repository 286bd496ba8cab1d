//! A manager that can fail is entered through a stack in a function that returns no `Result`.

use std::time::Duration;

use async_with::{async_with, prelude::*, timeout};

async fn visit() {
    async_with! { AsyncExitStack::new() as stack => {
        let _ = stack.enter(timeout(Duration::from_secs(1))).await;
    }}
}

fn main() {}
