//! A macro with the name of the block: this one would leave a pointer to what is gone.

use std::convert::Infallible;
use std::future::pending;
use std::mem::forget;

use async_with::{nullcontext, prelude::*};
use futures::poll;

macro_rules! async_with {
    ($manager:expr => $body:block) => {{
        let mut body = Box::pin(async $body);
        let _ = poll!(&mut body);
        forget(body);
        ((),)
    }};
}

#[async_context_manager]
async fn dangling() -> Result<String, Infallible> {
    {
        let mut text = String::from("text");
        let lent = &mut text;
        async_with! { nullcontext(1) => { yield_!(&mut *lent); } }
    }
    pending::<()>().await
}

fn main() {}
