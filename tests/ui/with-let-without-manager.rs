//! `#[with] let` without a manager.

use async_with::prelude::*;
use async_with_tests::database::Database;

#[attr::async_with]
async fn transfer(db: &Database) {
    #[with]
    let session;
    session = db.session();
    println!("{session:?}");
}

fn main() {}
