//! A deadline on an exit.

use std::time::Duration;

use crate::Cause;
use crate::adaptors::adaptor;
use crate::limits::Limits;

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
/// On a tokio runtime [without timers](crate::set_exit_deadline#without-timers), and outside of tokio, there is no
/// deadline.
#[must_use = "a manager does nothing unless it is entered"]
pub fn exit_within<M>(deadline: Duration, manager: M) -> ExitWithin<M> {
    ExitWithin { manager, deadline }
}

/// The manager of [`exit_within`].
pub struct ExitWithin<M> {
    manager: M,
    deadline: Duration,
}

adaptor! {
    impl<M> for ExitWithin<M> {
        forward Resource, Error, Exit, enter, inspect, interrupt, around_poll, name;

        async fn exit(self, resource: M::Resource, cause: Cause) -> Result<M::Exit, M::Error> {
            let name = self.manager.name();
            let exit = self.manager.exit(resource, cause);
            Limits::deadline(self.deadline)
                .watch(name, cause, exit)
                .await
        }
    }
}
