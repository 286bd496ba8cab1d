//! An error that is not `Debug` leaves a body.

use async_with::async_with;
use async_with_tests::database::Database;

struct Refused;

async fn transfer(db: &Database, amount: u64) -> Result<(), Refused> {
    async_with! { db.session() as session => {
        if amount > session.changed {
            return Err(Refused);
        }
    }};
    Ok(())
}

fn main() {}
