//! An error that is not `Debug` leaves a body with a `break`.

use async_with::async_with;
use async_with_tests::database::Database;

struct Refused;

async fn transfer(db: &Database, amount: u64) -> Option<u64> {
    let changed = 'transfer: {
        async_with! { db.session() as session => {
            if amount > session.changed {
                break 'transfer Err(Refused);
            }
        }}
        Ok(amount)
    };
    changed.ok()
}

fn main() {}
