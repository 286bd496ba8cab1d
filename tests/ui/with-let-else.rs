//! `#[with] let` with an `else`.

use async_with::prelude::*;
use async_with_tests::database::Database;

#[attr::async_with]
async fn transfer(db: &Database) {
    #[with]
    let session = db.session() else {
        return;
    };
    session.changed += 1;
}

fn main() {}
