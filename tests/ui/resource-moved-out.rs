//! The resource is taken by value.

use async_with::async_with;
use async_with_tests::database::Database;

async fn transfer(db: &Database) {
    async_with! { db.session() as session => {
        let owned = *session;
        drop(owned);
    }};
}

fn main() {}
