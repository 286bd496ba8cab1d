//! A pattern that may not match is looked at in the body.

use async_with::async_with;
use async_with_tests::database::Database;

async fn first(db: &Database) {
    async_with! { db.rows::<Option<String>>() as row => {
        if let Some(row) = row {
            println!("{row}");
        }
    }};
}
