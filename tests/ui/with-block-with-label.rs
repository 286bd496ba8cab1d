//! `#[with(..)]` above a block that has a label.

use async_with::prelude::*;
use async_with_tests::database::Database;

#[attr::async_with]
async fn transfer(db: &Database) {
    #[with(db.session() as session)]
    'session: {
        if session.changed > 0 {
            break 'session;
        }
    }
}

fn main() {}
