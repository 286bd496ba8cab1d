//! The manager is taken out of the `Result`.

use async_with::async_with;
use async_with_tests::database::{Database, DatabaseError};

async fn transfer(db: &Database) -> Result<(), DatabaseError> {
    async_with! { db.try_begin()? as tx => {
        tx.run("UPDATE account").await?;
    }};
    Ok(())
}
