//! The body ends with a semicolon, and a value is expected.

use async_with::async_with;
use async_with_tests::database::Database;

async fn count(db: &Database) -> u64 {
    async_with! { db.session() as session => {
        session.changed;
    }}
}

fn main() {}
