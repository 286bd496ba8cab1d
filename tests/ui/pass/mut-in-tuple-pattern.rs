//! The name is bound without `mut`, and copied in the body.

use async_with::async_with;
use async_with_tests::database::Database;

async fn balance(db: &Database) {
    async_with! { db.rows::<(u64, String)>() as (balance, name) => {
        let mut balance = *balance;
        balance += 1;
        println!("{name}: {balance}");
    }};
}
