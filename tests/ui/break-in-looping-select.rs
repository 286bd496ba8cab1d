//! A `select!` of the user's, which goes on until a branch breaks it.

use async_with::{async_with, nullcontext};

macro_rules! select {
    ($pattern:pat = $future:expr => $handler:expr) => {
        loop {
            let $pattern = $future.await;
            $handler
        }
    };
}

async fn first() {
    for _ in 0..3 {
        async_with! { nullcontext(()) => {
            select! { () = std::future::ready(()) => break };
        }}
    }
}

fn main() {}
