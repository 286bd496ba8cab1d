//! A macro of the user's has the name of one that makes no loop of its arguments, and makes one.

use async_with::{async_with, nullcontext};

macro_rules! write {
    ($number:ident, $body:block) => {
        for $number in 0..2 {
            let _ = $number;
            $body
        }
    };
}

async fn first() {
    for _ in 0..3 {
        async_with! { nullcontext(()) => {
            write!(number, { break });
        }}
    }
}

fn main() {}
