//! The managers of a `join` do not have one error type.

use async_with::{async_with, join};
use async_with_tests::database::{Database, DatabaseError};

async fn transfer(db: &Database) -> Result<(), DatabaseError> {
    async_with! { join((db.begin(), db.session())) as (tx, session) => {
        tx.run("UPDATE account").await?;
        session.changed += 1;
    }};
    Ok(())
}

fn main() {}
