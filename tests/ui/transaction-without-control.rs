//! A connection that `transaction` knows nothing of.

use async_with::{async_with, transaction};

struct Connection;

async fn transfer() {
    async_with! { transaction(Connection) as tx => {
        drop(tx);
    }}
}

fn main() {}
