//! A type after the name, as in `let`.

use async_with::async_with;
use async_with_tests::database::{Connection, Database, DatabaseError};

async fn transfer(db: &Database) -> Result<(), DatabaseError> {
    async_with! { db.begin() as tx: &mut Connection => {
        tx.run("UPDATE account").await?;
    }};
    Ok(())
}

fn main() {}
