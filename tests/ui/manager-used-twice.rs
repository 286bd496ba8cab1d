//! A manager is used for a second block.

use async_with::async_with;
use async_with_tests::database::Database;

async fn transfer(db: &Database) {
    let manager = db.session();
    async_with! { manager as session => {
        session.changed += 1;
    }};
    async_with! { manager as session => {
        session.changed += 1;
    }};
}

fn main() {}
