//! The variable is taken out of an `Option`.

use async_with::async_with;
use async_with_tests::database::Database;

async fn transfer(db: &Database, account: String) -> Option<String> {
    let mut account = Some(account);
    async_with! { db.session() as session => {
        if session.changed > 0 {
            return account.take();
        }
    }};
    account.map(|account| account + " is untouched")
}
