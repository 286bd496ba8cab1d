//! A value that is not `Sync` is mentioned by reference, in a spawned task.

use std::cell::Cell;

use async_with::async_with;
use async_with_tests::database::Database;

async fn transfer(db: Database, counter: Cell<u64>) {
    tokio::spawn(async move {
        async_with! { db.session() as session => {
            counter.set(session.changed);
            tokio::task::yield_now().await;
        }};
    });
}

fn main() {}
