//! The resource is assigned to a variable of the function.

use async_with::async_with;
use async_with_tests::database::Database;

async fn transfer(db: &Database) {
    let mut kept = None;
    async_with! { db.session() as session => {
        kept = Some(session);
    }};
    if let Some(session) = kept {
        session.changed += 1;
    }
}

fn main() {}
