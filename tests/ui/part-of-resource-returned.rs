//! A reference into the resource is the body's value.

use async_with::async_with;
use async_with_tests::database::Database;

async fn name(db: &Database) -> usize {
    let name = async_with! { db.rows::<String>() as name => { name.as_str() } };
    name.len()
}

fn main() {}
