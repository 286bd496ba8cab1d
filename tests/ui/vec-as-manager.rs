//! Several managers in one item.

use async_with::async_with;
use async_with_tests::database::{Database, DatabaseError};

async fn transfer(db: &Database) -> Result<(), DatabaseError> {
    async_with! { vec![db.begin(), db.begin()] as both => {
        println!("{}", both.len());
    }};
    Ok(())
}

fn main() {}
