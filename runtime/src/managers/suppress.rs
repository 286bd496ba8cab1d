//! Errors that end with their block.

use std::convert::Infallible;
use std::error::Error;

use crate::{AsyncContextManager, Cause, Raised, Verdict};

/// Suppresses errors of the type `E`: Python's `contextlib.suppress` (rule SUP-4).
///
/// As in Python, it looks at the error itself and not at its causes: an error that wraps an `E` says something else
/// than an `E`. What is in a `Box<dyn Error>` or an `anyhow::Error` is the error itself. A panic, a cancellation and a
/// drop go on.
///
/// The error is what leaves the block, after `?` converted it (rule ERR-6). One that does not implement [`Error`], or
/// is to be told by more than its type, is for [`suppress_if`]. An [`Outcome`](crate::Outcome) that shows no error is
/// not seen by either.
///
/// ```
/// use async_with::{async_with, suppress};
/// use std::num::ParseIntError;
///
/// async fn sum(numbers: &[&str]) -> Result<u32, Box<dyn std::error::Error>> {
///     let mut sum = 0;
///     for number in numbers {
///         async_with! { suppress::<ParseIntError>() => {
///             sum += number.parse::<u32>()?;
///         }}
///     }
///     Ok(sum)
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// assert_eq!(sum(&["7", "seven", "5"]).await.unwrap(), 12);
/// # }
/// ```
#[must_use = "a manager does nothing unless it is entered"]
pub fn suppress<E: Error + 'static>() -> Suppress {
    suppress_if(|raised| {
        let object = || raised.as_error().is_some_and(<dyn Error>::is::<E>);
        raised.is::<E>() || object()
    })
}

/// Suppresses the errors for which the predicate holds. See [`suppress`].
///
/// ```
/// use async_with::{async_with, suppress_if};
/// use std::error::Error;
/// use std::io::{self, ErrorKind};
///
/// /// Looks at the causes, too.
/// fn is_caused_by<E: Error + 'static>(mut error: &(dyn Error + 'static)) -> bool {
///     while let (false, Some(source)) = (error.is::<E>(), error.source()) {
///         error = source;
///     }
///     error.is::<E>()
/// }
///
/// async fn remove(path: &str) -> io::Result<()> {
///     let missing = suppress_if(|raised| {
///         raised.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::NotFound)
///     });
///     let late = suppress_if(|raised| raised.as_error().is_some_and(is_caused_by::<async_with::Elapsed>));
///     async_with! { missing, late => {
///         tokio::fs::remove_file(path).await?;
///     }}
///     Ok(())
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> io::Result<()> {
/// # remove("there is no such file").await
/// # }
/// ```
///
/// # Panics
///
/// A panic of the predicate is one of the body (rule PAN-3).
#[must_use = "a manager does nothing unless it is entered"]
pub fn suppress_if<P>(predicate: P) -> Suppress<P>
where
    P: FnMut(&Raised<'_>) -> bool + Send + 'static,
{
    Suppress {
        predicate,
        holds: false,
    }
}

/// The manager of [`suppress`] and of [`suppress_if`].
pub struct Suppress<P = fn(&Raised<'_>) -> bool> {
    predicate: P,
    holds: bool,
}

impl<P: FnMut(&Raised<'_>) -> bool + Send + 'static> AsyncContextManager for Suppress<P> {
    type Resource = ();
    type Error = Infallible;
    type Exit = Verdict;

    async fn enter(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    async fn exit(self, (): (), _: Cause) -> Result<Verdict, Infallible> {
        Ok(if self.holds {
            Verdict::Suppress
        } else {
            Verdict::Propagate
        })
    }

    fn inspect(&mut self, (): &mut (), raised: Raised<'_>) {
        self.holds = (self.predicate)(&raised);
    }
}
