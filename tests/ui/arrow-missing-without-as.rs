//! No `=>`, and no `as` either: the body could be a struct literal.

use async_with::async_with;
use async_with_tests::database::{Database, DatabaseError};

async fn transfer(db: &Database) -> Result<(), DatabaseError> {
    async_with! { db.begin() {
        println!("in a transaction");
    }};
    Ok(())
}

fn main() {}
