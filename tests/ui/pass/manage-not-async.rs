//! The clean-up of `manage` is async.

use async_with::{async_with, manage};

async fn visit() {
    async_with! { manage(vec![1], async |list, _| drop(list)) as list => {
        list.push(2);
    }}
}
