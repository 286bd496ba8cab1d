//! A number in item position.

use async_with::async_with;

async fn wait() {
    async_with! { 30 as seconds => {
        println!("{seconds}");
    }};
}

fn main() {}
