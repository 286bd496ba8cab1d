//! `tx = ..` in place of `.. as tx`.

use async_with::async_with;
use async_with_tests::database::{Database, DatabaseError};

async fn transfer(db: &Database) -> Result<(), DatabaseError> {
    async_with! { tx = db.begin() => {
        tx.run("UPDATE account").await?;
    }};
    Ok(())
}

fn main() {}
