//! A manager whose error does not convert into the function's.

use std::io;

use async_with::async_with;
use async_with_tests::database::Database;

async fn transfer(db: &Database) -> io::Result<()> {
    async_with! { db.begin() as tx => {
        tx.changed += 1;
    }};
    Ok(())
}

fn main() {}
