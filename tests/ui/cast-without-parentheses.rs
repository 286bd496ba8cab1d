//! A cast in the manager's expression, without parentheses.

use async_with::async_with;
use async_with_tests::database::{Database, Session};

async fn transfer(db: &Database) {
    async_with! { db.session() as Session as session => {
        session.changed += 1;
    }};
}

fn main() {}
