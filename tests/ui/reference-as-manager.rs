//! A reference to a manager in item position.

use async_with::async_with;
use async_with_tests::database::{Database, DatabaseError};

async fn transfer(db: &Database) -> Result<(), DatabaseError> {
    let manager = db.begin();
    async_with! { &manager as tx => {
        tx.run("UPDATE account").await?;
    }};
    Ok(())
}

fn main() {}
