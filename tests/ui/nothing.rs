//! Nothing between the delimiters.

use async_with::async_with;

async fn transfer() {
    async_with! {}
}

fn main() {}
