//! A string in item position.

use async_with::async_with;

async fn read() {
    async_with! { "accounts.csv" as file => {
        println!("{file}");
    }};
}

fn main() {}
