//! A generator that is not the macro's: this one would leave a pointer to what is gone.

use std::convert::Infallible;
use std::future::pending;
use std::mem::forget;

use async_with::Generated;
use async_with::expansion::{Yielder, surviving};
use futures::poll;

fn dangling() -> Generated<String, Infallible> {
    surviving(|yielder: Yielder<String, Infallible>| async move {
        {
            let mut text = String::from("text");
            let mut lent = Box::pin(yielder.permit().give(&mut text));
            let _ = poll!(&mut lent);
            forget(lent);
        }
        pending().await
    })
}

fn main() {}
