//! The hook of `on_exit` takes too few arguments.

use async_with::prelude::*;
use async_with_tests::database::Database;

async fn visit(db: &Database) {
    async_with! { db.session().on_exit(|session| println!("{}", session.changed)) as session => {
        session.changed += 1;
    }};
}

fn main() {}
