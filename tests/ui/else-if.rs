//! `else if` after the body.

use async_with::async_with;
use async_with_tests::database::Database;

async fn count(db: &Database, retry: bool) -> u64 {
    async_with! { db.best_effort() as session => { session.changed } else if retry { 1 } else { 0 } }
}

fn main() {}
