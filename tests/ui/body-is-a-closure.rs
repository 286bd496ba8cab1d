//! The body is a closure that takes the resource.

use async_with::async_with;
use async_with_tests::database::{Database, DatabaseError};

async fn transfer(db: &Database) -> Result<(), DatabaseError> {
    async_with! { db.begin() => |tx| {
        println!("{}", tx.changed);
    }};
    Ok(())
}

fn main() {}
