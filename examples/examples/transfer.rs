//! A bank that moves money between accounts in a database file, and loses none of it, however a transfer ends.
//!
//! ```text
//! cargo run -p async-with-examples --example transfer
//! ```
//!
//! Every transfer runs in one block with four managers: an audit log, a cache, a connection and a transaction. They
//! are in the library of this package, a page each. The program prints who is entered and exited, in order and with
//! the cause, then checks in the database that all is well, and fails if it is not. `transfer.txt` has what it prints.

use std::error::Error;
use std::fmt::{Debug, Display};
use std::future::pending;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use async_with::{async_with, drain, report};
use async_with_examples::audit;
use async_with_examples::bank::{Bank, Refused};
use async_with_examples::ledger::{self, Order};
use tokio::time::timeout;

/// Moves money from one account to another, once.
async fn transfer(bank: &Bank, order: Order, desk: Desk) -> Result<Receipt, Refused> {
    async_with! {
        bank.audit(&order),
        bank.cache() as balances,
        bank.connection() as connection,
        bank.transaction(connection) as books => {
            if ledger::is_booked(books, &order).await? {
                return Ok(Receipt::BookedBefore);
            }
            let left = ledger::withdraw(books, &order).await?;
            balances.insert(order.payer, left);
            bank.journal.say(format_args!("{} has {left} left", order.payer));

            // At this point the money is nowhere. Whatever happens now, it must not stay there.
            desk.approve(&order).await;

            if let Some(balance) = ledger::deposit(books, &order).await? {
                balances.insert(order.payee, balance);
            }
            Ok(Receipt::Booked)
        }
    }
}

/// Pays from the first account that has enough, and returns whose it was.
async fn pay_from_any(bank: &Bank, orders: &[Order]) -> Result<Option<&'static str>, Refused> {
    let mut orders = orders.iter();
    let payer = loop {
        let Some(order) = orders.next() else {
            break None;
        };
        async_with! {
            bank.audit(order),
            bank.cache() as balances,
            bank.connection() as connection,
            bank.transaction(connection) as books => {
                if ledger::balance(books, order.payer).await? < order.amount {
                    continue;
                }
                let left = ledger::withdraw(books, order).await?;
                balances.insert(order.payer, left);
                if let Some(balance) = ledger::deposit(books, order).await? {
                    balances.insert(order.payee, balance);
                }
                break Some(order.payer);
            }
        }
    };
    Ok(payer)
}

#[derive(Debug)]
enum Receipt {
    Booked,
    BookedBefore,
}

/// Who must approve of a transfer half-way.
enum Desk {
    Approves,
    Panics,
    NeverAnswers,
}

impl Desk {
    async fn approve(&self, order: &Order) {
        match self {
            Desk::Approves => tokio::task::yield_now().await,
            Desk::Panics => panic!("nobody at the desk knows {}", order.payee),
            Desk::NeverAnswers => pending().await,
        }
    }
}

/// Every way in which a transfer can end.
async fn business_day(bank: &Bank) -> Result<(), Box<dyn Error>> {
    let order = |number, payer, payee, amount| Order {
        number,
        payer,
        payee,
        amount,
    };

    println!("1. A transfer that succeeds");
    let first = order(1, "ann", "bob", 30);
    show(transfer(bank, first, Desk::Approves).await);

    println!("2. One that fails with `?`, because there is not enough money");
    let result = transfer(bank, order(2, "eve", "ann", 500), Desk::Approves).await;
    show(result);

    println!("3. One that returns early, because it was carried out before");
    show(transfer(bank, first, Desk::Approves).await);

    println!("4. A loop that goes on after the first account, and breaks out with the second");
    let rent = [order(3, "eve", "lea", 60), order(4, "ann", "lea", 60)];
    show(pay_from_any(bank, &rent).await);

    println!("5. One that cannot be committed, because nobody is called zoe");
    show(transfer(bank, order(5, "bob", "zoe", 20), Desk::Approves).await);

    println!("6. One that finds the books locked: its last enter fails");
    async_with! { bank.connection() as connection, bank.transaction(connection) => {
        show(transfer(bank, order(6, "bob", "ann", 5), Desk::Approves).await);
    }}

    println!("7. One that panics half-way");
    let panics = order(7, "lea", "ann", 25);
    let task = tokio::spawn({
        let bank = bank.clone();
        async move { transfer(&bank, panics, Desk::Panics).await }
    });
    show(task.await.map_err(|_| "the task panicked"));

    println!("8. One that is dropped half-way, by a timeout: its exits run on the runtime");
    let slow = order(8, "bob", "eve", 40);
    // Long enough to reach the desk on any machine: what is printed does not depend on the time.
    let patience = Duration::from_secs(1);
    show(timeout(patience, transfer(bank, slow, Desk::NeverAnswers)).await);
    drain().await;

    println!("9. The same order once more");
    show(transfer(bank, slow, Desk::Approves).await);
    Ok(())
}

fn show<T: Debug, E: Display>(result: Result<T, E>) {
    match result {
        Ok(value) => println!("   = {value:?}"),
        Err(error) => println!("   = error: {error}"),
    }
}

/// Prints what the day has left behind, and returns whether it is as it should be.
async fn inspect(bank: &Bank, reports: Vec<String>) -> Result<bool, Box<dyn Error>> {
    println!("The audit log");
    for (what, ended) in audit::entries(&bank.log).await? {
        println!("   {what}: {}", ended.as_deref().unwrap_or("not ended"));
    }
    println!("What must not be");
    let mut counts = bank.inspect().await?;
    counts.push((
        "errors that nobody was told of",
        i64::try_from(reports.len())?,
    ));
    for (what, count) in &counts {
        println!("   {what}: {count}");
    }
    for report in reports {
        println!("   {report}");
    }
    Ok(counts.iter().all(|(_, count)| *count == 0))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let accounts = [("ann", 100), ("bob", 50), ("eve", 10), ("lea", 0)];
    let bank = Bank::open(directory.path(), &accounts).await?;

    // A panic is one line among the others, in place of Rust's own on standard error.
    let journal = bank.journal.clone();
    std::panic::set_hook(Box::new(move |panic| {
        let message = panic.payload_as_str().unwrap_or("no message");
        journal.say(format_args!("panic: {message}"));
    }));
    // The error of an exit goes here when it cannot be raised. There is none on this day.
    let (sender, reports) = mpsc::channel();
    report::set_sink(move |entry| drop(sender.send(entry.to_string())));

    business_day(&bank).await?;
    drain().await;

    let (verdict, code) = if inspect(&bank, reports.try_iter().collect()).await? {
        ("All is well.", ExitCode::SUCCESS)
    } else {
        ("All is not well.", ExitCode::FAILURE)
    };
    println!("{verdict}");
    Ok(code)
}
