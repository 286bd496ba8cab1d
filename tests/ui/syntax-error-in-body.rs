//! The body is not Rust.

use async_with::async_with;
use async_with_tests::database::{Database, DatabaseError};

async fn transfer(db: &Database) -> Result<(), DatabaseError> {
    async_with! { db.begin() as tx => {
        let changed = tx.run("UPDATE account").await?
        println!("{changed}");
    }};
    Ok(())
}

fn main() {}
