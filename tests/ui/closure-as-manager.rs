//! A closure in item position: it is not called.

use async_with::async_with;
use async_with_tests::database::{Database, DatabaseError};

async fn transfer(db: &Database) -> Result<(), DatabaseError> {
    let begin = || db.begin();
    async_with! { begin as tx => {
        tx.run("UPDATE account").await?;
    }};
    Ok(())
}

fn main() {}
