//! What a scoped manager borrows is bound before the block.

use std::convert::Infallible;

use async_with::{Cause, ScopedAsyncContextManager, async_with};

struct Reading<'a>(&'a str);

impl ScopedAsyncContextManager for Reading<'_> {
    type Resource = usize;
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<usize, Infallible> {
        Ok(self.0.len())
    }

    async fn exit(self, _: usize, _: Cause) -> Result<(), Infallible> {
        Ok(())
    }
}

async fn read(number: u32) {
    let digits = number.to_string();
    async_with! { Reading(&digits) as length => {
        println!("{length}");
    }};
}
