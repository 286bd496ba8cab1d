//! The managers are given as a tuple.

use async_with::{async_with, join};
use async_with_tests::database::Database;

async fn visit(db: &Database) {
    async_with! { join((db.session(), db.session())) as (first, second) => {
        first.changed += second.changed;
    }};
}
