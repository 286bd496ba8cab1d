//! A block macro of another crate, which tries again.

use async_with::nullcontext;

mod retrying {
    macro_rules! again {
        ($($tokens:tt)*) => {
            loop {
                async_with::async_with! { $($tokens)* }
            }
        };
    }
    pub(crate) use again as async_with;
}

async fn first() {
    for _ in 0..3 {
        async_with::async_with! { nullcontext(()) => {
            retrying::async_with! { nullcontext(()) => { continue } }
        }}
    }
}

fn main() {}
