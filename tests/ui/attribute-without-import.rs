//! The attribute without the module that it is in: the name alone is that of the block.
//!
//! What rustc says about it cannot be changed: the name is found, and is a macro of another kind.

use async_with::prelude::*;
use async_with_tests::database::Database;

#[async_with]
async fn transfer(db: &Database) {
    #[with]
    let session = db.session();
    session.changed += 1;
}

fn main() {}
