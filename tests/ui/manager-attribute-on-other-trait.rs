//! The attribute for managers on an `impl` of a trait that is none of the two.

use async_with::prelude::*;

struct Lease;

#[async_context_manager]
impl Drop for Lease {
    fn drop(&mut self) {}
}

fn main() {}
