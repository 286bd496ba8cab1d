//! A variant of an enum after `as`: only its type tells that it is not the only one.

use async_with::async_with;
use async_with_tests::database::Database;

#[derive(Default)]
enum Account {
    #[default]
    Closed,
    Open(u64),
}

async fn balance(db: &Database) {
    async_with! { db.rows::<Account>() as Account::Open(balance) => {
        println!("{balance}");
    }};
}

fn main() {}
