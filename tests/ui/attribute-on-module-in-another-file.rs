//! The attribute on a module in another file.

use async_with::prelude::*;

#[attr::async_with]
mod bank;

fn main() {}
