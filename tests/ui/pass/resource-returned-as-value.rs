//! What outlives the block is copied or cloned out of the resource.

use async_with::async_with;
use async_with_tests::database::Database;

async fn name(db: &Database) -> String {
    async_with! { db.rows::<String>() as name => { name.clone() } }
}
