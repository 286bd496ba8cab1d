//! `None` after `as`.

use async_with::async_with;
use async_with_tests::database::Database;

async fn first(db: &Database) {
    async_with! { db.rows::<Option<String>>() as None => {
        println!("no row");
    }};
}

fn main() {}
