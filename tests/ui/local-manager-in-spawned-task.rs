//! A manager that is not `Send`, in a spawned task.

use async_with::async_with;
use async_with_tests::database::Database;

async fn transfer(db: Database) {
    tokio::spawn(async move {
        async_with! { db.local() as local => {
            println!("{local:?}");
        }};
    });
}

fn main() {}
