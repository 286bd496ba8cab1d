//! `#[with] let` of a future: `.await` is missing.

use async_with::prelude::*;
use async_with_tests::database::{Database, DatabaseError};

#[attr::async_with]
async fn transfer(db: &Database) -> Result<(), DatabaseError> {
    #[with]
    let tx = db.connect();
    tx.run("UPDATE account").await?;
    Ok(())
}

fn main() {}
