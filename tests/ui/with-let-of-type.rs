//! `#[with] let` with a type.

use async_with::prelude::*;
use async_with_tests::database::{Connection, Database};

#[attr::async_with]
async fn transfer(db: &Database) {
    #[with]
    let session: &mut Connection = db.session();
    session.changed += 1;
}

fn main() {}
