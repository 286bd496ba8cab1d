//! The managers of the bank and of the service, held to the protocol by the kit for those who write managers.

use std::sync::Arc;
use std::time::Duration;

use async_with::AsyncContextManager;
use async_with::testing::Conformance;
use async_with_examples::bank::Bank;
use async_with_examples::ledger::Order;
use async_with_examples::service::{Count, Service};
use sqlx::ConnectOptions as _;
use tokio::sync::Mutex;

const ORDER: Order = Order {
    number: 1,
    payer: "ann",
    payee: "bob",
    amount: 7,
};

/// How many of a manager can be entered at a time.
#[derive(PartialEq)]
enum AtATime {
    One,
    Several,
}

async fn check<M: AsyncContextManager>(
    at_a_time: AtATime,
    open: impl Fn() -> i64,
    make: impl FnMut() -> M,
) {
    let mut conformance = Conformance::new(make)
        .open_count(|| usize::try_from(open()).expect("nothing is closed twice"))
        // The database works in threads of its own, which may have to wait for the machine.
        .patience(Duration::from_secs(20));
    if at_a_time == AtATime::One {
        conformance = conformance.exclusive();
    }
    conformance.check().await.assert();
}

#[tokio::test]
async fn the_managers_of_the_bank_conform() {
    let directory = tempfile::tempdir().expect("there is room for a directory");
    let bank = Bank::open(directory.path(), &[]).await.expect("a new bank");
    let open = || bank.journal.open();
    check(AtATime::Several, open, || bank.audit(&ORDER)).await;
    check(AtATime::Several, open, || bank.cache()).await;
    check(AtATime::Several, open, || bank.connection()).await;
    let connection = bank.books.connect().await.expect("the books are there");
    let connection = Arc::new(Mutex::new(connection));
    check(AtATime::One, open, || bank.transaction(&connection)).await;
}

#[tokio::test]
async fn the_managers_of_the_service_conform() {
    let directory = tempfile::tempdir().expect("there is room for a directory");
    let service = Service::open(directory.path()).await.expect("a new bank");
    let open = |count: Count| count.opened - count.closed;
    let entries = || open(service.counts().entries);
    check(AtATime::Several, entries, || service.audit(&ORDER)).await;
    let connections = || open(service.counts().connections);
    check(AtATime::Several, connections, || service.connection()).await;
    let connection = service.connect().await.expect("the books are there");
    let connection = Arc::new(Mutex::new(connection));
    let transactions = || open(service.counts().transactions);
    check(AtATime::One, transactions, || {
        service.transaction(&connection)
    })
    .await;
}
