//! A body, and no manager before it.

use async_with::async_with;
use async_with_tests::database::DatabaseError;

async fn transfer() -> Result<(), DatabaseError> {
    let mut changed = 0;
    async_with! {{
        changed += 1;
    }};
    println!("{changed}");
    Ok(())
}

fn main() {}
