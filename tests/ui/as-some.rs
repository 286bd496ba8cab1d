//! `Some(..)` after `as`.

use async_with::async_with;
use async_with_tests::database::Database;

async fn first(db: &Database) {
    async_with! { db.rows::<Option<String>>() as Some(row) => {
        println!("{row}");
    }};
}

fn main() {}
