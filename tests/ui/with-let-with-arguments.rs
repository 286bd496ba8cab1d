//! `#[with(..)]` above a `let`.

use async_with::prelude::*;
use async_with_tests::database::Database;

#[attr::async_with]
async fn transfer(db: &Database) {
    #[with(db.session() as session)]
    let changed = session.changed;
    println!("{changed}");
}

fn main() {}
