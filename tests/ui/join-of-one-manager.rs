//! One manager, without a tuple, is given to `join`.

use async_with::{async_with, join};
use async_with_tests::database::Database;

async fn visit(db: &Database) {
    async_with! { join(db.session()) as session => {
        session.changed += 1;
    }};
}

fn main() {}
