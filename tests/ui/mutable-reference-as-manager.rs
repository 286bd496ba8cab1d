//! A mutable reference to a manager in item position.

use async_with::async_with;
use async_with_tests::database::{Database, DatabaseError};

async fn transfer(db: &Database) -> Result<(), DatabaseError> {
    let mut manager = db.begin();
    async_with! { &mut manager as tx => {
        tx.run("UPDATE account").await?;
    }};
    Ok(())
}

fn main() {}
