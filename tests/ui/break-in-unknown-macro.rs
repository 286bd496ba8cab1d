//! `break` without a label, in the tokens of a macro that could be a loop of its own.

use async_with::async_with;
use async_with_tests::database::Database;

macro_rules! unless {
    ($condition:expr, $otherwise:expr) => {
        if !$condition {
            $otherwise
        }
    };
}

async fn transfer(db: &Database) {
    loop {
        async_with! { db.session() as session => {
            unless!(session.changed == 0, break);
        }};
    }
}

fn main() {}
