//! `#[with(..)]` above something that is not a block.

use async_with::prelude::*;
use async_with_tests::database::Database;

#[attr::async_with]
async fn transfer(db: &Database) {
    #[with(db.session() as session)]
    println!("{}", session.changed);
}

fn main() {}
