//! A future among the arguments of the attribute.

use async_with::prelude::*;
use async_with_tests::database::{Database, DatabaseError};

#[attr::async_with(db.connect() as tx)]
async fn transfer(db: &Database) -> Result<(), DatabaseError> {
    tx.run("UPDATE account").await?;
    Ok(())
}

fn main() {}
