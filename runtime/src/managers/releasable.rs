//! A resource that can be given up before its block ends.

use std::future::{Future, pending};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::interruption::{MadeOf, fires};
use crate::manager::exit_early;
use crate::nest::Moment;
use crate::slot::Slot;
use crate::{AsyncContextManager, Cause, ExitVerdict, Interruption, Raised, Verdict};

/// Lets the body give the resource up before the block ends: release it, or take it out. After that, nothing is owed.
///
/// The resource is a [`Held`], which dereferences to the manager's own. It does for one manager what `pop_all` of
/// Python's `ExitStack` does for several. A manager that holds a guard around each poll of the body
/// ([`around_poll`](AsyncContextManager::around_poll)) loses that, and so do blocks around the yield of a generator.
///
/// ```
/// use async_with::{prelude::*, releasable};
/// # use std::convert::Infallible;
/// # use std::sync::{Arc, Mutex};
/// # #[derive(Clone, Default)]
/// # struct Database(Arc<Mutex<Vec<String>>>);
/// # struct Begin(Database);
/// # impl Database {
/// #     fn begin(&self) -> Begin { Begin(self.clone()) }
/// #     fn note(&self, what: impl Into<String>) { self.0.lock().unwrap().push(what.into()); }
/// # }
/// # impl AsyncContextManager for Begin {
/// #     type Resource = Database;
/// #     type Error = Infallible;
/// #     type Exit = ();
/// #     async fn enter(&mut self) -> Result<Database, Infallible> { Ok(self.0.clone()) }
/// #     async fn exit(self, db: Database, cause: Cause) -> Result<(), Infallible> {
/// #         db.note(format!("end of transaction: {cause}"));
/// #         Ok(())
/// #     }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Infallible> {
/// # let database = Database::default();
/// async_with! { releasable(database.begin()) as tx => {
///     tx.note("update");
///     tx.release(Cause::Completed).await?;
///     // The transaction is over; this is outside of it.
///     database.note("notify");
/// }}
/// # let expected = ["update", "end of transaction: completed", "notify"];
/// # assert_eq!(*database.0.lock().unwrap(), expected);
/// # Ok(())
/// # }
/// ```
///
/// # Cancel safety
///
/// That of the manager. Dropped while it is released, the manager's exit goes on (rule CAN-2).
#[must_use = "a manager does nothing unless it is entered"]
pub fn releasable<M: AsyncContextManager>(manager: M) -> Releasable<M> {
    Releasable {
        name: manager.name(),
        manager: Slot::new(manager),
        is_released: Arc::default(),
    }
}

/// The manager of [`releasable`].
pub struct Releasable<M> {
    name: &'static str,
    /// With the resource, once it is entered.
    manager: Slot<M>,
    is_released: Arc<AtomicBool>,
}

/// A resource, unless it was given up: the resource of [`releasable`].
///
/// The manager's own resource is a parameter, so that this can be held across an await in a `Send` future whatever
/// lifetimes are in it (rule TYP-1).
pub struct Held<M, R = <M as AsyncContextManager>::Resource> {
    entered: Option<(M, R)>,
    /// Since when it is held.
    since: Moment,
    is_released: Arc<AtomicBool>,
}

impl<M, R> Held<M, R> {
    fn give_up(&mut self) -> Option<(M, R)> {
        self.is_released.store(true, Ordering::Relaxed);
        self.entered.take()
    }

    /// The resource, if it is held still.
    #[must_use]
    pub fn get(&self) -> Option<&R> {
        self.entered.as_ref().map(|(_, resource)| resource)
    }

    /// The resource, if it is held still.
    #[must_use]
    pub fn get_mut(&mut self) -> Option<&mut R> {
        self.entered.as_mut().map(|(_, resource)| resource)
    }

    /// Takes the resource out. The manager's exit is not run: from now on the caller looks after the resource.
    #[must_use = "nobody else releases the resource"]
    pub fn take(&mut self) -> Option<R> {
        self.give_up().map(|(_, resource)| resource)
    }
}

impl<M, R> Held<M, R>
where
    M: AsyncContextManager<Resource = R>,
    R: Send + 'static,
{
    /// Runs the manager's exit now, which is told this cause. Where the resource was given up already, nothing is done.
    ///
    /// It first waits for what was detached in the body since the enter (rule CAN-4). In a body that is interrupted, the exit
    /// runs to its end, and nothing goes on after it (rule CAN-6).
    ///
    /// # Errors
    ///
    /// That of the exit. There is no exit after it.
    ///
    /// # Cancel safety
    ///
    /// When it is dropped, the exit goes on; the block that encloses the call waits for it (rules CAN-2, CAN-4), and
    /// [`drain`](crate::drain()) from then on.
    #[allow(clippy::manual_async_fn)] // An `async fn` does not declare that it is `Send`.
    pub fn release(&mut self, cause: Cause) -> impl Future<Output = Result<(), M::Error>> + Send {
        async move {
            match self.give_up() {
                Some((manager, resource)) => exit_early(manager, resource, cause, self.since).await,
                None => Ok(()),
            }
        }
    }
}

/// # Panics
///
/// When the resource was given up.
impl<M, R> Deref for Held<M, R> {
    type Target = R;

    fn deref(&self) -> &R {
        self.get().expect("the resource was given up")
    }
}

/// # Panics
///
/// When the resource was given up.
impl<M, R> DerefMut for Held<M, R> {
    fn deref_mut(&mut self) -> &mut R {
        self.get_mut().expect("the resource was given up")
    }
}

impl<M: AsyncContextManager> AsyncContextManager for Releasable<M> {
    type Resource = Held<M, M::Resource>;
    type Error = M::Error;
    type Exit = M::Exit;

    async fn enter(&mut self) -> Result<Held<M, M::Resource>, M::Error> {
        let mut manager = self.manager.take();
        let resource = manager.enter().await?;
        Ok(Held {
            entered: Some((manager, resource)),
            since: Moment::now(),
            is_released: Arc::clone(&self.is_released),
        })
    }

    async fn exit(self, held: Held<M, M::Resource>, cause: Cause) -> Result<M::Exit, M::Error> {
        match held.entered {
            Some((manager, resource)) => manager.exit(resource, cause).await,
            None => Ok(M::Exit::from_verdict(Verdict::Propagate)),
        }
    }

    fn inspect(&mut self, held: &mut Held<M, M::Resource>, raised: Raised<'_>) {
        if let Some((manager, resource)) = &mut held.entered {
            manager.inspect(resource, raised);
        }
    }

    fn name(&self) -> &'static str {
        self.name
    }

    fn interrupt(
        &self,
        held: &Held<M, M::Resource>,
    ) -> impl Interruption<M::Error> + Send + use<M> {
        let interrupt = held
            .entered
            .as_ref()
            .map(|(manager, resource)| manager.interrupt(resource));
        let is_released = Arc::clone(&self.is_released);
        let never = interrupt.as_ref().is_none_or(Interruption::is_never);
        MadeOf::new(never, async move {
            if let Some(interrupt) = interrupt {
                let error = fires(interrupt).await;
                if !is_released.load(Ordering::Relaxed) {
                    return error;
                }
            }
            pending().await
        })
    }
}
