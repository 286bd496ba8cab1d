//! The attribute with managers on an `impl` block.

use async_with::prelude::*;
use async_with_tests::database::Database;

struct Bank(Database);

#[attr::async_with(self.0.session() as session)]
impl Bank {
    async fn transfer(&self) {
        println!("in a session");
    }
}

fn main() {
    drop(Bank(Database).transfer());
}
