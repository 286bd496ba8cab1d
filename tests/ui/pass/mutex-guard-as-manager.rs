//! The guard is bound in a body.

use std::sync::Mutex;

use async_with::async_with;
use async_with_tests::database::Database;

async fn deposit(db: &Database, balance: &Mutex<u64>) {
    async_with! { db.session() as session => {
        let mut balance = balance.lock().unwrap();
        *balance += session.changed;
    }};
}
