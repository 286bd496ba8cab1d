//! Jumps of the caller's to its own loop, in a loop of a macro that has the same label.

use async_with::{async_with, nullcontext};

macro_rules! once_with {
    ($jump:block) => {
        async_with! { nullcontext(()) => { 'a: loop { $jump break 'a; } } }
    };
}

async fn first(skip: bool) {
    'a: loop {
        once_with!({
            if skip {
                continue 'a;
            }
            break 'a;
        });
    }
}

fn main() {}
