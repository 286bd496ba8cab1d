//! A name that does not exist, in a body.

use async_with::async_with;
use async_with_tests::database::Database;

async fn transfer(db: &Database) {
    async_with! { db.session() as session => {
        session.changed += amount;
    }};
}

fn main() {}
