//! A variable of the function gets its first value in a body.

use async_with::async_with;
use async_with_tests::database::Database;

async fn count(db: &Database) -> u64 {
    let changed;
    async_with! { db.session() as session => {
        changed = session.changed;
    }};
    changed
}

fn main() {}
