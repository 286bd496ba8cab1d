//! An argument that the attribute does not have.

use async_with::prelude::*;
use async_with_tests::database::Database;

#[attr::async_with(timeout = 5, db.session() as session)]
async fn transfer(db: &Database) {
    session.changed += 1;
}

fn main() {}
