//! The block and the attribute, imported by name into one module.

use async_with::async_with;
use async_with::attr::async_with;
use async_with_tests::database::Database;

async fn transfer(db: &Database) {
    async_with! { db.session() as session => {
        session.changed += 1;
    }};
}

fn main() {}
