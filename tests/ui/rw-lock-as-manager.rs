//! A lock for readers and writers in item position.

use async_with::async_with;
use tokio::sync::RwLock;

async fn deposit(balance: &RwLock<u64>) {
    async_with! { balance as balance => {
        *balance += 1;
    }}
}

fn main() {}
