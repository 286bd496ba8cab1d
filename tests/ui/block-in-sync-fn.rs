//! A block in a function that is not async.

use async_with::async_with;
use async_with_tests::database::Database;

fn transfer(db: &Database) {
    async_with! { db.session() as session => {
        session.changed += 1;
    }};
}

fn main() {}
