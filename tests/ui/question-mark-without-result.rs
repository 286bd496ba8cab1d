//! `?` in a body, in a function that returns nothing.

use async_with::async_with;
use async_with_tests::database::Database;

async fn transfer(db: &Database) {
    async_with! { db.session() as session => {
        session.run("UPDATE account").await?;
    }};
}

fn main() {}
