//! The error is converted before it leaves.

use async_with::async_with;
use async_with_tests::database::Database;

struct Refused;

async fn transfer(db: &Database, amount: u64) -> Result<(), &'static str> {
    async_with! { db.session() as session => {
        check(amount, session.changed).map_err(|Refused| "refused")?;
    }};
    Ok(())
}

fn check(amount: u64, limit: u64) -> Result<(), Refused> {
    if amount > limit { Err(Refused) } else { Ok(()) }
}
