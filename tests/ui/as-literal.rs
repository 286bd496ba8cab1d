//! A literal after `as`.

use async_with::async_with;
use async_with_tests::database::Database;

async fn count(db: &Database) {
    async_with! { db.rows::<u64>() as 0 => {
        println!("none");
    }};
}

fn main() {}
