//! The closure of a `callback` is async.

use async_with::{async_with, callback};

async fn visit() {
    async_with! { callback(async || println!("goodbye")) => {
        println!("hello");
    }}
}
