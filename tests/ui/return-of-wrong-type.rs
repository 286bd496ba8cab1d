//! `return` in a body, with a value that the function does not return.

use async_with::async_with;
use async_with_tests::database::Database;

async fn count(db: &Database) -> u64 {
    async_with! { db.session() as session => {
        if session.changed > 9 {
            return "many";
        }
    }};
    0
}

fn main() {}
