//! The attribute on a block.

use async_with::prelude::*;
use async_with_tests::database::Database;

async fn transfer(db: &Database) {
    #[attr::async_with(db.session() as session)]
    {
        session.changed += 1;
    }
}

fn main() {}
