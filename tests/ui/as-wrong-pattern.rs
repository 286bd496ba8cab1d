//! A tuple pattern for a resource that is not a tuple.

use async_with::async_with;
use async_with_tests::database::Database;

async fn balance(db: &Database) {
    async_with! { db.rows::<String>() as (name, balance) => {
        println!("{name}: {balance}");
    }};
}

fn main() {}
