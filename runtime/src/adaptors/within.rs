//! A deadline on an enter.

use std::error::Error;
use std::fmt::{self, Debug, Display, Formatter};
use std::io;
use std::time::Duration;

use super::adaptor;
use crate::interruption::Converted;
use crate::{Cause, Elapsed, Interruption};

/// The manager of [`enter_within`](crate::AsyncContextManagerExt::enter_within).
pub struct EnterWithin<M> {
    manager: M,
    limit: Duration,
}

impl<M> EnterWithin<M> {
    pub(super) fn new(manager: M, limit: Duration) -> Self {
        Self { manager, limit }
    }
}

/// The error of a manager whose enter has a deadline: its own, or that the deadline has passed.
///
/// Where the manager's own error is or becomes an [`io::Error`], so does this one.
///
/// ```
/// use async_with::OrElapsed;
///
/// #[derive(Debug)]
/// enum ConnectError {
///     Late,
///     Refused,
/// }
///
/// impl From<OrElapsed<ConnectError>> for ConnectError {
///     fn from(error: OrElapsed<ConnectError>) -> Self {
///         match error {
///             OrElapsed::Elapsed(_) => ConnectError::Late,
///             OrElapsed::Other(error) => error,
///         }
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrElapsed<E> {
    /// The deadline has passed.
    Elapsed(Elapsed),
    /// The manager failed.
    Other(E),
}

impl<E: Display> Display for OrElapsed<E> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            OrElapsed::Elapsed(elapsed) => Display::fmt(elapsed, f),
            OrElapsed::Other(error) => Display::fmt(error, f),
        }
    }
}

impl<E: Error> Error for OrElapsed<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            OrElapsed::Elapsed(elapsed) => elapsed.source(),
            OrElapsed::Other(error) => error.source(),
        }
    }
}

impl<E: Into<io::Error>> From<OrElapsed<E>> for io::Error {
    fn from(error: OrElapsed<E>) -> Self {
        match error {
            OrElapsed::Elapsed(elapsed) => elapsed.into(),
            OrElapsed::Other(error) => error.into(),
        }
    }
}

adaptor! {
    impl<M> for EnterWithin<M> {
        forward Resource, Exit, inspect, around_poll, name;

        type Error = OrElapsed<M::Error>;

        async fn enter(&mut self) -> Result<M::Resource, Self::Error> {
            match tokio::time::timeout(self.limit, self.manager.enter()).await {
                Ok(entered) => entered.map_err(OrElapsed::Other),
                Err(_) => Err(OrElapsed::Elapsed(Elapsed)),
            }
        }

        async fn exit(self, resource: M::Resource, cause: Cause) -> Result<M::Exit, Self::Error> {
            self.manager.exit(resource, cause).await.map_err(OrElapsed::Other)
        }

        fn interrupt(&self, resource: &M::Resource) -> impl Interruption<Self::Error> + use<M> {
            Converted::new(self.manager.interrupt(resource), OrElapsed::Other)
        }
    }
}
