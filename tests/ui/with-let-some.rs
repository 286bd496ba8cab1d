//! `#[with] let` with a pattern that may not match.

use async_with::prelude::*;
use async_with_tests::database::Database;

#[attr::async_with]
async fn first(db: &Database) {
    #[with]
    let Some(row) = db.rows::<Option<String>>();
    println!("{row}");
}

fn main() {}
