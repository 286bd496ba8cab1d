//! A value that is not `Send` is held across an await of the body, in a spawned task.

use std::rc::Rc;

use async_with::async_with;
use async_with_tests::database::Database;

async fn transfer(db: Database) {
    tokio::spawn(async move {
        async_with! { db.session() as session => {
            let counter = Rc::new(1);
            tokio::task::yield_now().await;
            session.changed += *counter;
        }};
    });
}

fn main() {}
