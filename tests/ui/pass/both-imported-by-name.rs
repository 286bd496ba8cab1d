//! Both come with the prelude, the attribute in a module of its own.

use async_with::prelude::*;
use async_with_tests::database::Database;

async fn transfer(db: &Database) {
    async_with! { db.session() as session => {
        session.changed += 1;
    }};
}

#[attr::async_with(db.session() as session)]
async fn deposit(db: &Database) {
    session.changed += 1;
}
