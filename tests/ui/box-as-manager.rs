//! A box of something else in item position.

use async_with::async_with;

struct Session;

async fn visit(session: Box<Session>) {
    async_with! { session as session => {
        drop(session);
    }}
}

fn main() {}
