//! A database that is not there, for tests of what the compiler says: it has one manager of each kind.

use std::convert::Infallible;
use std::fmt::{Display, Formatter};
use std::rc::Rc;

use async_with::{AsyncContextManager, Cause, ScopedAsyncContextManager, Verdict};

/// Makes managers.
#[derive(Clone, Debug, Default)]
pub struct Database;

impl Database {
    /// A transaction, which can fail to begin and to commit.
    #[must_use]
    pub fn begin(&self) -> Transaction {
        Transaction
    }

    /// A session, which cannot fail.
    #[must_use]
    pub fn session(&self) -> Session {
        Session
    }

    /// A session whose failures do not matter: its manager suppresses them.
    #[must_use]
    pub fn best_effort(&self) -> BestEffort {
        BestEffort
    }

    /// A session that has to stay on its thread.
    #[must_use]
    pub fn local(&self) -> Local {
        Local(Rc::new(()))
    }

    /// The rows of a query, as a resource of any type.
    #[must_use]
    pub fn rows<T: Default>(&self) -> Rows<T> {
        Rows(T::default())
    }

    /// A transaction, once the database is there.
    #[allow(clippy::unused_async)]
    pub async fn connect(&self) -> Transaction {
        Transaction
    }

    /// A transaction, if the database has room for one.
    ///
    /// # Errors
    ///
    /// Never.
    pub fn try_begin(&self) -> Result<Transaction, DatabaseError> {
        Ok(Transaction)
    }
}

/// Why a transaction failed.
#[derive(Debug)]
pub struct DatabaseError;

impl Display for DatabaseError {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("the database is gone")
    }
}

impl std::error::Error for DatabaseError {}

/// What most managers of the database lend.
#[derive(Debug, Default)]
pub struct Connection {
    /// How many rows were changed.
    pub changed: u64,
}

impl Connection {
    /// Runs a statement.
    ///
    /// # Errors
    ///
    /// When the statement is empty.
    #[allow(clippy::unused_async)]
    pub async fn run(&mut self, statement: &str) -> Result<u64, DatabaseError> {
        if statement.is_empty() {
            return Err(DatabaseError);
        }
        self.changed += 1;
        Ok(self.changed)
    }
}

/// The manager of [`Database::begin`].
#[derive(Debug)]
pub struct Transaction;

impl AsyncContextManager for Transaction {
    type Resource = Connection;
    type Error = DatabaseError;
    type Exit = ();

    async fn enter(&mut self) -> Result<Connection, DatabaseError> {
        Ok(Connection::default())
    }

    async fn exit(self, _: Connection, _: Cause) -> Result<(), DatabaseError> {
        Ok(())
    }
}

/// The manager of [`Database::session`].
#[derive(Debug)]
pub struct Session;

impl AsyncContextManager for Session {
    type Resource = Connection;
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<Connection, Infallible> {
        Ok(Connection::default())
    }

    async fn exit(self, _: Connection, _: Cause) -> Result<(), Infallible> {
        Ok(())
    }
}

/// The manager of [`Database::best_effort`].
#[derive(Debug)]
pub struct BestEffort;

impl AsyncContextManager for BestEffort {
    type Resource = Connection;
    type Error = Infallible;
    type Exit = Verdict;

    async fn enter(&mut self) -> Result<Connection, Infallible> {
        Ok(Connection::default())
    }

    async fn exit(self, _: Connection, _: Cause) -> Result<Verdict, Infallible> {
        Ok(Verdict::Suppress)
    }
}

/// The manager of [`Database::local`]: scoped, and not `Send`.
#[derive(Debug)]
pub struct Local(Rc<()>);

impl ScopedAsyncContextManager for Local {
    type Resource = Rc<()>;
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<Rc<()>, Infallible> {
        Ok(Rc::clone(&self.0))
    }

    async fn exit(self, _: Rc<()>, _: Cause) -> Result<(), Infallible> {
        Ok(())
    }
}

/// The manager of [`Database::rows`].
#[derive(Debug)]
pub struct Rows<T>(T);

impl<T: Default + Send + Sync + 'static> AsyncContextManager for Rows<T> {
    type Resource = T;
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<T, Infallible> {
        Ok(std::mem::take(&mut self.0))
    }

    async fn exit(self, _: T, _: Cause) -> Result<(), Infallible> {
        Ok(())
    }
}
