//! The accounts and bookings, and the statements that change them.

use std::fmt::{self, Display, Formatter};

use sqlx::SqliteConnection;

use crate::bank::Refused;

/// The tables. That the accounts of a booking exist is checked when it is committed, so that a commit can fail.
pub const SCHEMA: &str = "
    CREATE TABLE account (
        name TEXT PRIMARY KEY,
        opening INTEGER NOT NULL,
        balance INTEGER NOT NULL CHECK (balance >= 0)
    ) STRICT;
    CREATE TABLE booking (
        number INTEGER PRIMARY KEY,
        payer TEXT NOT NULL REFERENCES account DEFERRABLE INITIALLY DEFERRED,
        payee TEXT NOT NULL REFERENCES account DEFERRABLE INITIALLY DEFERRED,
        amount INTEGER NOT NULL CHECK (amount > 0)
    ) STRICT;
";

/// What must be zero in books that are in order.
pub const INSPECTIONS: [(&str, &str); 4] = [
    (
        "money made or lost",
        "SELECT sum(balance) - sum(opening) FROM account",
    ),
    (
        "accounts that differ from their bookings",
        "SELECT count(*) FROM account WHERE balance <> opening
            + (SELECT coalesce(sum(amount), 0) FROM booking WHERE payee = name)
            - (SELECT coalesce(sum(amount), 0) FROM booking WHERE payer = name)",
    ),
    (
        "bookings without an account",
        "SELECT count(*) FROM pragma_foreign_key_check",
    ),
    (
        "faults in the file",
        "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
    ),
];

/// An order to pay.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// Different for every order, so that none is carried out twice.
    pub number: i64,
    /// Who pays.
    pub payer: &'static str,
    /// Who is paid.
    pub payee: &'static str,
    /// How much.
    pub amount: i64,
}

impl Display for Order {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Order {
            payer,
            payee,
            amount,
            ..
        } = self;
        write!(f, "{payer} pays {payee} {amount}")
    }
}

/// Opens an account.
///
/// # Errors
///
/// When there is one of that name.
pub async fn open_account(
    books: &mut SqliteConnection,
    name: &str,
    balance: i64,
) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO account (name, opening, balance) VALUES (?1, ?2, ?2)")
        .bind(name)
        .bind(balance)
        .execute(books)
        .await?;
    Ok(())
}

/// How much an account has.
///
/// # Errors
///
/// When there is no such account.
pub async fn balance(books: &mut SqliteConnection, name: &str) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT balance FROM account WHERE name = ?")
        .bind(name)
        .fetch_one(books)
        .await
}

/// Whether the order was carried out before.
///
/// # Errors
///
/// When the books cannot be read.
pub async fn is_booked(books: &mut SqliteConnection, order: &Order) -> sqlx::Result<bool> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM booking WHERE number = ?)")
        .bind(order.number)
        .fetch_one(books)
        .await
}

/// Takes the amount from the payer, and returns what is left.
///
/// # Errors
///
/// When the payer has less than that.
pub async fn withdraw(books: &mut SqliteConnection, order: &Order) -> Result<i64, Refused> {
    let Order { payer, amount, .. } = *order;
    let balance = balance(books, payer).await?;
    if balance < amount {
        return Err(Refused::InsufficientFunds { payer, balance });
    }
    let left = sqlx::query_scalar(
        "UPDATE account SET balance = balance - ? WHERE name = ? RETURNING balance",
    )
    .bind(amount)
    .bind(payer)
    .fetch_one(books)
    .await?;
    Ok(left)
}

/// Books the order, gives the amount to the payee, and returns what the payee then has.
///
/// A payee without an account gets nothing: it is the commit that then fails.
///
/// # Errors
///
/// When the books cannot be written.
pub async fn deposit(books: &mut SqliteConnection, order: &Order) -> sqlx::Result<Option<i64>> {
    sqlx::query("INSERT INTO booking (number, payer, payee, amount) VALUES (?, ?, ?, ?)")
        .bind(order.number)
        .bind(order.payer)
        .bind(order.payee)
        .bind(order.amount)
        .execute(&mut *books)
        .await?;
    sqlx::query_scalar("UPDATE account SET balance = balance + ? WHERE name = ? RETURNING balance")
        .bind(order.amount)
        .bind(order.payee)
        .fetch_optional(books)
        .await
}
