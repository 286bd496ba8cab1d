//! `#[with] let` in a function without the attribute.

use async_with_tests::database::Database;

async fn transfer(db: &Database) {
    #[with]
    let session = db.session();
    println!("{session:?}");
}

fn main() {}
