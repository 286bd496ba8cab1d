//! The attribute on a closure.

use async_with::prelude::*;
use async_with_tests::database::Database;

async fn transfer(db: &Database) {
    let transfer = #[attr::async_with(db.session() as session)]
    async || {
        session.changed += 1;
    };
    transfer().await;
}

fn main() {}
