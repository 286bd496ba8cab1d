//! One more manager after the body.

use async_with::async_with;
use async_with_tests::database::{Database, DatabaseError};

async fn transfer(db: &Database) -> Result<(), DatabaseError> {
    async_with! { db.begin() as from => {
        from.run("UPDATE account").await?;
    }, db.begin() as to };
    Ok(())
}

fn main() {}
