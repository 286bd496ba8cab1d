//! A macro has a `continue` in it, which leaves the body.

use async_with::{async_with, nullcontext};

macro_rules! skip {
    () => {
        continue
    };
}

async fn first() {
    for round in 0..3 {
        async_with! { nullcontext(()) => {
            println!("{}", if round == 1 { break } else { round });
            skip!();
        }}
    }
}

fn main() {}
