//! A parameter is not `Send`, and the exit need not survive.

use std::convert::Infallible;
use std::rc::Rc;

use async_with::prelude::*;

#[async_context_manager(scoped)]
async fn lease(number: Rc<u64>) -> Result<u64, Infallible> {
    yield_!(*number);
}
