//! Five mistakes in one block: one compilation shows them all.

use async_with::async_with;
use async_with_tests::database::{Database, DatabaseError};

async fn transfer(db: &Database) -> Result<(), DatabaseError> {
    async_with! {
        db.begin() as,
        as from,
        ,
        db.rows::<Option<u64>>() as Some(to),
        db.begin() as tx {
            println!("in a transaction");
        }
    };
    Ok(())
}

fn main() {}
