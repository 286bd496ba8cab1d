//! A block that ends with a semicolon needs no `else`.

use async_with::async_with;
use async_with_tests::database::Database;

async fn count(db: &Database) -> u64 {
    let mut changed = 0;
    async_with! { db.best_effort() as session => {
        changed = session.changed;
    }};
    changed
}
