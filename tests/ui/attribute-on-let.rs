//! The attribute on a `let`, in place of `#[with]`.

use async_with::prelude::*;
use async_with_tests::database::Database;

async fn transfer(db: &Database) {
    #[attr::async_with]
    let session = db.session();
    println!("{session:?}");
}

fn main() {}
