//! A synchronous lock in item position.

use std::sync::Mutex;

use async_with::async_with;

async fn deposit(balance: &Mutex<u64>) {
    async_with! { balance as balance => {
        *balance += 1;
    }}
}

fn main() {}
