//! `#[with]` above a block, without managers.

use async_with::prelude::*;
use async_with_tests::database::Database;

#[attr::async_with]
async fn transfer(db: &Database) {
    let session = db.session();
    #[with]
    {
        println!("{session:?}");
    }
}

fn main() {}
