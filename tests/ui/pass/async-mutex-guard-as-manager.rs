//! The lock itself is the manager.

use async_with::async_with;
use tokio::sync::Mutex;

async fn deposit(balance: &Mutex<u64>) {
    async_with! { balance as balance => {
        **balance += 1;
    }};
}
