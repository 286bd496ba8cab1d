//! `=>` in the arguments of the attribute.

use async_with::prelude::*;
use async_with_tests::database::Database;

#[attr::async_with(db.session() as session => { session.changed += 1; })]
async fn transfer(db: &Database) {
    println!("{db:?}");
}

fn main() {}
