//! The guard of tokio's lock in item position, where the lock itself belongs.

use async_with::async_with;
use tokio::sync::Mutex;

async fn deposit(balance: &Mutex<u64>) {
    async_with! { balance.lock().await as balance => {
        **balance += 1;
    }};
}

fn main() {}
