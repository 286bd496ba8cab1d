//! The attribute with managers on an enum.

use async_with::prelude::*;
use async_with_tests::database::Database;

#[attr::async_with(Database.session() as session)]
pub enum Account {
    Closed,
    Open(u64),
}

fn main() {}
