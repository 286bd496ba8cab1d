//! The variable gets the block's value.

use async_with::async_with;
use async_with_tests::database::Database;

async fn count(db: &Database) -> u64 {
    let changed = async_with! { db.session() as session => { session.changed } };
    changed
}
