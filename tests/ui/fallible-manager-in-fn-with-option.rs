//! A manager that can fail, in a function that returns an `Option`.

use async_with::async_with;
use async_with_tests::database::Database;

async fn transfer(db: &Database) -> Option<u64> {
    let changed = async_with! { db.begin() as tx => {
        tx.changed
    }};
    Some(changed)
}

fn main() {}
