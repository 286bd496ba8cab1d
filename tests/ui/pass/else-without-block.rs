//! `else` with a block.

use async_with::async_with;
use async_with_tests::database::Database;

async fn count(db: &Database) -> u64 {
    async_with! { db.best_effort() as session => { session.changed } else { 0 } }
}
