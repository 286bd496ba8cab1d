//! The resource is the body's value.

use async_with::async_with;
use async_with_tests::database::Database;

async fn transfer(db: &Database) {
    let session = async_with! { db.session() as session => { session } };
    session.changed += 1;
}

fn main() {}
