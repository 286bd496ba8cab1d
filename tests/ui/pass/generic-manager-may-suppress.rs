//! The bound of a generic manager says that it never suppresses, or the block says what its value is then.

use std::io;

use async_with::{async_with, prelude::*};

async fn size<M>(file: M) -> io::Result<usize>
where
    M: AsyncContextManager<Resource = Vec<u8>, Error = io::Error, Exit = ()>,
{
    async_with! { file as file => { Ok(file.len()) } }
}

async fn size_or_zero<M>(file: M) -> io::Result<usize>
where
    M: AsyncContextManager<Resource = Vec<u8>, Error = io::Error>,
{
    async_with! { file as file => { Ok(file.len()) } else { Ok(0) } }
}
