//! A parameter is not `Send`, and the exit is to survive.
//!
//! Where a future is not `Send`, rustc shows the value at fault, in its own words. The line of ours that it shows says more,
//! in a comment.

use std::convert::Infallible;
use std::rc::Rc;

use async_with::prelude::*;

#[async_context_manager]
async fn lease(number: Rc<u64>) -> Result<u64, Infallible> {
    yield_!(*number);
}

fn main() {}
