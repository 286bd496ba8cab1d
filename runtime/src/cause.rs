//! What a manager is told, and what it may look at.

use std::any::{Any, TypeId, type_name};
use std::error::Error;
use std::fmt::{self, Debug, Display, Formatter};

/// How the body of a block ended, as its managers' exits are told (rule EXI-4).
///
/// It is `Copy` and owns nothing, so that an `async fn exit` that takes it borrows nothing and can outlive the block.
/// The error itself is shown to [`inspect`](crate::AsyncContextManager::inspect).
///
/// The meaning of each cause, and the five-way distinction, follow what Python passes to `__aexit__` (nothing, an
/// exception, a `CancelledError`), with Rust's panic and the dropped future added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The body fell through to its end, or left with `return`, `break` or `continue`, and no error left with it.
    Completed,
    /// An error left the body: through `?`, through `return Err(..)` or `break Err(..)`, or as its tail value.
    Failed(ErrorType),
    /// A panic left the body, or an inner manager.
    Panicked,
    /// A manager interrupted the body cooperatively (rule CAN-6): this one, or one further out.
    Cancelled,
    /// The future that held the block was dropped (rule CAN-1).
    Dropped,
}

impl Cause {
    /// Whether the body completed. A transaction commits if, and only if, this is true.
    #[must_use]
    pub const fn is_completed(self) -> bool {
        matches!(self, Cause::Completed)
    }
}

impl Display for Cause {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Completed => f.write_str("completed"),
            Cause::Failed(error) => write!(f, "failed ({error})"),
            Cause::Panicked => f.write_str("panicked"),
            Cause::Cancelled => f.write_str("cancelled"),
            Cause::Dropped => f.write_str("dropped"),
        }
    }
}

/// The type of the error that left a body, as [`Cause::Failed`] carries it.
///
/// It is as small as a pointer, because every exit is handed one.
#[derive(Clone, Copy)]
pub struct ErrorType(fn() -> (Option<TypeId>, &'static str));

impl ErrorType {
    /// The type `E`.
    #[must_use]
    pub fn of<E: 'static>() -> Self {
        Self(|| (Some(TypeId::of::<E>()), type_name::<E>()))
    }

    /// A type known by name only, as for an [`Outcome`] that does not show its error.
    pub(crate) fn named<T>() -> Self {
        Self(|| (None, type_name::<T>()))
    }

    /// Whether the error is of type `E`. Like `downcast`, it compares the static type: a `Box<dyn Error>` is a
    /// `Box<dyn Error>`, whatever is in it.
    #[must_use]
    pub fn is<E: 'static>(&self) -> bool {
        (self.0)().0 == Some(TypeId::of::<E>())
    }

    /// The full path of the type, as [`std::any::type_name`] gives it: for logs, not for decisions.
    #[must_use]
    pub fn name(&self) -> &'static str {
        (self.0)().1
    }
}

impl PartialEq for ErrorType {
    fn eq(&self, other: &Self) -> bool {
        (self.0)() == (other.0)()
    }
}

impl Eq for ErrorType {}

impl Debug for ErrorType {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ErrorType").field(&self.name()).finish()
    }
}

impl Display for ErrorType {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The error that left a body, lent to [`inspect`](crate::AsyncContextManager::inspect) (rule ERR-6).
///
/// What is changed through it is what leaves the block, and what managers further out see.
pub struct Raised<'a> {
    error: &'a mut dyn AnyError,
    error_type: ErrorType,
    view: Option<AsError>,
}

/// Views an error as [`dyn Error`](Error).
#[derive(Clone, Copy)]
pub struct AsError {
    pub(crate) by_ref: fn(&dyn Any) -> Option<&(dyn Error + 'static)>,
    pub(crate) by_mut: fn(&mut dyn Any) -> Option<&mut (dyn Error + 'static)>,
}

impl AsError {
    /// The view of a type that is an error itself.
    pub(crate) fn itself<E: Error + 'static>() -> Self {
        Self {
            by_ref: |error| error.downcast_ref::<E>().map(|error| error as _),
            by_mut: |error| error.downcast_mut::<E>().map(|error| error as _),
        }
    }
}

pub(crate) trait AnyError: Any + Debug {}
impl<E: Debug + 'static> AnyError for E {}

impl<'a> Raised<'a> {
    /// Shows a value that is [`Error`].
    pub fn from_error<E: Error + 'static>(error: &'a mut E) -> Self {
        Self::new(error, Some(AsError::itself::<E>()))
    }

    /// Shows a value that is only [`Debug`]; [`as_error`](Self::as_error) will be `None`.
    pub fn from_debug<E: Debug + 'static>(error: &'a mut E) -> Self {
        Self::new(error, None)
    }

    pub(crate) fn new<E: Debug + 'static>(error: &'a mut E, view: Option<AsError>) -> Self {
        Self {
            error,
            error_type: ErrorType::of::<E>(),
            view,
        }
    }

    /// The same error, for a manager that shows it to several.
    #[must_use]
    pub fn reborrow(&mut self) -> Raised<'_> {
        Raised {
            error: &mut *self.error,
            ..*self
        }
    }

    /// The error's type.
    #[must_use]
    pub fn error_type(&self) -> ErrorType {
        self.error_type
    }

    /// The full path of the error's type: for logs, not for decisions.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        self.error_type.name()
    }

    /// Whether the error is an `E`.
    #[must_use]
    pub fn is<E: 'static>(&self) -> bool {
        self.downcast_ref::<E>().is_some()
    }

    /// The error, if it is an `E`.
    #[must_use]
    pub fn downcast_ref<E: 'static>(&self) -> Option<&E> {
        (&*self.error as &dyn Any).downcast_ref()
    }

    /// The error, if it is an `E`, to be changed or replaced.
    #[must_use]
    pub fn downcast_mut<E: 'static>(&mut self) -> Option<&mut E> {
        (&mut *self.error as &mut dyn Any).downcast_mut()
    }

    /// The error as `&dyn Error`, with its [`source`](Error::source)s: for a type that implements [`Error`], and for
    /// one that dereferences to an error object, as `Box<dyn Error>` and `anyhow::Error` do.
    #[must_use]
    pub fn as_error(&self) -> Option<&(dyn Error + 'static)> {
        (self.view?.by_ref)(self.error)
    }

    /// Like [`as_error`](Self::as_error), to be changed through `downcast_mut`.
    #[must_use]
    pub fn as_error_mut(&mut self) -> Option<&mut (dyn Error + 'static)> {
        (self.view?.by_mut)(self.error)
    }
}

/// Shows the error as its own `Debug` does.
impl Debug for Raised<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Debug::fmt(self.error, f)
    }
}

/// What the exit of a manager that may suppress decides (rules SUP-1, SUP-4).
///
/// It is ignored when the body completed, and no verdict swallows a drop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "a verdict decides whether the failure goes on"]
pub enum Verdict {
    /// The failure goes on.
    #[default]
    Propagate,
    /// An error ends here, and so does the cancellation that this manager itself asked for. A panic goes on.
    Suppress,
    /// Like [`Suppress`](Self::Suppress), and a panic ends here too: a failed assertion is a panic.
    SuppressPanic,
}

/// What an exit returns: `()` for a manager that never suppresses, [`Verdict`] for one that may (rule SUP-1).
///
/// The trait is sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what an exit can return",
    label = "an exit returns `()` or `Verdict`",
    note = "`()` never suppresses a failure; return `Verdict`, which is an enum, to suppress one"
)]
pub trait ExitVerdict: sealed::Sealed + Send + 'static {
    /// What stands for the value of a block whose failure was suppressed: nothing can stand for it when the manager
    /// never suppresses, `()` when it may. A generic function over `M: AsyncContextManager` needs no bound for it.
    type Skipped: crate::expansion::SkipInto<()>;

    /// What two exits decide together, of which at most one runs or the second sees what the first left: `()` where
    /// neither may suppress, else [`Verdict`]. It is the `Exit` of a manager made of two.
    type Or<V: ExitVerdict>: ExitVerdict;

    /// The value of a block that is a function, [`run`](crate::AsyncContextManagerExt::run): `T` for a manager that
    /// never suppresses, `Option<T>` for one that may (rule SUP-3).
    type Value<T>;

    /// The verdict as the enum.
    fn verdict(&self) -> Verdict;

    /// The enum as the verdict: `()` where this never suppresses.
    fn from_verdict(verdict: Verdict) -> Self;

    #[doc(hidden)]
    fn skipped(self) -> Option<Self::Skipped>;

    /// `None` when a failure was suppressed.
    #[doc(hidden)]
    fn value<T>(value: Option<T>) -> Self::Value<T>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for () {}
    impl Sealed for super::Verdict {}
}

impl ExitVerdict for () {
    type Skipped = std::convert::Infallible;
    type Or<V: ExitVerdict> = V;
    type Value<T> = T;

    fn verdict(&self) -> Verdict {
        Verdict::Propagate
    }

    fn from_verdict(_: Verdict) {}

    fn skipped(self) -> Option<Self::Skipped> {
        None
    }

    fn value<T>(value: Option<T>) -> T {
        match value {
            Some(value) => value,
            None => unreachable!("nothing is suppressed"),
        }
    }
}

impl ExitVerdict for Verdict {
    type Skipped = crate::expansion::Suppressed;
    type Or<V: ExitVerdict> = Verdict;
    type Value<T> = Option<T>;

    fn verdict(&self) -> Verdict {
        *self
    }

    fn from_verdict(verdict: Verdict) -> Self {
        verdict
    }

    fn skipped(self) -> Option<Self::Skipped> {
        Some(crate::expansion::Suppressed)
    }

    fn value<T>(value: Option<T>) -> Option<T> {
        value
    }
}

/// A value that may stand for a failure when it leaves a body (rule FLO-4).
///
/// [`Result`] is one. Implement it for a response type of your own that has a failed state, and use it as a bound in
/// generic code: **an unbounded type parameter counts as completion, even where it is a `Result` at the call**.
///
/// ```
/// use async_with::Outcome;
///
/// struct Response { status: u16 }
///
/// impl Outcome for Response {
///     fn is_failure(&self) -> bool {
///         self.status >= 500
///     }
/// }
/// ```
pub trait Outcome {
    /// Whether the value stands for a failure.
    fn is_failure(&self) -> bool;

    /// The error in it, for [`inspect`](crate::AsyncContextManager::inspect): `None` when it is not a failure, or has
    /// no error to show. Managers are then told the name of `Self`, and `inspect` is not called.
    fn raised(&mut self) -> Option<Raised<'_>> {
        None
    }
}

impl<T, E: Debug + 'static> Outcome for Result<T, E> {
    fn is_failure(&self) -> bool {
        self.is_err()
    }

    fn raised(&mut self) -> Option<Raised<'_>> {
        self.as_mut().err().map(Raised::from_debug)
    }
}

/// Never a failure.
impl Outcome for () {
    fn is_failure(&self) -> bool {
        false
    }
}
