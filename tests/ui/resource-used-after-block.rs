//! The resource is used after its block.

use async_with::async_with;
use async_with_tests::database::Database;

async fn transfer(db: &Database) {
    async_with! { db.session() as session => {
        session.changed += 1;
    }};
    println!("{}", session.changed);
}

fn main() {}
