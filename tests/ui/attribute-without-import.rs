//! The block is imported, and the attribute is not.

use async_with::async_with;
use async_with_tests::database::Database;

#[async_with]
async fn transfer(db: &Database) {
    #[with]
    let session = db.session();
    session.changed += 1;
}

fn main() {}
