//! A future is given to `callback`, which takes a function.

use async_with::{async_with, callback};

async fn say_goodbye() {}

async fn visit() {
    async_with! { callback(say_goodbye()) => {
        println!("hello");
    }};
}

fn main() {}
