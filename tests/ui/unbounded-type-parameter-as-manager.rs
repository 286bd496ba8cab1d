//! A type parameter without the protocol as its bound.

use async_with::async_with;

async fn inside<M>(manager: M) {
    async_with! { manager => {
        println!("inside");
    }};
}

fn main() {}
