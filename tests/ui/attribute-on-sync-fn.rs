//! The bare attribute on a function that is not async.

use async_with::prelude::*;
use async_with_tests::database::Database;

#[attr::async_with]
fn transfer(db: &Database) {
    #[with]
    let session = db.session();
    println!("{session:?}");
}

fn main() {}
