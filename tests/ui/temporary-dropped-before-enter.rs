//! A scoped manager borrows from a temporary of its item.

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
    async_with! { Reading(&number.to_string()) as length => {
        println!("{length}");
    }};
}

fn main() {}
