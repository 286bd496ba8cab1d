//! A list of managers with none in it.

use async_with::async_with;

async fn transfer() {
    async_with! { () => {
        println!("transfer");
    }}
}

fn main() {}
