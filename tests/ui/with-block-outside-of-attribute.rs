//! `#[with(..)]` above a block, in a function without the attribute.

use async_with_tests::database::Database;

async fn transfer(db: &Database) {
    #[with(db.session() as session)]
    {
        println!("in a session");
    }
}

fn main() {}
