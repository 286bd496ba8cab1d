// The feature `io` is off: nothing closes a file of tokio.

use async_with::{async_with, closing};
use tokio::fs::File;

async fn read(file: File) {
    async_with! { closing(file) as file => {
        let _ = file;
    }}
}

fn main() {
    let _ = read;
}
