//! The file is closed by `closing`.

use std::io;

use async_with::{async_with, closing};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

async fn write() -> io::Result<()> {
    async_with! { closing(File::create("greeting").await?) as file => {
        file.write_all(b"hello").await?;
    }};
    Ok(())
}
