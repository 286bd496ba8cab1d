//! The closure is async.

use async_with::async_with;
use async_with_tests::database::Database;

async fn transfer(db: &Database) {
    let transfer = async || {
        async_with! { db.session() as session => {
            session.changed += 1;
        }};
    };
    transfer().await;
}
