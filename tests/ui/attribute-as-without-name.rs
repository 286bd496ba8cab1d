//! `as`, and no name after it, in the arguments of the attribute.

use async_with::prelude::*;
use async_with_tests::database::Database;

#[attr::async_with(db.session() as)]
async fn transfer(db: &Database) {
    println!("in a session");
}

fn main() {}
