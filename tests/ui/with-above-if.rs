//! `#[with(..)]` above an `if`.

use async_with::prelude::*;
use async_with_tests::database::Database;

#[attr::async_with]
async fn transfer(db: &Database, wanted: bool) {
    #[with(db.session() as session)]
    if wanted {
        session.changed += 1;
    }
}

fn main() {}
