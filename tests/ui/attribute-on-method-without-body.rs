//! The attribute on a method of a trait, which has no body.

use async_with::prelude::*;
use async_with_tests::database::Database;

#[allow(async_fn_in_trait)]
pub trait Bank {
    #[attr::async_with(Database.session() as session)]
    async fn transfer(&self);
}

fn main() {}
