//! The task stays on its thread.

use async_with::async_with;
use async_with_tests::database::Database;

async fn transfer(db: Database) {
    tokio::task::spawn_local(async move {
        async_with! { db.local() as local => {
            println!("{local:?}");
        }};
    });
}
