//! A `let` in place of `as`.

use async_with::async_with;
use async_with_tests::database::{Database, DatabaseError};

async fn transfer(db: &Database) -> Result<(), DatabaseError> {
    async_with! { let tx = db.begin() => {
        tx.run("UPDATE account").await?;
    }};
    Ok(())
}

fn main() {}
