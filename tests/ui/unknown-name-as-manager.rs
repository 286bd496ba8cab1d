//! A name that does not exist in item position.

use async_with::async_with;

async fn transfer() {
    async_with! { transaction() as tx => {
        let _ = tx;
    }};
}

fn main() {}
