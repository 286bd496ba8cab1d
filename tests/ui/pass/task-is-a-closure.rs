//! A block is spawned.

use async_with::{async_with, task_group};

async fn work() {
    async_with! { task_group() as group => {
        group.spawn(async move { println!("working") });
    }}
}
