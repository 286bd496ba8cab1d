//! The body stands behind the delimiters, as it does in Python.

use async_with::async_with;
use async_with_tests::database::{Database, DatabaseError};

async fn transfer(db: &Database) -> Result<(), DatabaseError> {
    async_with!(db.begin() as tx) {
        tx.run("UPDATE account").await?;
    }
    Ok(())
}

fn main() {}
