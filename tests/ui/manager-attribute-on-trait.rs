//! The attribute for managers on a trait.

use async_with::prelude::*;

#[async_context_manager]
trait Lease {
    fn number(&self) -> u64;
}

fn main() {}
