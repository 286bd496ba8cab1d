//! The body's value is not what the function returns.

use async_with::async_with;
use async_with_tests::database::Database;

async fn count(db: &Database) -> u64 {
    async_with! { db.session() as session => {
        session.changed.to_string()
    }}
}

fn main() {}
