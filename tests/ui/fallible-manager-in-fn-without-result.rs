//! A manager that can fail, in a function that returns nothing.

use async_with::async_with;
use async_with_tests::database::Database;

async fn transfer(db: &Database) {
    async_with! { db.begin() as tx => {
        tx.changed += 1;
    }};
}

fn main() {}
