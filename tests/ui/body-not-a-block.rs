//! The body is an expression without braces.

use async_with::async_with;
use async_with_tests::database::{Database, DatabaseError};

async fn transfer(db: &Database) -> Result<u64, DatabaseError> {
    let changed = async_with! { db.begin() as tx => tx.run("UPDATE account").await? };
    Ok(changed)
}

fn main() {}
