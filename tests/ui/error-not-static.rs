//! An error that borrows leaves a body.

use async_with::async_with;
use async_with_tests::database::Database;

async fn transfer<'a>(db: &Database, account: &'a str) -> Result<(), &'a str> {
    async_with! { db.session() as session => {
        if session.changed == 0 {
            return Err(account);
        }
    }};
    Ok(())
}

fn main() {}
