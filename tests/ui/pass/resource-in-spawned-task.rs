//! The task gets its own block.

use async_with::async_with;
use async_with_tests::database::Database;

async fn transfer(db: Database) {
    tokio::spawn(async move {
        async_with! { db.session() as session => {
            session.changed += 1;
        }};
    });
}
