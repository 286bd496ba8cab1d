//! A deadline on an exit.

use std::future::Future;
use std::time::Duration;

use crate::limits::Limits;
use crate::{AsyncContextManager, Cause, Raised, ScopedAsyncContextManager};

/// Gives a manager so long for its exit. After that, the exit's future is dropped, which is
/// [reported](crate::report::Incident::TimedOut) with the manager's name and the duration; nothing is raised, and the
/// exits further out go on. It holds for a detached exit too. Works for both kinds of manager.
///
/// ```
/// use async_with::{async_with, exit_within, report};
/// # use async_with::{AsyncContextManager, Cause};
/// # use std::convert::Infallible;
/// # use std::time::Duration;
/// # struct Stuck;
/// # impl AsyncContextManager for Stuck {
/// #     type Resource = ();
/// #     type Error = Infallible;
/// #     type Exit = ();
/// #     async fn enter(&mut self) -> Result<(), Infallible> { Ok(()) }
/// #     async fn exit(self, (): (), _: Cause) -> Result<(), Infallible> { std::future::pending().await }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let block = async {
///     async_with! { exit_within(Duration::from_millis(5), Stuck) => {} }
/// };
/// let ((), entries) = report::collect(block).await;
/// assert!(entries[0].to_string().ends_with("was given up after 5ms"));
/// # }
/// ```
///
/// # Panics
///
/// The exit panics on a tokio runtime without timers. Outside of tokio there is no deadline.
#[must_use = "a manager does nothing unless it is entered"]
pub fn exit_within<M>(deadline: Duration, manager: M) -> ExitWithin<M> {
    ExitWithin { manager, deadline }
}

/// The manager of [`exit_within`].
pub struct ExitWithin<M> {
    manager: M,
    deadline: Duration,
}

impl<M: AsyncContextManager> AsyncContextManager for ExitWithin<M> {
    type Resource = M::Resource;
    type Error = M::Error;
    type Exit = M::Exit;

    fn enter(&mut self) -> impl Future<Output = Result<M::Resource, M::Error>> + Send {
        self.manager.enter()
    }

    async fn exit(self, resource: M::Resource, cause: Cause) -> Result<M::Exit, M::Error> {
        let name = self.manager.name();
        let exit = self.manager.exit(resource, cause);
        Limits::deadline(self.deadline)
            .watch(name, cause, exit)
            .await
    }

    fn inspect(&mut self, resource: &mut M::Resource, raised: Raised<'_>) {
        self.manager.inspect(resource, raised);
    }

    fn interrupt(&self, resource: &M::Resource) -> impl Future<Output = M::Error> + Send + use<M> {
        self.manager.interrupt(resource)
    }

    fn around_poll(&self) -> impl Sized {
        self.manager.around_poll()
    }

    fn name(&self) -> &'static str {
        self.manager.name()
    }
}

impl<M: ScopedAsyncContextManager> ScopedAsyncContextManager for ExitWithin<M> {
    type Resource = M::Resource;
    type Error = M::Error;
    type Exit = M::Exit;

    fn enter(&mut self) -> impl Future<Output = Result<M::Resource, M::Error>> {
        self.manager.enter()
    }

    async fn exit(self, resource: M::Resource, cause: Cause) -> Result<M::Exit, M::Error> {
        let name = self.manager.name();
        let exit = self.manager.exit(resource, cause);
        Limits::deadline(self.deadline)
            .watch(name, cause, exit)
            .await
    }

    fn abandon(self, resource: M::Resource) {
        self.manager.abandon(resource);
    }

    fn inspect(&mut self, resource: &mut M::Resource, raised: Raised<'_>) {
        self.manager.inspect(resource, raised);
    }

    fn interrupt(&self, resource: &M::Resource) -> impl Future<Output = M::Error> + use<M> {
        self.manager.interrupt(resource)
    }

    fn around_poll(&self) -> impl Sized {
        self.manager.around_poll()
    }

    fn name(&self) -> &'static str {
        self.manager.name()
    }
}
