//! A database connection, opened and closed.

use std::sync::Arc;

use async_with::{AsyncContextManager, Cause, async_context_manager};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection as _, SqliteConnection};
use tokio::sync::Mutex;

use crate::journal::Journal;

/// A connection that managers inside can own a share of.
///
/// A manager whose exit survives a drop of its block owns what the exit needs: a transaction that borrowed its
/// connection could not be rolled back after the frame that holds the connection is gone.
pub type Shared = Arc<Mutex<SqliteConnection>>;

/// Opens a connection on enter, and closes it on exit, whatever happened in between.
#[derive(Debug)]
pub struct Connection {
    /// What to open.
    pub options: SqliteConnectOptions,
    /// Where to write that it happened.
    pub journal: Journal,
}

#[async_context_manager]
impl AsyncContextManager for Connection {
    async fn enter(&mut self) -> sqlx::Result<Shared> {
        let connection = self.options.connect().await?;
        self.journal.entered("connection");
        Ok(Arc::new(Mutex::new(connection)))
    }

    async fn exit(self, connection: Shared, cause: Cause) -> sqlx::Result<()> {
        let closed = match Arc::into_inner(connection) {
            Some(connection) => connection.into_inner().close().await,
            None => Err(sqlx::Error::Protocol("the connection is in use".into())),
        };
        let how = if closed.is_ok() {
            "closed"
        } else {
            "not closed"
        };
        self.journal.exited("connection", cause, how);
        closed
    }
}
