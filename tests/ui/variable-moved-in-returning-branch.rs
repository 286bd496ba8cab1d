//! A variable is moved in a branch that returns, and used after the block.

use async_with::async_with;
use async_with_tests::database::Database;

async fn transfer(db: &Database, account: String) -> String {
    async_with! { db.session() as session => {
        if session.changed > 0 {
            return account;
        }
    }};
    account + " is untouched"
}

fn main() {}
