//! The body is not Rust, and has a `break` in it.

use async_with::async_with;
use async_with_tests::database::{Database, DatabaseError};

async fn transfer(db: &Database) -> Result<(), DatabaseError> {
    loop {
        async_with! { db.begin() as tx => {
            let changed = tx.run("UPDATE account").await?
            break;
        }};
    }
}

fn main() {}
