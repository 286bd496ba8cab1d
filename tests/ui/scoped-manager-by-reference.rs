//! A reference to a scoped manager in item position.

use async_with::{async_with, scoped_nullcontext};

async fn visit(name: &str) {
    let manager = scoped_nullcontext(name);
    async_with! { &manager as name => {
        println!("{name}");
    }}
}

fn main() {}
