//! The attribute with managers on a function that returns a future.

use std::future::Future;

use async_with::prelude::*;
use async_with_tests::database::Database;

#[attr::async_with(db.session() as session)]
fn transfer(db: &Database) -> impl Future<Output = ()> {
    async move {
        session.changed += 1;
    }
}

fn main() {}
