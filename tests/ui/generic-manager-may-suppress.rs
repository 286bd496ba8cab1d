//! The bound of a generic manager does not say that it never suppresses.

use std::io;

use async_with::{async_with, prelude::*};

async fn size<M: AsyncContextManager<Resource = Vec<u8>, Error = io::Error>>(
    file: M,
) -> io::Result<usize> {
    async_with! { file as file => { Ok(file.len()) } }
}

fn main() {}
