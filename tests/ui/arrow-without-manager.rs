//! The arrow and the body, and no manager before them.

use async_with::async_with;

async fn transfer() {
    async_with! { => {
        println!("transfer");
    }}
}

fn main() {}
