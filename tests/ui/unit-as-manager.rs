//! A function that returns nothing in item position.

use async_with::async_with;

fn begin() {}

async fn transfer() {
    async_with! { begin() => {
        println!("in a transaction");
    }};
}

fn main() {}
