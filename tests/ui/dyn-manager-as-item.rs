//! A trait object of the protocol in item position.

use async_with::async_with;
use async_with::prelude::*;

async fn renew(lease: Box<dyn AsyncContextManager>) {
    async_with! { lease as lease => {
        println!("{lease}");
    }}
}

fn main() {}
