//! No `=>` between the manager and the body, which an `else` follows.

use async_with::async_with;
use async_with_tests::database::{Database, DatabaseError};

async fn transfer(db: &Database) -> Result<(), DatabaseError> {
    async_with! { db.begin() as tx {
        tx.run("UPDATE account").await?;
    } else {
        println!("rolled back");
    }};
    Ok(())
}

fn main() {}
