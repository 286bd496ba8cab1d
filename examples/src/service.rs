//! What the service of the example `graceful_shutdown` opens for each of its clients, and has to close again.
//!
//! There is an operation for everything that is opened or closed, and it counts. There is a manager for each pair of
//! them. The service can do without the managers, to show what becomes of the counts then.

use std::fmt::{self, Display, Formatter};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_with::{
    AsyncContextManager, AsyncContextManagerExt as _, Cause, FinishEnter, Raised,
    async_context_manager,
};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{ConnectOptions, Connection as _, SqliteConnection, SqlitePool};
use tokio::sync::{Mutex, OwnedMutexGuard, watch};

use crate::bank::Bank;
use crate::connection::Shared;
use crate::ledger::{INSPECTIONS, Order};

/// Who has an account, and how much is in it.
pub const ACCOUNTS: [(&str, i64); 4] = [("ann", 1000), ("bob", 1000), ("eve", 1000), ("lea", 1000)];

/// Longer than any transfer takes.
pub const AGES: Duration = Duration::from_mins(1);

/// A bank with many clients at the same time. A clone is the same service.
#[derive(Clone, Debug)]
pub struct Service {
    books: SqliteConnectOptions,
    log: SqlitePool,
    counts: watch::Sender<Counts>,
}

/// How often something was opened and closed so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Entries of the audit log.
    pub entries: Count,
    /// Connections to the books.
    pub connections: Count,
    /// Transactions on them.
    pub transactions: Count,
}

/// How often one thing was opened and closed so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    /// Entered, connected, begun.
    pub opened: i64,
    /// Concluded, closed, committed or rolled back.
    pub closed: i64,
}

impl Count {
    fn open(self) -> i64 {
        self.opened - self.closed
    }
}

/// The operations. Each counts last, when it has done what it counts.
impl Service {
    /// Makes the databases in this directory.
    ///
    /// # Errors
    ///
    /// When they cannot be made.
    pub async fn open(directory: &Path) -> sqlx::Result<Self> {
        let bank = Bank::open(directory, &ACCOUNTS).await?;
        let log = SqlitePoolOptions::new().max_connections(1);
        Ok(Self {
            // Only one transaction at a time can write to the books. The others wait.
            books: bank.books.busy_timeout(AGES),
            log: log.connect_with(bank.log).await?,
            counts: watch::Sender::default(),
        })
    }

    /// Writes into the audit log what is about to be done, and returns the number of the entry.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn note(&self, order: &Order) -> sqlx::Result<i64> {
        let entry = sqlx::query_scalar("INSERT INTO entry (who, what) VALUES (?, ?) RETURNING id")
            .bind(order.payer)
            .bind(order.to_string())
            .fetch_one(&self.log)
            .await?;
        self.count(|counts| counts.entries.opened += 1);
        Ok(entry)
    }

    /// Writes into the audit log how it ended.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub async fn conclude(&self, entry: i64, ended: &str) -> sqlx::Result<()> {
        sqlx::query("UPDATE entry SET ended = ?, exits = exits + 1 WHERE id = ?")
            .bind(ended)
            .bind(entry)
            .execute(&self.log)
            .await?;
        self.count(|counts| counts.entries.closed += 1);
        Ok(())
    }

    /// Opens a connection to the books.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub async fn connect(&self) -> sqlx::Result<SqliteConnection> {
        let books = self.books.connect().await?;
        self.count(|counts| counts.connections.opened += 1);
        Ok(books)
    }

    /// Closes a connection to the books.
    ///
    /// # Errors
    ///
    /// When it cannot be closed properly.
    pub async fn close(&self, books: SqliteConnection) -> sqlx::Result<()> {
        books.close().await?;
        self.count(|counts| counts.connections.closed += 1);
        Ok(())
    }

    /// Begins a transaction. From then on, the books are locked for all others.
    ///
    /// # Errors
    ///
    /// When the books are locked for too long.
    pub async fn begin(&self, books: &mut SqliteConnection) -> sqlx::Result<()> {
        sqlx::query("BEGIN IMMEDIATE").execute(books).await?;
        self.count(|counts| counts.transactions.opened += 1);
        Ok(())
    }

    /// Commits a transaction.
    ///
    /// # Errors
    ///
    /// When it cannot be committed. It is still open then.
    pub async fn commit(&self, books: &mut SqliteConnection) -> sqlx::Result<()> {
        sqlx::query("COMMIT").execute(books).await?;
        self.count(|counts| counts.transactions.closed += 1);
        Ok(())
    }

    /// Rolls a transaction back.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub async fn roll_back(&self, books: &mut SqliteConnection) -> sqlx::Result<()> {
        sqlx::query("ROLLBACK").execute(books).await?;
        self.count(|counts| counts.transactions.closed += 1);
        Ok(())
    }

    fn count(&self, count: impl FnOnce(&mut Counts)) {
        self.counts.send_modify(count);
    }
}

/// The managers.
impl Service {
    /// Notes that a transfer begins, and how it ended.
    #[must_use]
    pub fn audit(&self, order: &Order) -> Audit {
        Audit {
            service: self.clone(),
            order: *order,
            entry: 0,
            error: None,
        }
    }

    /// A connection to the books.
    #[must_use]
    pub fn connection(&self) -> Connection {
        Connection {
            service: self.clone(),
        }
    }

    /// A transaction on a connection. When it is given up while it begins, it is begun and rolled back: the connection
    /// can be used again.
    #[must_use]
    pub fn transaction(&self, connection: &Shared) -> FinishEnter<Transaction> {
        let transaction = Transaction {
            service: self.clone(),
            connection: Arc::clone(connection),
        };
        transaction.finish_enter()
    }
}

/// Notes on enter what is about to be done, and on exit how it ended.
#[derive(Debug)]
pub struct Audit {
    service: Service,
    order: Order,
    entry: i64,
    error: Option<String>,
}

#[async_context_manager]
impl AsyncContextManager for Audit {
    async fn enter(&mut self) -> sqlx::Result<()> {
        self.entry = self.service.note(&self.order).await?;
        Ok(())
    }

    fn inspect(&mut self, (): &mut (), raised: Raised<'_>) {
        self.error = raised.as_error().map(|error| format!("failed: {error}"));
    }

    async fn exit(self, (): (), cause: Cause) -> sqlx::Result<()> {
        let ended = self.error.unwrap_or_else(|| cause.to_string());
        self.service.conclude(self.entry, &ended).await
    }
}

/// Opens a connection on enter, and closes it on exit.
#[derive(Debug)]
pub struct Connection {
    service: Service,
}

#[async_context_manager]
impl AsyncContextManager for Connection {
    async fn enter(&mut self) -> sqlx::Result<Shared> {
        let books = self.service.connect().await?;
        Ok(Arc::new(Mutex::new(books)))
    }

    async fn exit(self, connection: Shared, _: Cause) -> sqlx::Result<()> {
        match Arc::into_inner(connection) {
            Some(books) => self.service.close(books.into_inner()).await,
            None => Err(sqlx::Error::Protocol("the connection is in use".into())),
        }
    }
}

/// Begins a transaction on enter. On exit, commits when the body completed, and rolls back otherwise.
#[derive(Debug)]
pub struct Transaction {
    service: Service,
    connection: Shared,
}

#[async_context_manager]
impl AsyncContextManager for Transaction {
    async fn enter(&mut self) -> sqlx::Result<OwnedMutexGuard<SqliteConnection>> {
        let mut books = Arc::clone(&self.connection).lock_owned().await;
        self.service.begin(&mut books).await?;
        Ok(books)
    }

    async fn exit(
        self,
        mut books: OwnedMutexGuard<SqliteConnection>,
        cause: Cause,
    ) -> sqlx::Result<()> {
        if !cause.is_completed() {
            return self.service.roll_back(&mut books).await;
        }
        let committed = self.service.commit(&mut books).await;
        if committed.is_err() {
            self.service.roll_back(&mut books).await?;
        }
        committed
    }
}

/// What can be seen from outside.
impl Service {
    /// The counts at this moment.
    #[must_use]
    pub fn counts(&self) -> Counts {
        *self.counts.borrow()
    }

    /// Waits until the counts are as desired.
    pub async fn until(&self, desired: impl FnMut(&Counts) -> bool) {
        // It fails when the sender is gone, and `self` has it.
        let _ = self.counts.subscribe().wait_for(desired).await;
    }

    /// How many transfers were entered and exited, and, by the audit log, how many ended in which way.
    ///
    /// # Errors
    ///
    /// When the log cannot be read.
    pub async fn transfers(&self) -> sqlx::Result<Vec<(&'static str, i64)>> {
        let Count { opened, closed } = self.counts().entries;
        let mut found = vec![("entered", opened), ("exited", closed)];
        for how in ["completed", "failed", "panicked", "cancelled", "dropped"] {
            let count = sqlx::query_scalar("SELECT count(*) FROM entry WHERE ended LIKE ? || '%'")
                .bind(how)
                .fetch_one(&self.log)
                .await?;
            found.push((how, count));
        }
        Ok(found)
    }

    /// Counts what must not be: something that was not closed, money that was made or lost.
    ///
    /// # Errors
    ///
    /// When the databases cannot be read, for instance because a transaction is still open.
    pub async fn inspect(&self) -> sqlx::Result<Vec<(&'static str, i64)>> {
        let counts = self.counts();
        // An enter that is dropped at its end may leave an entry behind, and owes no exit: the log alone does not tell.
        let exited: i64 = sqlx::query_scalar("SELECT count(*) FROM entry WHERE exits = 1")
            .fetch_one(&self.log)
            .await?;
        let mut found = vec![
            (
                "transactions neither committed nor rolled back",
                counts.transactions.open(),
            ),
            ("connections not closed", counts.connections.open()),
            (
                "transfers not exited exactly once",
                counts.entries.opened - exited,
            ),
        ];
        let mut books = self.books.connect().await?;
        // Waits while anybody else has a transaction open.
        sqlx::query("BEGIN EXCLUSIVE").execute(&mut books).await?;
        for (what, query) in INSPECTIONS {
            let count = sqlx::query_scalar(query).fetch_one(&mut books).await?;
            found.push((what, count));
        }
        books.close().await?;
        Ok(found)
    }
}

/// What a client sends: an order, and how long it will take at most to confirm it.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// What is to be paid.
    pub order: Order,
    /// How long the books may be locked until the client confirms.
    pub patience: Duration,
}

/// As one line of text.
impl Display for Request {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Order {
            number,
            payer,
            payee,
            amount,
        } = self.order;
        let patience = self.patience.as_millis();
        write!(f, "{number} {payer} {payee} {amount} {patience}")
    }
}

impl FromStr for Request {
    type Err = &'static str;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let words: Vec<_> = line.split(' ').collect();
        let [number, from, to, amount, patience] = words[..] else {
            return Err("an order has five words");
        };
        let number_in = |word: &str| word.parse().map_err(|_| "this is not a number");
        let order = Order {
            number: number_in(number)?,
            payer: account(from)?,
            payee: account(to)?,
            amount: number_in(amount)?,
        };
        let patience = patience.parse().map_err(|_| "this is not a duration")?;
        Ok(Self {
            order,
            patience: Duration::from_millis(patience),
        })
    }
}

fn account(name: &str) -> Result<&'static str, &'static str> {
    let mut names = ACCOUNTS.iter().map(|(name, _)| *name);
    names
        .find(|known| *known == name)
        .ok_or("nobody has an account of that name")
}
