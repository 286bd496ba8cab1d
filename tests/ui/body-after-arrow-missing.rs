//! A manager and an arrow, and no body.

use async_with::async_with;
use async_with_tests::database::{Database, DatabaseError};

async fn transfer(db: &Database) -> Result<(), DatabaseError> {
    async_with! { db.begin() as tx => };
    Ok(())
}

fn main() {}
