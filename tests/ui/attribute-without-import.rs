//! The attribute without the module that it is in: the name alone is that of the block.
//!
//! The message is rustc's: the name is found, and is a macro of another kind. Of attributes it would propose one in scope
//! that is spelled much like it, and there is none.

use async_with::prelude::*;
use async_with_tests::database::Database;

#[async_with]
async fn transfer(db: &Database) {
    #[with]
    let session = db.session();
    session.changed += 1;
}

fn main() {}
