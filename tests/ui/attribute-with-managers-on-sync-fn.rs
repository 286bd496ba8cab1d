//! The attribute with managers on a function that is not async.

use async_with::prelude::*;
use async_with_tests::database::Database;

#[attr::async_with(db.session() as session)]
fn transfer(db: &Database) {
    session.changed += 1;
}

fn main() {}
