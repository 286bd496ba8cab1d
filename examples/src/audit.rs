//! Who did what, and how it ended.

use async_with::{AsyncContextManager, Cause, Raised, async_context_manager};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection as _, SqliteConnection};

use crate::journal::Journal;

/// The table of the audit log, in a database of its own: what is written there is not rolled back with a transfer.
pub const SCHEMA: &str = "
    CREATE TABLE entry (
        id INTEGER PRIMARY KEY,
        who TEXT NOT NULL,
        what TEXT NOT NULL,
        ended TEXT,
        exits INTEGER NOT NULL DEFAULT 0
    ) STRICT;
";

/// Writes on enter who is about to do what, and on exit how it ended.
#[derive(Debug)]
pub struct Audit {
    options: SqliteConnectOptions,
    journal: Journal,
    who: String,
    what: String,
    entry: i64,
    error: Option<String>,
}

impl Audit {
    /// A manager for one entry.
    #[must_use]
    pub fn new(options: SqliteConnectOptions, journal: Journal, who: &str, what: String) -> Self {
        Self {
            options,
            journal,
            who: who.to_owned(),
            what,
            entry: 0,
            error: None,
        }
    }
}

#[async_context_manager]
impl AsyncContextManager for Audit {
    async fn enter(&mut self) -> sqlx::Result<SqliteConnection> {
        let mut connection = self.options.connect().await?;
        let insert = "INSERT INTO entry (who, what) VALUES (?, ?) RETURNING id";
        self.entry = sqlx::query_scalar(insert)
            .bind(&self.who)
            .bind(&self.what)
            .fetch_one(&mut connection)
            .await?;
        self.journal.entered("audit");
        Ok(connection)
    }

    /// The cause that exit is told has the type of the error; this sees the error.
    fn inspect(&mut self, _: &mut SqliteConnection, raised: Raised<'_>) {
        self.error = raised.as_error().map(ToString::to_string);
    }

    async fn exit(self, mut connection: SqliteConnection, cause: Cause) -> sqlx::Result<()> {
        let ended = self.error.unwrap_or_else(|| cause.to_string());
        let update = "UPDATE entry SET ended = ?, exits = exits + 1 WHERE id = ?";
        let written = sqlx::query(update)
            .bind(&ended)
            .bind(self.entry)
            .execute(&mut connection)
            .await;
        let closed = connection.close().await;
        let how = format!("writes \"{ended}\"");
        self.journal.exited("audit", cause, how);
        written.and(closed)
    }
}

/// The whole log: who did what, and how it ended.
///
/// # Errors
///
/// When it cannot be read.
pub async fn entries(
    options: &SqliteConnectOptions,
) -> sqlx::Result<Vec<(String, Option<String>)>> {
    let mut connection = options.connect().await?;
    let entries = sqlx::query_as("SELECT what, ended FROM entry ORDER BY id")
        .fetch_all(&mut connection)
        .await;
    connection.close().await.and(entries)
}
