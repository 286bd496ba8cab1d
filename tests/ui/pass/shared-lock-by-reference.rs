//! What the `Arc` points to, or another `Arc`.

use std::sync::Arc;

use async_with::async_with;
use tokio::sync::Mutex;

struct Counter {
    count: Arc<Mutex<u64>>,
}

impl Counter {
    async fn next(&self) {
        async_with! { &*self.count as count => {
            **count += 1;
        }};
        async_with! { Arc::clone(&self.count) as count => {
            **count += 1;
        }};
    }
}
