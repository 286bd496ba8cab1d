//! The attribute is imported, and the block is not.

use async_with::attr::async_with;
use async_with_tests::database::Database;

async fn transfer(db: &Database) {
    async_with! { db.session() as session => {
        session.changed += 1;
    }};
}

fn main() {}
