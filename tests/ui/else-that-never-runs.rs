//! An `else` of a block in which nothing suppresses a failure.

use std::time::Duration;

use async_with::{Elapsed, async_with, nullcontext, timeout};

async fn receive() -> Result<u64, Elapsed> {
    let number = async_with! { timeout(Duration::from_secs(1)), nullcontext(7) as number => {
        tokio::task::yield_now().await;
        *number
    } else {
        0
    }};
    Ok(number)
}

fn main() {}
