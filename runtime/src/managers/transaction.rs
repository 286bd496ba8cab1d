//! Transactions.

use std::any::type_name;
use std::fmt::Debug;
use std::future::Future;
use std::ops::{Deref, DerefMut};

use crate::report::{Entry, Incident, Phase, report};
use crate::slot::Slot;
use crate::{AsyncContextManager, Cause, ScopedAsyncContextManager};

/// A connection that can begin and end a transaction: what [`transaction`] needs to know of a database.
///
/// # Cancel safety
///
/// `begin` is dropped half-way when its block is (rule CAN-7), and so are the other two of a borrowed connection:
/// [`abandon`](Self::abandon) is called then. Those of an owned one are carried on elsewhere (rule CAN-2).
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no transactions that `transaction` knows of",
    label = "this needs to implement `TransactionControl`",
    note = "implement `TransactionControl` for it; where it is a type of another crate, for a type of your own around it, or write a manager that begins, lends the connection with `yield_!(&mut connection)`, and then commits or rolls back"
)]
pub trait TransactionControl: Send {
    /// Why one of the steps failed.
    type Error: Debug + Send + 'static;

    /// Begins a transaction. When it fails, none is open.
    fn begin(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Commits the open transaction. When it fails, it is rolled back.
    fn commit(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Rolls the open transaction back.
    fn rollback(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Takes note that a transaction may still be open, because a rollback failed, because one of the steps was dropped
    /// before its end or panicked, or because the block of a borrowed connection was dropped. By default nothing is done.
    ///
    /// It cannot wait for the database: mark the connection, so that it is rolled back before its next use, or closed.
    fn abandon(&mut self) {}
}

/// Begins a transaction, commits it when the body completed, and rolls it back otherwise.
///
/// The resource dereferences to the connection, and has
/// [`set_rollback_only`](OpenTransaction::set_rollback_only). An owned connection makes a
/// [surviving](AsyncContextManager) manager: when the block is dropped, the transaction is rolled back on the runtime. A
/// borrowed one, `&mut connection`, makes a [scoped](ScopedAsyncContextManager) manager: then all that can be done is
/// [`abandon`](TransactionControl::abandon).
///
/// That a completed block commits follows Django's `transaction.atomic`; the name `set_rollback_only` comes from Jakarta
/// Transactions.
///
/// ```
/// use async_with::{TransactionControl, async_with, transaction};
/// # use std::io;
///
/// # #[derive(Default)]
/// struct Connection {
///     // ..
/// #   sent: Vec<String>,
/// }
///
/// impl Connection {
///     async fn execute(&mut self, sql: &str) -> io::Result<u64> {
///         // ..
/// #       self.sent.push(sql.to_owned());
/// #       Ok(0)
///     }
/// }
///
/// impl TransactionControl for Connection {
///     type Error = io::Error;
///
///     async fn begin(&mut self) -> io::Result<()> {
///         self.execute("BEGIN").await.map(drop)
///     }
///     async fn commit(&mut self) -> io::Result<()> {
///         self.execute("COMMIT").await.map(drop)
///     }
///     async fn rollback(&mut self) -> io::Result<()> {
///         self.execute("ROLLBACK").await.map(drop)
///     }
/// }
///
/// async fn rename(connection: &mut Connection) -> io::Result<()> {
///     async_with! { transaction(connection) as tx => {
///         if tx.execute("UPDATE ..").await? == 0 {
///             // Nothing is wrong, and yet nothing is to be kept.
///             tx.set_rollback_only();
///         }
///         Ok(())
///     }}
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> io::Result<()> {
/// # let mut connection = Connection::default();
/// # rename(&mut connection).await?;
/// # assert_eq!(connection.sent, ["BEGIN", "UPDATE ..", "ROLLBACK"]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// Those of the steps. When a commit fails, the transaction is rolled back, and the commit's error is raised; an error of
/// that rollback is [reported](crate::report). A rollback that fails is followed by
/// [`abandon`](TransactionControl::abandon).
///
/// # Cancel safety
///
/// A step that is dropped half-way, as during enter, is followed by [`abandon`](TransactionControl::abandon).
#[must_use = "a manager does nothing unless it is entered"]
pub fn transaction<C>(connection: C) -> Transaction<C> {
    Transaction(Slot::new(connection))
}

/// The manager of [`transaction`].
pub struct Transaction<C>(Slot<C>);

/// An open transaction: the resource of [`transaction`]. It dereferences to the connection.
///
/// Dropped before it has ended, it [abandons](TransactionControl::abandon) the connection.
pub struct OpenTransaction<P: DerefMut<Target: TransactionControl>> {
    connection: P,
    rollback_only: bool,
    ended: bool,
}

impl<P: DerefMut<Target: TransactionControl>> OpenTransaction<P> {
    /// Rolls the transaction back at the end, even when the body completes. There is no way back.
    pub fn set_rollback_only(&mut self) {
        self.rollback_only = true;
    }

    /// Whether the transaction is rolled back even when the body completes.
    #[must_use]
    pub fn is_rollback_only(&self) -> bool {
        self.rollback_only
    }

    async fn begin(connection: P) -> Result<Self, <P::Target as TransactionControl>::Error> {
        let mut transaction = Self {
            connection,
            rollback_only: false,
            ended: false,
        };
        let begun = transaction.connection.begin().await;
        transaction.ended = begun.is_err();
        begun.map(|()| transaction)
    }

    async fn end<M>(
        mut self,
        cause: Cause,
    ) -> Result<(), <P::Target as TransactionControl>::Error> {
        if !cause.is_completed() || self.rollback_only {
            return self.roll_back().await;
        }
        let committed = self.connection.commit().await;
        if committed.is_ok() {
            self.ended = true;
        } else if let Err(error) = self.roll_back().await {
            report(Entry {
                manager: type_name::<M>(),
                phase: Phase::Exit,
                cause,
                incident: Incident::error(&error),
            });
        }
        committed
    }

    /// A transaction whose rollback fails may still be open: it is abandoned when this is dropped.
    async fn roll_back(&mut self) -> Result<(), <P::Target as TransactionControl>::Error> {
        let rolled_back = self.connection.rollback().await;
        self.ended = rolled_back.is_ok();
        rolled_back
    }
}

impl<P: DerefMut<Target: TransactionControl>> Deref for OpenTransaction<P> {
    type Target = P::Target;

    fn deref(&self) -> &P::Target {
        &self.connection
    }
}

impl<P: DerefMut<Target: TransactionControl>> DerefMut for OpenTransaction<P> {
    fn deref_mut(&mut self) -> &mut P::Target {
        &mut self.connection
    }
}

impl<P: DerefMut<Target: TransactionControl>> Drop for OpenTransaction<P> {
    fn drop(&mut self) {
        if !self.ended {
            self.connection.abandon();
        }
    }
}

impl<C: TransactionControl + 'static> AsyncContextManager for Transaction<C> {
    /// Boxed, so that both kinds have one type of resource: it dereferences to the connection.
    type Resource = OpenTransaction<Box<C>>;
    type Error = C::Error;
    type Exit = ();

    async fn enter(&mut self) -> Result<Self::Resource, C::Error> {
        OpenTransaction::begin(Box::new(self.0.take())).await
    }

    async fn exit(self, transaction: Self::Resource, cause: Cause) -> Result<(), C::Error> {
        transaction.end::<Self>(cause).await
    }
}

impl<'a, C: TransactionControl> ScopedAsyncContextManager for Transaction<&'a mut C> {
    type Resource = OpenTransaction<&'a mut C>;
    type Error = C::Error;
    type Exit = ();

    async fn enter(&mut self) -> Result<Self::Resource, C::Error> {
        OpenTransaction::begin(self.0.take()).await
    }

    async fn exit(self, transaction: Self::Resource, cause: Cause) -> Result<(), C::Error> {
        transaction.end::<Self>(cause).await
    }
}
