//! The errors are converted.

use async_with::{join, prelude::*};
use async_with_tests::database::{Database, DatabaseError};

async fn transfer(db: &Database) -> Result<(), DatabaseError> {
    async_with! { join((db.begin(), db.session().map_err(|never| match never {}))) as (tx, session) => {
        tx.run("UPDATE account").await?;
        session.changed += 1;
    }};
    Ok(())
}
