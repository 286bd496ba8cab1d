//! The closure of a `callback` is not async.

use async_with::{async_with, callback};

async fn visit() {
    async_with! { callback(|| println!("goodbye")) => {
        println!("hello");
    }}
}

fn main() {}
