//! The resource leaves with `return`.

use async_with::async_with;
use async_with_tests::database::{Connection, Database};

async fn session(db: &mut Database) -> &mut Connection {
    async_with! { db.session() as session => {
        return session;
    }}
}

fn main() {}
