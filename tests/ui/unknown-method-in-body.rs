//! A method that the resource does not have.

use async_with::async_with;
use async_with_tests::database::Database;

async fn transfer(db: &Database) {
    async_with! { db.session() as session => {
        session.execute("UPDATE account");
    }};
}

fn main() {}
