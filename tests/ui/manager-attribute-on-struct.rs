//! The attribute for managers on a struct.

use async_with::prelude::*;

#[async_context_manager]
struct Lease {
    number: u64,
}

fn main() {
    let lease = Lease { number: 7 };
    println!("{}", lease.number);
}
