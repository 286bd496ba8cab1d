//! The value is moved into the body.

use std::cell::Cell;

use async_with::async_with;
use async_with_tests::database::Database;

async fn transfer(db: Database, counter: Cell<u64>) {
    tokio::spawn(async move {
        async_with! { db.session() as session => {
            let counter = counter;
            counter.set(session.changed);
            tokio::task::yield_now().await;
        }};
    });
}
