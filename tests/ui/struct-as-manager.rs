//! A type that implements neither protocol.

use async_with::async_with;

struct Transaction;

async fn transfer() {
    async_with! { Transaction as tx => {
        let _ = tx;
    }};
}

fn main() {}
