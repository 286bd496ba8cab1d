//! A transaction, committed or rolled back.

use async_with::{AsyncContextManager, Cause, async_context_manager};
use sqlx::SqliteConnection;
use tokio::sync::OwnedMutexGuard;

use crate::connection::Shared;
use crate::journal::Journal;

/// Begins a transaction on enter. On exit, commits when the body completed, and rolls back otherwise.
#[derive(Debug)]
pub struct Transaction {
    /// The connection, which is locked as long as the transaction is open.
    pub connection: Shared,
    /// Where to write that it happened.
    pub journal: Journal,
}

#[async_context_manager]
impl AsyncContextManager for Transaction {
    async fn enter(&mut self) -> sqlx::Result<OwnedMutexGuard<SqliteConnection>> {
        let mut connection = self.connection.clone().lock_owned().await;
        run(&mut connection, "BEGIN IMMEDIATE").await?;
        self.journal.entered("transaction");
        Ok(connection)
    }

    async fn exit(
        self,
        mut connection: OwnedMutexGuard<SqliteConnection>,
        cause: Cause,
    ) -> sqlx::Result<()> {
        let mut ended = Ok(());
        if cause.is_completed() {
            ended = run(&mut connection, "COMMIT").await;
        }
        let committed = cause.is_completed() && ended.is_ok();
        // A commit that fails leaves the transaction open.
        if !committed {
            ended = ended.and(run(&mut connection, "ROLLBACK").await);
        }
        let how = if committed {
            "committed"
        } else {
            "rolled back"
        };
        self.journal.exited("transaction", cause, how);
        ended
    }
}

async fn run(connection: &mut SqliteConnection, statement: &'static str) -> sqlx::Result<()> {
    sqlx::query(statement).execute(connection).await?;
    Ok(())
}
