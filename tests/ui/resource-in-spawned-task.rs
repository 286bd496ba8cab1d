//! The resource is moved into a spawned task.

use async_with::async_with;
use async_with_tests::database::Database;

async fn transfer(db: &Database) {
    async_with! { db.session() as session => {
        tokio::spawn(async move {
            session.changed += 1;
        });
    }};
}

fn main() {}
