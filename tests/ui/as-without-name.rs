//! `as`, and no name after it.

use async_with::async_with;
use async_with_tests::database::{Database, DatabaseError};

async fn transfer(db: &Database) -> Result<(), DatabaseError> {
    async_with! { db.begin() as => {
        println!("in a transaction");
    }};
    Ok(())
}

fn main() {}
