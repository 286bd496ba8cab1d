//! What it keeps is not `Send`, and its exit is to survive. See `generator-parameter-not-send`.

use std::convert::Infallible;

use async_with::prelude::*;

#[async_context_manager]
async fn lease() -> Result<u64, Infallible> {
    let shared = std::rc::Rc::new(7);
    yield_!(&mut *shared.clone());
    drop(shared);
}

fn main() {}
