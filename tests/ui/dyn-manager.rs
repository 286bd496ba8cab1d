//! A trait object of the protocol.
//!
//! What is said of a trait that has no `dyn` is rustc's own. The documentation of the trait says what to write.

use std::io;

use async_with::prelude::*;

struct Pool {
    session: Box<dyn AsyncContextManager<Resource = u64, Error = io::Error, Exit = ()>>,
}

fn main() {}
