//! With a label, the break leaves the block from any macro's arguments.

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
    'accounts: loop {
        async_with! { db.session() as session => {
            unless!(session.changed == 0, break 'accounts);
        }};
    }
}
