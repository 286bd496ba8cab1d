//! The bank: where its databases are, and the managers that its transfers use.

use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_with::{AsyncContextManagerExt as _, FinishEnter};
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection as _};

use crate::audit::{self, Audit};
use crate::cache::{Balances, Cache};
use crate::connection::{Connection, Shared};
use crate::journal::Journal;
use crate::ledger::{self, Order};
use crate::transaction::Transaction;

/// Why a transfer did not take place.
#[derive(Debug)]
pub enum Refused {
    /// The payer has less than is to be paid.
    InsufficientFunds {
        /// Who has.
        payer: &'static str,
        /// How much the payer has.
        balance: i64,
    },
    /// The database says no.
    Database(sqlx::Error),
}

impl Display for Refused {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Refused::InsufficientFunds { payer, balance } => {
                write!(f, "{payer} has only {balance}")
            }
            // The words of SQLite, without those that say where they come from.
            Refused::Database(sqlx::Error::Database(error)) => f.write_str(error.message()),
            Refused::Database(error) => error.fmt(f),
        }
    }
}

impl Error for Refused {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Refused::InsufficientFunds { .. } => None,
            Refused::Database(error) => Some(error),
        }
    }
}

/// What `?` uses in a body, and the block for the errors of its managers.
impl From<sqlx::Error> for Refused {
    fn from(error: sqlx::Error) -> Self {
        Refused::Database(error)
    }
}

/// What all transfers share.
#[derive(Clone, Debug)]
pub struct Bank {
    /// Where the ledger is.
    pub books: SqliteConnectOptions,
    /// Where the audit log is.
    pub log: SqliteConnectOptions,
    /// The balances that need not be read again.
    pub known: Arc<Mutex<Balances>>,
    /// What is printed and counted.
    pub journal: Journal,
}

/// The managers.
impl Bank {
    /// Writes who is about to do what, and how it ended.
    #[must_use]
    pub fn audit(&self, order: &Order) -> Audit {
        let (log, journal) = (self.log.clone(), self.journal.clone());
        Audit::new(log, journal, order.payer, order.to_string())
    }

    /// Keeps the balances of a transfer that is committed.
    #[must_use]
    pub fn cache(&self) -> Cache {
        Cache {
            known: Arc::clone(&self.known),
            journal: self.journal.clone(),
        }
    }

    /// A connection to the books.
    #[must_use]
    pub fn connection(&self) -> Connection {
        Connection {
            options: self.books.clone(),
            journal: self.journal.clone(),
        }
    }

    /// A transaction on a connection. When it is given up while it begins, it is begun and rolled back: the connection
    /// can be used again.
    #[must_use]
    pub fn transaction(&self, connection: &Shared) -> FinishEnter<Transaction> {
        let transaction = Transaction {
            connection: Arc::clone(connection),
            journal: self.journal.clone(),
        };
        transaction.finish_enter()
    }
}

impl Bank {
    /// Makes the databases in this directory, with these accounts.
    ///
    /// # Errors
    ///
    /// When they cannot be made.
    pub async fn open(directory: &Path, accounts: &[(&str, i64)]) -> sqlx::Result<Self> {
        // Who finds the books locked is told so at once. Nothing is to outlive the program: no write waits for the disk.
        let options = SqliteConnectOptions::new()
            .create_if_missing(true)
            .busy_timeout(Duration::ZERO)
            .synchronous(SqliteSynchronous::Off);
        let bank = Self {
            books: options.clone().filename(directory.join("books.sqlite")),
            log: options.filename(directory.join("log.sqlite")),
            known: Arc::default(),
            journal: Journal::default(),
        };
        let mut log = bank.log.connect().await?;
        sqlx::raw_sql(audit::SCHEMA).execute(&mut log).await?;
        log.close().await?;
        let mut books = bank.books.connect().await?;
        sqlx::raw_sql(ledger::SCHEMA).execute(&mut books).await?;
        for (name, balance) in accounts {
            ledger::open_account(&mut books, name, *balance).await?;
        }
        books.close().await?;
        Ok(bank)
    }

    /// Counts what must not be: money that was made or lost, something that is still open. All are zero when the
    /// managers did their duty.
    ///
    /// # Errors
    ///
    /// When the databases cannot be read, for instance because a transaction is still open.
    pub async fn inspect(&self) -> sqlx::Result<Vec<(&'static str, i64)>> {
        let mut counts = vec![("managers still open", self.journal.open())];

        let mut log = self.log.connect().await?;
        let exits = "SELECT count(*) FROM entry WHERE exits <> 1";
        let count = sqlx::query_scalar(exits).fetch_one(&mut log).await?;
        counts.push(("blocks not exited exactly once", count));
        log.close().await?;

        let mut books = self.books.connect().await?;
        // Fails when anybody else has a transaction open.
        sqlx::query("BEGIN EXCLUSIVE").execute(&mut books).await?;
        for (what, query) in ledger::INSPECTIONS {
            let count = sqlx::query_scalar(query).fetch_one(&mut books).await?;
            counts.push((what, count));
        }
        let mut wrong = 0;
        let known = self
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for (name, known) in known {
            wrong += i64::from(ledger::balance(&mut books, name).await? != known);
        }
        counts.push(("wrong balances in the cache", wrong));
        books.close().await?;
        Ok(counts)
    }
}
