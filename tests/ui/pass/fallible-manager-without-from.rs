//! The function's error converts from the manager's.

use async_with::async_with;
use async_with_tests::database::{Database, DatabaseError};

#[derive(Debug)]
struct Refused(DatabaseError);

impl From<DatabaseError> for Refused {
    fn from(error: DatabaseError) -> Self {
        Self(error)
    }
}

async fn transfer(db: &Database) -> Result<u64, Refused> {
    Ok(async_with! { db.begin() as tx => { tx.changed } })
}
