//! A cast in parentheses, and one that is the whole item in two pairs of them.

use async_with::async_with;
use async_with_tests::database::{Database, Session};

async fn transfer(db: &Database) {
    async_with! { (db.session() as Session) as session => {
        session.changed += 1;
    }};
    async_with! { ((db.session() as Session)) => {
        println!("in a session");
    }};
}
