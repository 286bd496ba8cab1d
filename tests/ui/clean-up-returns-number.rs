//! The clean-up of `manage` ends with a value.

use async_with::{async_with, manage};

async fn visit() {
    async_with! { manage(7, async |visits, _| visits) as visits => {
        *visits += 1;
    }};
}

fn main() {}
