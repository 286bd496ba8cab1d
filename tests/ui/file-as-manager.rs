//! A file of tokio's in item position, which `closing` makes a manager of.

use std::io;

use async_with::async_with;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

async fn write() -> io::Result<()> {
    async_with! { File::create("greeting").await? as file => {
        file.write_all(b"hello").await?;
    }};
    Ok(())
}

fn main() {}
