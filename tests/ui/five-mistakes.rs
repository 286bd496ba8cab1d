//! Five mistakes in five blocks: one compilation shows them all.

use async_with::async_with;
use async_with_tests::database::{Database, DatabaseError};

async fn transfer(db: &Database) -> Result<(), DatabaseError> {
    async_with! { db.begin() as tx };
    async_with! { db.begin() as => { println!("second") } };
    async_with! { db.begin() as from, , db.begin() as to => { println!("third") } };
    async_with! { db.begin() as tx { println!("fourth") } };
    async_with! { db.rows::<u64>() as 0 => { println!("fifth") } };
    Ok(())
}

fn main() {}
