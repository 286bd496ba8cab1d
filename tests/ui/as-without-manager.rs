//! `as`, and no manager before it.

use async_with::async_with;
use async_with_tests::database::{Database, DatabaseError};

async fn transfer(db: &Database) -> Result<(), DatabaseError> {
    async_with! { db.begin() as from, as to => {
        from.run("UPDATE account").await?;
        to.run("UPDATE account").await?;
    }};
    Ok(())
}

fn main() {}
