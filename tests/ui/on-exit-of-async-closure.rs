//! The hook of `on_exit` is asynchronous.

use async_with::prelude::*;
use async_with_tests::database::Database;

async fn visit(db: &Database) {
    async_with! { db.session().on_exit(async |_, _| { println!("left"); }) as session => {
        session.changed += 1;
    }};
}

fn main() {}
