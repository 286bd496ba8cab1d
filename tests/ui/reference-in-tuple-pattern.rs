//! `&` inside of a pattern, where names bind by reference.

use async_with::async_with;
use async_with_tests::database::Database;

async fn balance(db: &Database) {
    async_with! { db.rows::<(u64, String)>() as (&balance, name) => {
        println!("{name}: {balance}");
    }};
}

fn main() {}
