//! The error owns what it says.

use async_with::async_with;
use async_with_tests::database::Database;

async fn transfer(db: &Database, account: &str) -> Result<(), String> {
    async_with! { db.session() as session => {
        if session.changed == 0 {
            return Err(account.to_owned());
        }
    }};
    Ok(())
}
