//! A closure is spawned, as a thread would be.

use async_with::{async_with, task_group};

async fn work() {
    async_with! { task_group() as group => {
        group.spawn(|| println!("working"));
    }}
}

fn main() {}
