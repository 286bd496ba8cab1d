//! `break` with a label that does not exist.

use async_with::async_with;
use async_with_tests::database::Database;

async fn transfer(db: &Database) {
    loop {
        async_with! { db.session() as session => {
            session.changed += 1;
            break 'accounts;
        }};
    }
}

fn main() {}
