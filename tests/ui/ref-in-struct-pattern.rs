//! `ref` inside of a pattern, where names bind by reference.

use async_with::async_with;
use async_with_tests::database::{Connection, Database, DatabaseError};

async fn transfer(db: &Database) -> Result<(), DatabaseError> {
    async_with! { db.begin() as Connection { ref changed } => {
        println!("{changed}");
    }};
    Ok(())
}

fn main() {}
