//! `#[with] let` in a closure that is not async.

use async_with::prelude::*;
use async_with_tests::database::Database;

#[attr::async_with]
async fn transfer(db: &Database) {
    let transfer = || {
        #[with]
        let session = db.session();
        session.changed += 1;
    };
    transfer();
}

fn main() {}
