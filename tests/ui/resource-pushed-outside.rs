//! The resource is pushed to a list of the function's.

use async_with::async_with;
use async_with_tests::database::Database;

async fn transfer(db: &Database) {
    let mut kept = Vec::new();
    async_with! { db.session() as session => {
        kept.push(session);
    }};
    println!("{}", kept.len());
}

fn main() {}
