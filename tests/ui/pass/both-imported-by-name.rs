//! The block is imported by name, and the attribute comes with the prelude.

use async_with::{async_with, prelude::*};
use async_with_tests::database::Database;

async fn transfer(db: &Database) {
    async_with! { db.session() as session => {
        session.changed += 1;
    }};
}

#[async_with(db.session() as session)]
async fn deposit(db: &Database) {
    session.changed += 1;
}
