//! What the expansion of the macros calls. Not part of the public interface.
//!
//! # How a value that leaves is classified
//!
//! Whether a value that leaves a body stands for a failure depends on its type, and the type is often not known yet
//! where the expansion asks: an `async` block without annotation gets its type from code further down. Method calls
//! would be resolved on the spot. So the questions are asked as trait obligations, which rustc defers, with a
//! *tie-breaker* for types to which a specific and a general answer apply: the trait has a type parameter that the
//! expansion fills with an integer (or float) literal. While both impls apply, the literal's type is ambiguous; at the
//! end of type inference it falls back to `i32` (`f64`), which selects the specific impl. Where only the general impl
//! applies, it decides the literal's type at once.

#![allow(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::type_complexity
)]

use std::convert::Infallible;
use std::error::Error;
use std::fmt::Debug;
use std::future::{Future, Pending};
use std::marker::PhantomData;
use std::mem;
use std::ops::DerefMut;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

pub use async_with_macros::{block_inner, generator_inner};

pub use crate::__generator as generator;

use crate::cause::{AsError, ErrorType, Outcome, Raised};
use crate::leaving::{self, Leaving, Who};
use crate::manager::{Exiting, Finished, Left, Payload, report_of};
use crate::managers::MovedOn;
use crate::nest::{self, Level, Member, Place, drop_caught};
use crate::report::{Incident, Phase};
use crate::scope::{Fired, How};
use crate::stack::{AsyncExitStack, NoError, StackError, Stacked};
use crate::{
    AsyncClose, AsyncContextManager, Callback, Cause, Closing, ExitVerdict, Join, Manage, Map,
    MapErr, OnEnter, OnExit, Suppress, Verdict, Yielded,
};

pub use crate::ScopedAsyncContextManager;

// Visible in one place, so that messages name them without a path.
pub use crate::__needs_a_label as needs_a_label;
pub use crate::generator::{
    Generated, Lend, Permit, ScopedGenerated, Tail, Yield, Yielder, scoped, surviving,
};
pub use crate::level::{ConcludeBy, EnterBy, LendBy, NoManager};
pub use crate::manager::{Exited, InFrame, Lending, Managed, Surviving};
pub use crate::scope::{Drive, Ended, Interrupt, Parts, Scope, Stopped, drive};
pub use core::compile_error;
pub use core::future::pending;
pub use core::mem::take;
pub use core::option::Option::{self, None, Some};
pub use core::result::Result::{self, Err, Ok};

/// The value of a function that never returns: unlike after a `!`, rustc does not call what follows it unreachable.
pub enum Nothing {}

/// Names a type that the expansion cannot write: that of the enclosing function's return, of the body's value.
pub struct Ty<T>(PhantomData<fn() -> T>);

impl<T> Ty<T> {
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Ty(PhantomData)
    }

    /// Stands for a value in code that never runs, so that rustc learns the type before it sees the body.
    pub fn value(&self) -> T {
        unreachable!("only in code that never runs")
    }

    /// Another name for the same type, to be moved into a body.
    #[must_use]
    pub fn twin(&self) -> Self {
        Ty(PhantomData)
    }

    /// That the value has this type.
    pub fn is(&self, _: &T) {}

    /// The identity, with the expected type.
    pub fn same(&self, value: T) -> T {
        value
    }
}

// --- What leaves a body -------------------------------------------------------------------------------------------

/// The type `!`, which has no name on stable.
pub type Never = <fn() -> ! as Returns>::Output;

pub trait Returns {
    type Output;
}

impl<T> Returns for fn() -> T {
    type Output = T;
}

/// A value that may leave a body. `K` is an integer: `i32` for `Result`, and for the types that an unconstrained type
/// falls back to together with it; `u8` for anything.
pub trait Leaves<K> {
    type Error;
    fn error(&mut self) -> Option<&mut Self::Error>;
}

impl<T, E> Leaves<i32> for Result<T, E> {
    type Error = E;

    fn error(&mut self) -> Option<&mut E> {
        self.as_mut().err()
    }
}

impl Leaves<i32> for () {
    type Error = Infallible;

    fn error(&mut self) -> Option<&mut Infallible> {
        None
    }
}

impl Leaves<i32> for Never {
    type Error = Infallible;

    fn error(&mut self) -> Option<&mut Infallible> {
        None
    }
}

impl<T> Leaves<u8> for T {
    type Error = Infallible;

    fn error(&mut self) -> Option<&mut Infallible> {
        None
    }
}

/// The error of a `Result` that leaves a body (rule ERR-0).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the error type of a value that leaves an `async_with!` block",
    label = "an `Err({Self})` may leave this block",
    note = "managers are told of the error, for which it must be `Debug + 'static`; derive `Debug`, or convert it before it leaves, as in `.map_err(|error| ..)`"
)]
pub trait ErrorLeaves: Debug + 'static {}
#[diagnostic::do_not_recommend]
impl<E: Debug + 'static> ErrorLeaves for E {}

/// A failure: the type of its error, and the error itself, if it can be looked at.
pub type Failure<'a> = Option<(ErrorType, Option<Raised<'a>>)>;

/// Whether a type is an [`Outcome`]. `F` is a float: `f64` if it is, `f32` for anything.
pub trait MayBeOutcome<F> {
    fn failure(&mut self) -> Failure<'_>;
}

impl<T: Outcome> MayBeOutcome<f64> for T {
    fn failure(&mut self) -> Failure<'_> {
        if !self.is_failure() {
            return None;
        }
        let raised = self.raised();
        let error_type = match &raised {
            Some(raised) => raised.error_type(),
            None => ErrorType::named::<T>(),
        };
        Some((error_type, raised))
    }
}

impl MayBeOutcome<f64> for Never {
    fn failure(&mut self) -> Failure<'_> {
        None
    }
}

impl<T> MayBeOutcome<f32> for T {
    fn failure(&mut self) -> Failure<'_> {
        None
    }
}

/// Whether the error in a type can be seen as a `dyn Error`. `K` is an integer: `i32` if so, `u8` for anything.
pub trait MayShowError<K, How> {
    fn view() -> Option<AsErrorView>;
}

pub struct AsErrorView(AsError);

pub struct Itself;
pub struct Dereferenced;

impl<T, E: Error + 'static> MayShowError<i32, Itself> for Result<T, E> {
    fn view() -> Option<AsErrorView> {
        Some(AsErrorView(AsError::itself::<E>()))
    }
}

// `DerefMut` keeps out shared pointers, and with them guesses about whom a change would reach.
impl<T, E: DerefMut<Target: ErrorObject> + 'static> MayShowError<i32, Dereferenced>
    for Result<T, E>
{
    fn view() -> Option<AsErrorView> {
        Some(AsErrorView(AsError {
            by_ref: |error| Some(error.downcast_ref::<E>()?.deref().object()),
            by_mut: |error| Some(error.downcast_mut::<E>()?.deref_mut().object_mut()),
        }))
    }
}

impl MayShowError<i32, ()> for () {
    fn view() -> Option<AsErrorView> {
        None
    }
}

impl MayShowError<i32, ()> for Never {
    fn view() -> Option<AsErrorView> {
        None
    }
}

impl<T> MayShowError<u8, ()> for T {
    fn view() -> Option<AsErrorView> {
        None
    }
}

/// The error objects: what `Box<dyn Error ..>` and `anyhow::Error` dereference to.
pub trait ErrorObject {
    fn object(&self) -> &(dyn Error + 'static);
    fn object_mut(&mut self) -> &mut (dyn Error + 'static);
}

macro_rules! error_object {
    ($($object:ty),*) => {$(
        impl ErrorObject for $object {
            fn object(&self) -> &(dyn Error + 'static) {
                self
            }

            fn object_mut(&mut self) -> &mut (dyn Error + 'static) {
                self
            }
        }
    )*};
}

error_object!(
    dyn Error + 'static,
    dyn Error + Send + 'static,
    dyn Error + Send + Sync + 'static
);

/// The tie-breakers of one type, and with them its classification.
pub struct Tie<K, F, V, H>(PhantomData<fn() -> (K, F, V, H)>);

/// `tie(0, 0.0, 0)` leaves all tie-breakers open.
pub const fn tie<K: Copy, F: Copy, V: Copy, H>(_: K, _: F, _: V) -> Tie<K, F, V, H> {
    Tie(PhantomData)
}

/// How to tell whether a `T` that leaves is a failure.
pub trait Classify<T> {
    fn failure(value: &mut T) -> Failure<'_>;
    /// How the error in a `T` is seen as a `dyn Error`.
    fn view() -> Option<AsError>;
}

impl<T, K, F, V, H> Classify<T> for Tie<K, F, V, H>
where
    T: Leaves<K, Error: ErrorLeaves> + MayBeOutcome<F> + MayShowError<V, H>,
{
    fn failure(value: &mut T) -> Failure<'_> {
        if value.error().is_none() {
            return value.failure();
        }
        let error = value.error()?;
        let raised = Raised::new(error, <Self as Classify<T>>::view());
        Some((ErrorType::of::<T::Error>(), Some(raised)))
    }

    fn view() -> Option<AsError> {
        <T as MayShowError<V, H>>::view().map(|view| view.0)
    }
}

// --- From the end of the body to the end of the block ---------------------------------------------------------------

/// Ends the body with its value, and then waits to be dropped. `R` is the type that the body's future would return.
pub fn finish<V, R>(_: Ty<V>, value: V, slot: &mut Option<V>, ended: &Ended) -> Pending<R> {
    *slot = Some(value);
    ended.with_value();
    pending()
}

/// Ends the body with a jump to code outside of it.
pub fn jump<R>(ended: &Ended, number: u32) -> Pending<R> {
    ended.with_jump(number);
    pending()
}

/// The values of the jumps of a body, of which at most one is there.
pub trait Carries {
    fn failure(&mut self) -> Failure<'_>;
}

/// A body without jumps that carry a value.
impl Carries for () {
    fn failure(&mut self) -> Failure<'_> {
        None
    }
}

/// The value of one jump, if it was taken, and those of the others.
pub struct Carried<T, Others> {
    pub value: Option<T>,
    pub others: Others,
    /// A pointer, so that a type that cannot leave is one error, at its jump.
    failure: fn(&mut T) -> Failure<'_>,
}

pub fn carried<T, Others, C: Classify<T>>(
    value: Option<T>,
    others: Others,
    _: C,
) -> Carried<T, Others> {
    Carried {
        value,
        others,
        failure: C::failure,
    }
}

impl<T, Others: Carries> Carries for Carried<T, Others> {
    fn failure(&mut self) -> Failure<'_> {
        match &mut self.value {
            Some(value) => (self.failure)(value),
            None => self.others.failure(),
        }
    }
}

/// What the body ended with.
pub(crate) enum Ending<R, V, J> {
    Value(V),
    /// With the values of all jumps, of which only its own can be there.
    Jump(u32, J),
    Left(R),
}

/// What is found in what the body ended with, and how an error of the function that the block is in is seen as a `dyn
/// Error`.
struct Found<'a> {
    failure: Failure<'a>,
    view: Option<AsError>,
}

/// Looks for a failure in what the body ended with. A pointer, so that what is held across an await names no more types
/// than it must.
struct Classified<R, V, J>(fn(Option<&mut Ending<R, V, J>>) -> Found<'_>);

impl<R, V, J> Classified<R, V, J> {
    fn by<RT: Classify<R>, VT: Classify<V>>() -> Self
    where
        J: Carries,
    {
        Self(|ending| Found {
            failure: match ending {
                Some(Ending::Value(value)) => VT::failure(value),
                Some(Ending::Left(left)) => RT::failure(left),
                Some(Ending::Jump(_, carried)) => carried.failure(),
                None => None,
            },
            view: RT::view(),
        })
    }

    fn failure<'a>(&self, ending: &'a mut Ending<R, V, J>) -> Failure<'a> {
        (self.0)(Some(ending)).failure
    }

    fn view(&self) -> Option<AsError> {
        (self.0)(None).view
    }
}

impl<R, V, J> leaving::Ended<Ending<R, V, J>> for Classified<R, V, J> {
    fn failure(&mut self, ending: &mut Ending<R, V, J>) -> Option<Incident> {
        let (error_type, raised) = Classified::failure(self, ending)?;
        Some(match raised {
            Some(raised) => Incident::named_error(error_type.name(), &raised),
            None => Incident::named_error(error_type.name(), &error_type.name()),
        })
    }

    fn give_up(&mut self, ending: Ending<R, V, J>) -> Result<(), Payload> {
        drop_caught(ending)
    }
}

/// How the body ended, while the exit runs.
struct Settled<E, R, V, J> {
    cause: Cause,
    leaving: Leaving<Ending<R, V, J>, E>,
    classified: Classified<R, V, J>,
}

/// The same while the exit is polled.
struct Beside<'a, E, R, V, J> {
    settled: &'a mut Settled<E, R, V, J>,
    cancelled: bool,
}

impl<E: Debug, R, V, J> Left for Beside<'_, E, R, V, J> {
    fn raised(&mut self, show: &mut dyn FnMut(Raised<'_>)) {
        if let Leaving::Body(ending) = &mut self.settled.leaving
            && let Some((_, Some(raised))) = self.settled.classified.failure(ending)
        {
            show(raised);
        }
    }

    fn view(&self) -> Option<AsError> {
        self.settled.classified.view()
    }

    fn failure(&mut self) -> Option<Incident> {
        let Settled {
            leaving,
            classified,
            ..
        } = &mut *self.settled;
        match leaving {
            Leaving::Body(ending) => leaving::Ended::failure(classified, ending),
            _ => None,
        }
    }

    fn give_up(&mut self) -> Result<(), Payload> {
        mem::replace(&mut self.settled.leaving, Leaving::Nothing)
            .give_up(&mut self.settled.classified)
    }

    fn drop_interrupt(&mut self) {
        if let Leaving::Interrupted(_) = self.settled.leaving {
            self.settled.leaving = Leaving::Nothing;
        }
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled
    }

    fn is_not_cancelled(&self) -> bool {
        !self.cancelled
    }
}

/// A block between the end of its body and its exit.
pub struct Settling<K: Managed<Resource = Rs>, Rs, E, R, V, J> {
    scope: Scope<K, Rs>,
    settled: Settled<E, R, V, J>,
}

/// Classifies how the body ended, and shows a failure to the manager.
pub fn settle<K, Rs, E, R, V, J, RT, VT>(
    mut scope: Scope<K, Rs>,
    stopped: Stopped<R, E>,
    value: Option<V>,
    carried: J,
    ended: &Ended,
    _: RT,
    _: VT,
) -> Settling<K, Rs, E, R, V, J>
where
    K: Managed<Resource = Rs, Error = E>,
    E: Debug,
    J: Carries,
    RT: Classify<R>,
    VT: Classify<V>,
{
    let mut classified = Classified::by::<RT, VT>();
    let mut leaving = match (stopped.how, value) {
        (How::Ended, Some(value)) => Leaving::Body(Ending::Value(value)),
        (How::Ended, None) => {
            Leaving::Body(Ending::Jump(ended.jump().unwrap_or_default(), carried))
        }
        (How::Left(left), _) => Leaving::Body(Ending::Left(left)),
        (How::Interrupted(fired, left), value) => {
            let left = left.map(Ending::Left).or(value.map(Ending::Value));
            let jump = ended.jump().map(|number| Ending::Jump(number, carried));
            let who = Who::named(scope.name(), Cause::Cancelled);
            match (left.or(jump), fired) {
                // The block of a generator's user was dropped, or has panicked, and that goes on.
                (Some(ending), Fired::Error(error))
                    if matches!(scope.marked(), Some(Cause::Panicked | Cause::Dropped)) =>
                {
                    let error = Some(error).filter(K::is_raised);
                    Leaving::Interrupted(error).lost(&mut classified, &who);
                    Leaving::Body(ending)
                }
                (overtaken, fired) => {
                    if let Some(overtaken) = overtaken {
                        Leaving::<_, E>::Body(overtaken).lost(&mut classified, &who);
                    }
                    match fired {
                        Fired::Error(error) => {
                            Leaving::Interrupted(Some(error).filter(K::is_raised))
                        }
                        Fired::Panic(payload) => Leaving::Panicked(*payload),
                    }
                }
            }
        }
        (How::Cancelled, _) => Leaving::Cancelled,
        (How::Panicked(payload), _) => Leaving::Panicked(payload),
    };
    let mut late = stopped.late.map(|payload| (Phase::Body, payload));
    let failure = match &mut leaving {
        Leaving::Body(ending) => classified.failure(ending),
        _ => None,
    };
    let is_own = failure.is_some();
    let mut cause = match failure {
        Some((error_type, raised)) => {
            if let Some((manager, resource)) = scope.manager_and_resource()
                && let Some(raised) = raised
                && late.is_none()
            {
                let inspect = || manager.inspect(resource, raised);
                if let Err(payload) = catch_unwind(AssertUnwindSafe(inspect)) {
                    late = Some((Phase::Inspect, payload));
                }
            }
            Cause::Failed(error_type)
        }
        None => match &leaving {
            Leaving::Interrupted(_) | Leaving::Cancelled => Cause::Cancelled,
            Leaving::Panicked(_) => Cause::Panicked,
            _ => scope.marked().unwrap_or(Cause::Completed),
        },
    };
    if let (Cause::Failed(_), Leaving::Body(_), None) = (cause, &leaving, &late)
        && !is_own
        && scope.marked() == Some(cause)
    {
        // The error is still with the block of the generator's user.
        let inspect = || crate::generator::show(&mut |raised| scope.inspect(raised));
        if let Err(payload) = catch_unwind(AssertUnwindSafe(inspect)) {
            late = Some((Phase::Inspect, payload));
        }
    }
    if let Some((phase, payload)) = late {
        let who = Who::named(scope.name(), cause);
        leaving.panic(payload, phase, &mut classified, &who);
        cause = Cause::Panicked;
    }
    let settled = Settled {
        cause,
        leaving,
        classified,
    };
    Settling { scope, settled }
}

impl<K: Managed<Resource = Rs>, Rs, E: Debug, R, V, J> Settling<K, Rs, E, R, V, J> {
    /// Makes the exit's future with `exit`.
    pub(crate) fn conclude_by<X: Exiting<S, E>, S>(
        self,
        exit: impl FnOnce(K, Rs, Cause, Level) -> X,
    ) -> Conclude<X, S, E, R, V, J> {
        let Self { scope, settled } = self;
        let (manager, resource, level) = scope.into_exit();
        let (place, member) = (level.place(), level.member());
        Conclude {
            exit: exit(manager, resource, settled.cause, level),
            poll_exit: X::poll_exit,
            of: X::of,
            place,
            member,
            stage: Stage::Exiting(settled),
        }
    }
}

/// How control leaves the block.
pub enum Concluded<R, V, J, E, S> {
    /// It falls through, with the block's value.
    Value(V),
    /// It jumps out, to the jump with this number, which may have left a value.
    Jump(u32, J),
    /// It returns from the function.
    Left(R),
    /// It raises the manager's error.
    Raised(E),
    /// A failure was suppressed.
    Skipped(S),
}

/// How far the end of a block is.
enum Stage<S> {
    Exiting(S),
    /// Until the block that is interrupted drops its body. It is that of the manager of this name.
    Parked(&'static str),
    Ended,
}

impl<S> Stage<S> {
    fn take(&mut self) -> Option<S> {
        match mem::replace(self, Stage::Ended) {
            Stage::Exiting(settled) => Some(settled),
            Stage::Parked(_) | Stage::Ended => None,
        }
    }
}

impl<E: Debug, R, V, J> Stage<Settled<E, R, V, J>> {
    /// Reports what nobody waits for any more.
    #[cold]
    #[inline(never)]
    fn lose(&mut self, name: &dyn Fn() -> &'static str) {
        if let Some(settled) = self.take() {
            let Settled {
                cause,
                leaving,
                mut classified,
            } = settled;
            leaving.lost(&mut classified, &Who::found_by(name, cause));
        }
    }
}

/// [`Exiting::poll_exit`] of an exit.
type PollExit<X, S, E> = fn(Pin<&mut X>, &mut Context<'_>, &mut dyn Left) -> Poll<Finished<S, E>>;

pin_project! {
    /// Runs the exit, and brings together how it ended and how the body did.
    ///
    /// What it knows of its exit are pointers: a bound that an exit does not meet would be one more error.
    #[must_use = "futures do nothing unless polled"]
    pub struct Conclude<X, S, E: Debug, R, V, J> {
        #[pin]
        exit: X,
        poll_exit: PollExit<X, S, E>,
        of: fn(&X) -> Option<&'static str>,
        place: Place,
        member: Option<Member>,
        stage: Stage<Settled<E, R, V, J>>,
    }

    impl<X, S, E: Debug, R, V, J> PinnedDrop for Conclude<X, S, E, R, V, J> {
        // Dropped during the exit, what was to be raised after it has nobody to be raised to.
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let Stage::Exiting(_) = this.stage {
                let name = || (this.of)(&this.exit).unwrap_or_else(|| this.place.name());
                this.stage.lose(&name);
            }
        }
    }
}

impl<X, S: ExitVerdict, E: Debug, R, V, J> Future for Conclude<X, S, E, R, V, J> {
    type Output = Concluded<R, V, J, E, S::Skipped>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let settled = match this.stage {
            Stage::Exiting(settled) => settled,
            Stage::Parked(name) if !nest::is_interrupted() => {
                // It was polled in a block that was interrupted, and goes on after it: it has nothing to go on with.
                report_of(name, Phase::Body, Cause::Cancelled, Incident::Unfinished);
                *this.stage = Stage::Ended;
                return Poll::Pending;
            }
            _ => return Poll::Pending,
        };
        let mut cancelled = false;
        if let Some(member) = &*this.member {
            member.polled(nest::node(), cx.waker());
            cancelled = member.is_cancelled();
        }
        let (exited, owed) = ready!(nest::exiting(*this.place, cancelled, cx, |cx| {
            let is_failed = matches!(settled.cause, Cause::Failed(_));
            let mut beside = Beside { settled, cancelled };
            if is_failed {
                let poll = |left: &mut dyn Left| (this.poll_exit)(this.exit, cx, left);
                crate::generator::showing(&mut beside, poll)
            } else {
                (this.poll_exit)(this.exit, cx, &mut beside)
            }
        }));
        let Some(settled) = this.stage.take() else {
            return Poll::Pending;
        };
        let member = this.member.take();
        let cancelled = member.as_ref().is_some_and(Member::is_cancelled);
        let name = || this.place.name();
        let concluded = conclude(settled, exited, cancelled, &name);
        if concluded.is_none() {
            *this.stage = Stage::Parked(name());
        }
        drop(owed);
        match concluded {
            Some(concluded) => Poll::Ready(concluded),
            None => Poll::Pending,
        }
    }
}

/// How control leaves the block; not at all, when one further out interrupts.
fn conclude<E: Debug, R, V, J, S: ExitVerdict>(
    settled: Settled<E, R, V, J>,
    exited: Exited<S, E>,
    cancelled: bool,
    name: &dyn Fn() -> &'static str,
) -> Option<Concluded<R, V, J, E, S::Skipped>> {
    let Settled {
        cause,
        mut leaving,
        mut classified,
    } = settled;
    // The block of a generator's user was dropped, or has panicked: that goes on, whoever interrupts the generator's own.
    let is_marked = matches!(leaving, Leaving::Body(_));
    let cancelled = cancelled && !(is_marked && matches!(cause, Cause::Panicked | Cause::Dropped));
    let exited = match (&leaving, exited) {
        // Who interrupted was a part of the manager, as a block around the yield of a generator is: it raises this.
        (Leaving::Cancelled, Exited::Failed(error)) if !cancelled => {
            return Some(Concluded::Raised(error));
        }
        (_, exited) => exited,
    };
    let who = Who::found_by(name, cause);
    if cause == Cause::Dropped || (is_marked && cause == Cause::Panicked) {
        // The block of a generator's user was, or has panicked: what the exits end with is reported, and the generator goes on.
        let mut dropped = Leaving::Dropped::<Ending<R, V, J>, E>;
        dropped.after(exited.verdict(), cancelled, &mut classified, &who);
    } else {
        leaving.after(exited.verdict(), cancelled, &mut classified, &who);
    }
    match leaving {
        Leaving::Body(mut ending) => {
            // A generator's mark told the manager otherwise: so it does the next one further out.
            if cause != Cause::Completed && classified.failure(&mut ending).is_none() {
                nest::mark(cause);
            }
            Some(match ending {
                Ending::Value(value) => Concluded::Value(value),
                Ending::Jump(number, carried) => Concluded::Jump(number, carried),
                Ending::Left(left) => Concluded::Left(left),
            })
        }
        Leaving::Raised(error) => Some(Concluded::Raised(error)),
        Leaving::Nothing => S::from_verdict(Verdict::Suppress)
            .skipped()
            .map(Concluded::Skipped),
        Leaving::Panicked(payload) => resume_unwind(payload),
        Leaving::Interrupted(_) | Leaving::Cancelled | Leaving::Dropped => None,
    }
}

/// The arm of a jump that the body does not have.
pub fn no_jump() -> ! {
    unreachable!("the body ends with the jumps that its expansion numbered")
}

// --- Suppression --------------------------------------------------------------------------------------------------

/// Stands for the value of a block whose failure was suppressed.
pub struct Suppressed;

/// What can stand for a value of type `V` when a failure was suppressed (rule SUP-3).
pub trait SkipInto<V> {
    fn skip_into(self) -> V;
}

impl<V> SkipInto<V> for Infallible {
    fn skip_into(self) -> V {
        match self {}
    }
}

impl SkipInto<()> for Suppressed {
    fn skip_into(self) {}
}

/// The same of what the exit of a block's manager leaves. That of a generic manager is a projection, of which rustc would
/// propose a bound on this trait; it does not when a function's own type is part of what has to be bounded.
#[diagnostic::on_unimplemented(
    message = "a suppressed failure leaves this `async_with!` block without its `{V}`",
    label = "this manager may suppress a failure, and then there is no `{V}`",
    note = "add `else {{ .. }}` after the body to say what the value is then, or let the block end with `;`",
    note = "a manager whose type is a parameter may suppress unless its bound says `Exit = ()`, as in `M: AsyncContextManager<Exit = ()>`"
)]
pub trait BlockGoesOn<V> {
    fn value(self) -> V;
}

pub struct Skip<S, F>(S, PhantomData<F>);

#[diagnostic::do_not_recommend]
impl<V, S: SkipInto<V>, F> BlockGoesOn<V> for Skip<S, F> {
    fn value(self) -> V {
        self.0.skip_into()
    }
}

pub fn skip<V, S, F>(_: &Ty<V>, skipped: S, _: F) -> V
where
    Skip<S, F>: BlockGoesOn<V>,
{
    Skip(skipped, PhantomData).value()
}

/// What the exit of a block's manager leaves, where the block holds the yield of a generator.
#[diagnostic::on_unimplemented(
    message = "this manager may suppress a failure, and the block has the `yield_!` of a generator in it",
    label = "a failure before the `yield_!` could be suppressed, and then nothing is yielded",
    note = "take a manager that never suppresses, as `timeout` in place of `move_on_after`; or write the `yield_!` behind the block"
)]
pub trait SkipsNoYield {
    fn no_value<V>(self) -> V;
}

#[diagnostic::do_not_recommend]
impl<F> SkipsNoYield for Skip<Infallible, F> {
    fn no_value<V>(self) -> V {
        match self.0 {}
    }
}

// A second one, so that rustc does not take the first for granted.
#[diagnostic::do_not_recommend]
impl<F> SkipsNoYield for Skip<Nothing, F> {
    fn no_value<V>(self) -> V {
        match self.0 {}
    }
}

pub fn skip_no_yield<V, S, F>(_: &Ty<V>, skipped: S, _: F) -> V
where
    Skip<S, F>: SkipsNoYield,
{
    Skip(skipped, PhantomData).no_value()
}

/// Whether an exit that leaves a `Self` may suppress. `K` is an integer: `i32` for what stands for no suppression, `u8` for
/// anything, also that of a generic manager.
pub trait MaySuppress<K> {
    type Answer;
}

pub struct Yes;
pub struct No;

impl MaySuppress<i32> for Infallible {
    type Answer = No;
}

impl<S> MaySuppress<u8> for S {
    type Answer = Yes;
}

pub trait Or<Other> {
    type Answer;
}

impl<Other> Or<Other> for Yes {
    type Answer = Yes;
}

impl<Other> Or<Other> for No {
    type Answer = Other;
}

/// Whether one of the managers of a block may suppress: pairs of what the exit of one leaves and of the others, and such
/// pairs of integers.
pub trait AnyMaySuppress<K> {
    type Answer;
}

impl AnyMaySuppress<()> for () {
    type Answer = No;
}

impl<S, K, Others, Ks> AnyMaySuppress<(K, Ks)> for (&Ty<S>, Others)
where
    S: MaySuppress<K, Answer: Or<Others::Answer>>,
    Others: AnyMaySuppress<Ks>,
{
    type Answer = <S::Answer as Or<Others::Answer>>::Answer;
}

/// The answer that an `else` needs (rule SUP-3).
#[diagnostic::on_unimplemented(
    message = "this `else` never runs: no manager of the block suppresses a failure",
    label = "nothing is suppressed that this could follow",
    note = "remove it, or take a manager that suppresses: `move_on_after` or `move_on_at` in place of `timeout` or `timeout_at`, `move_on_when_cancelled` in place of `cancellable`, `AsyncExitStack::suppressing()` in place of `new()`"
)]
pub trait ElseRuns {}
#[diagnostic::do_not_recommend]
impl ElseRuns for Yes {}
// A second one, so that rustc does not take the first for granted.
#[diagnostic::do_not_recommend]
impl ElseRuns for Nothing {}

/// Asks of a block with an `else` whether that can run.
pub fn else_runs<S: AnyMaySuppress<K, Answer: ElseRuns>, K>(_: &S, _: K) {}

/// What control comes to behind a block whose body ends with a jump: pairs of what the exit of one manager leaves and of
/// the others. Method lookup finds out whether one of them may suppress: if none does, nothing comes there.
pub struct Fall<S>(S);

impl<S> Fall<S> {
    pub fn new(types: S) -> Self {
        Fall(types)
    }
}

/// That none of the managers of a block suppresses.
pub trait NoneSuppresses {}
impl NoneSuppresses for () {}
impl<Others: NoneSuppresses> NoneSuppresses for (&Ty<Infallible>, Others) {}

pub trait FallNever {
    fn __async_with_fall<V>(&self, _: V) -> ! {
        unreachable!("the body ends with a jump")
    }
}

pub trait FallThrough {
    fn __async_with_fall<V>(&self, value: V) -> V {
        value
    }
}

impl<S: NoneSuppresses> FallNever for &Fall<S> {}
impl<S> FallThrough for Fall<S> {}

/// What the expansion brings into scope to go on behind such a block.
pub mod fall {
    pub use super::{FallNever as _, FallThrough as _};
}

// --- Raising ------------------------------------------------------------------------------------------------------

/// What an enter's or an exit's error can leave as (rule ERR-1). `K` is an integer: `i32` for an error that cannot be,
/// `u8` for any other.
#[diagnostic::on_unimplemented(
    message = "this manager's `{E}` cannot be raised in a function that returns `{Self}`",
    label = "enter or exit can fail with `{E}` here, which `?` could not return",
    note = "the enclosing function or async block must return a `Result` whose error type implements `From<{E}>`"
)]
pub trait FromError<E, K>: Sized {
    fn from_error(error: E) -> Self;
}

#[diagnostic::do_not_recommend]
impl<R> FromError<Infallible, i32> for R {
    fn from_error(error: Infallible) -> R {
        match error {}
    }
}

#[diagnostic::do_not_recommend]
impl<R> FromError<MovedOn, i32> for R {
    fn from_error(_: MovedOn) -> R {
        never_raised()
    }
}

// The error of a stack is not known before it is asked for here: it becomes that of the function. The integer falls
// back to `i32`, so that the first of the two is chosen where both apply.

#[diagnostic::do_not_recommend]
impl<T, E> FromError<StackError<E>, i32> for Result<T, E> {
    fn from_error(error: StackError<E>) -> Self {
        Err(error.raised())
    }
}

#[diagnostic::do_not_recommend]
impl<R> FromError<StackError<NoError>, u16> for R {
    fn from_error(error: StackError<NoError>) -> R {
        match error.into_inner() {
            Some(never) => match never {},
            None => never_raised(),
        }
    }
}

// In a function that returns `()`, a stack of `Infallible` is one that cannot fail, too. The integer then chooses the
// first of these, for a stack whose error is not written.

#[diagnostic::do_not_recommend]
impl FromError<StackError<NoError>, i32> for () {
    fn from_error(error: StackError<NoError>) {
        <() as FromError<_, u16>>::from_error(error);
    }
}

#[diagnostic::do_not_recommend]
impl FromError<StackError<Infallible>, u32> for () {
    fn from_error(error: StackError<Infallible>) {
        match error.into_inner() {
            Some(never) => match never {},
            None => never_raised(),
        }
    }
}

#[diagnostic::do_not_recommend]
impl<T, E, F: From<E>> FromError<E, u8> for Result<T, F> {
    fn from_error(error: E) -> Self {
        Err(F::from(error))
    }
}

pub(crate) fn never_raised() -> ! {
    unreachable!("a manager that goes on after its interruption suppresses it")
}

impl<K: Managed<Resource = Rs>, Rs> Scope<K, Rs> {
    /// How the errors of this manager are raised. It is asked for once per level, as a pointer, so that there is one
    /// error at most; the scope is given, so that the manager is known when the bound is looked at.
    pub fn raises<R: FromError<K::Error, T>, T>(&self, _: T, _: &Ty<R>) -> fn(K::Error) -> R {
        R::from_error
    }
}

/// A value that can be moved once, so that a loop in which it is moved can be entered once.
pub struct Once(());

impl Once {
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Once(())
    }

    pub fn enter(self) {}
}

/// What the loop around a body is broken with. See the macro below.
pub trait Probed {}
pub struct ThisMacroLoops;
pub struct LabelTheJump;
impl Probed for ThisMacroLoops {}
impl Probed for LabelTheJump {}

/// Stands beside an unlabeled jump in the arguments of a macro that makes no loop of them, by its name: it compiles only
/// in a loop that is expected to be a `dyn Probed`. In another, both types would have to be one, or no value fits at all.
#[doc(hidden)]
#[macro_export]
macro_rules! __needs_a_label {
    () => {
        if false {
            break if true {
                &$crate::expansion::ThisMacroLoops
            } else {
                &$crate::expansion::LabelTheJump
            };
        }
    };
}

/// The value of a jump that was taken.
pub fn payload<T>(slot: Option<T>) -> T {
    match slot {
        Some(value) => value,
        None => no_jump(),
    }
}

// --- Opening ------------------------------------------------------------------------------------------------------

/// The value in item position, to find out of which kind it is. The traits below differ in how many references their
/// method's receiver takes: method lookup finds the most special one first.
pub struct Opener<M>(M);

impl<M> Opener<M> {
    pub fn new(manager: M) -> Self {
        Opener(manager)
    }
}

pub struct SurvivingKind;
pub struct InFrameKind;

impl SurvivingKind {
    pub fn open<M: AsyncContextManager>(
        self,
        opener: Opener<M>,
    ) -> Scope<Surviving<M>, M::Resource> {
        Scope::new(Surviving(opener.0))
    }
}

impl InFrameKind {
    pub fn open<M: ScopedAsyncContextManager>(
        self,
        opener: Opener<M>,
    ) -> Scope<InFrame<M>, M::Resource> {
        Scope::new(InFrame(opener.0))
    }
}

pub struct StackedKind;

impl StackedKind {
    pub fn open<E: Debug + Send + 'static, V: ExitVerdict>(
        self,
        opener: Opener<AsyncExitStack<E, V>>,
    ) -> Scope<Stacked<E, V>, AsyncExitStack<E, V>> {
        Scope::new(Stacked(opener.0))
    }
}

/// The managers that are opened each in its own way. One trait for all of them: of a value whose type is an error, rustc
/// then says no more.
pub trait OpenOwn {
    type Kind;
    fn __async_with_open(&self) -> Self::Kind;
}

impl<E: Debug + Send + 'static, V: ExitVerdict> OpenOwn for &&&&Opener<AsyncExitStack<E, V>> {
    type Kind = StackedKind;

    fn __async_with_open(&self) -> StackedKind {
        StackedKind
    }
}

type GeneratedScope<R, E, V> = Scope<
    Lending<Surviving<Generated<R, E, V>>>,
    <Generated<R, E, V> as AsyncContextManager>::Resource,
>;

pub struct GeneratedKind;

impl GeneratedKind {
    pub fn open<R, E, V>(self, opener: Opener<Generated<R, E, V>>) -> GeneratedScope<R, E, V>
    where
        R: Send + 'static,
        E: Debug + Send + 'static,
        V: ExitVerdict,
    {
        Scope::new(Lending(Surviving(opener.0)))
    }
}

impl<R, E, V> OpenOwn for &&&&Opener<Generated<R, E, V>> {
    type Kind = GeneratedKind;

    fn __async_with_open(&self) -> GeneratedKind {
        GeneratedKind
    }
}

type ScopedGeneratedScope<R, E, V, F> =
    Scope<Lending<InFrame<ScopedGenerated<R, E, V, F>>>, Yielded<F, R, E>>;

pub struct ScopedGeneratedKind;

impl ScopedGeneratedKind {
    pub fn open<R, E, V, F>(
        self,
        opener: Opener<ScopedGenerated<R, E, V, F>>,
    ) -> ScopedGeneratedScope<R, E, V, F>
    where
        F: Future<Output = Result<V, E>>,
        E: Debug + 'static,
        V: ExitVerdict,
    {
        Scope::new(Lending(InFrame(opener.0)))
    }
}

impl<R, E, V, F> OpenOwn for &&&&Opener<ScopedGenerated<R, E, V, F>> {
    type Kind = ScopedGeneratedKind;

    fn __async_with_open(&self) -> ScopedGeneratedKind {
        ScopedGeneratedKind
    }
}

pub trait OpenSurviving {
    fn __async_with_open(&self) -> SurvivingKind {
        SurvivingKind
    }
}

pub trait OpenInFrame {
    fn __async_with_open(&self) -> InFrameKind {
        InFrameKind
    }
}

impl<M: AsyncContextManager> OpenSurviving for &&&Opener<M> {}
impl<M: ScopedAsyncContextManager> OpenInFrame for &&&Opener<M> {}

// What cannot be opened. The method's return type is a projection that does not hold: that is the one error, and the
// type that results silences what follows. Written out, because rustc shows the place of the bound.

#[diagnostic::on_unimplemented(
    message = "`{Self}` implements both `AsyncContextManager` and `ScopedAsyncContextManager`",
    label = "it is not clear by which of the two to enter this",
    note = "implement only one of them: `AsyncContextManager` when the exit is to survive cancellation"
)]
pub trait EnteredByOneProtocol {
    type Kind;
}

pub trait OpenBoth<M> {
    fn __async_with_open(&self) -> M::Kind
    where
        M: EnteredByOneProtocol,
    {
        unreachable!("no type implements the bound")
    }
}

// Found by the reference that method lookup adds, right behind what it finds without.
impl<M: AsyncContextManager + ScopedAsyncContextManager> OpenBoth<M> for &&&&&Opener<M> {}

#[diagnostic::on_unimplemented(
    message = "a future is not an async context manager",
    label = "this is a future, which does not implement `AsyncContextManager`",
    note = "if it resolves to a manager, add `.await`; if it is the set-up or the clean-up itself, implement `AsyncContextManager` for a type of your own"
)]
pub trait EnterableFuture {
    type Kind;
}

pub trait OpenFuture<M> {
    fn __async_with_open(&self) -> M::Kind
    where
        M: EnterableFuture,
    {
        unreachable!("no type implements the bound")
    }
}

impl<M: Future> OpenFuture<M> for &&Opener<M> {}

#[diagnostic::on_unimplemented(
    message = "a `Result` is not an async context manager",
    label = "this is a `Result`, which does not implement `AsyncContextManager`",
    note = "if it holds a manager, add `?` to take it out"
)]
pub trait EnterableResult {
    type Kind;
}

pub trait OpenResult<M> {
    fn __async_with_open(&self) -> M::Kind
    where
        M: EnterableResult,
    {
        unreachable!("no type implements the bound")
    }
}

impl<T, E> OpenResult<Result<T, E>> for &&Opener<Result<T, E>> {}

#[diagnostic::on_unimplemented(
    message = "the guard of a lock is not an async context manager",
    label = "this guard releases its lock when it is dropped; it does not implement `AsyncContextManager`",
    note = "bind it with `let` in the body, and use an asynchronous lock when the body awaits"
)]
pub trait EnterableGuard {
    type Kind;
}

pub trait OpenGuard<M> {
    fn __async_with_open(&self) -> M::Kind
    where
        M: EnterableGuard,
    {
        unreachable!("no type implements the bound")
    }
}

impl<M: Guard> OpenGuard<M> for &&Opener<M> {}

#[cfg(feature = "tokio")]
#[diagnostic::on_unimplemented(
    message = "the guard of a lock is not an async context manager",
    label = "this guard releases its lock when it is dropped; it does not implement `AsyncContextManager`",
    note = "the lock itself is one: write `&mutex`, `&semaphore`, `reading(&lock)` or `writing(&lock)` in place of the guard, without `.await`"
)]
pub trait EnterableLock {
    type Kind;
}

#[cfg(feature = "tokio")]
pub trait OpenLock<M> {
    fn __async_with_open(&self) -> M::Kind
    where
        M: EnterableLock,
    {
        unreachable!("no type implements the bound")
    }
}

#[cfg(feature = "tokio")]
impl<M: AsyncGuard> OpenLock<M> for &&Opener<M> {}

#[cfg(feature = "tokio")]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an async context manager",
    label = "this lock does not implement `AsyncContextManager` as it is",
    note = "write `&mutex`, `&semaphore`, `reading(&lock)` or `writing(&lock)`; in place of `&`, each may be in an `Arc`"
)]
pub trait EnterableLockItself {
    type Kind;
}

#[cfg(feature = "tokio")]
pub trait OpenLockItself<M> {
    fn __async_with_open(&self) -> M::Kind
    where
        M: EnterableLockItself,
    {
        unreachable!("no type implements the bound")
    }
}

#[cfg(feature = "tokio")]
impl<M: AsyncLock> OpenLockItself<M> for &&Opener<M> {}

#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an async context manager",
    label = "this lock blocks its thread; it does not implement `AsyncContextManager`",
    note = "use `tokio::sync::Mutex` or `tokio::sync::RwLock`, as in `&mutex`, `reading(&lock)` or `writing(&lock)`; or lock this one in the body, where nothing is awaited meanwhile"
)]
pub trait EnterableSyncLock {
    type Kind;
}

pub trait OpenSyncLock<M> {
    fn __async_with_open(&self) -> M::Kind
    where
        M: EnterableSyncLock,
    {
        unreachable!("no type implements the bound")
    }
}

impl<M: SyncLock> OpenSyncLock<M> for &&Opener<M> {}

#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an async context manager",
    label = "this can be closed, and does not implement `AsyncContextManager`",
    note = "write `closing(..)` around it"
)]
pub trait EnterableClosable {
    type Kind;
}

pub trait OpenClosable<M> {
    fn __async_with_open(&self) -> M::Kind
    where
        M: EnterableClosable,
    {
        unreachable!("no type implements the bound")
    }
}

impl<M: AsyncClose> OpenClosable<M> for &&Opener<M> {}

#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an async context manager",
    label = "this is text, which does not implement `AsyncContextManager`",
    note = "pass it to what makes a manager of it, as in `open(\"path\") as file`"
)]
pub trait EnterableText {
    type Kind;
}

pub trait OpenText<M> {
    fn __async_with_open(&self) -> M::Kind
    where
        M: EnterableText,
    {
        unreachable!("no type implements the bound")
    }
}

impl<M: AsRef<str>> OpenText<M> for &&Opener<M> {}

#[diagnostic::on_unimplemented(
    message = "the managers of this `join` fail with different errors",
    label = "the managers of a `join` have one error type between them",
    note = "convert the errors, as in `manager.map_err(|error| ..)`; where it cannot fail, `manager.map_err(|never| match never {{}})`"
)]
pub trait JoinableErrors {
    type Kind;
}

/// Several managers, whatever they fail with.
pub trait Several {}

macro_rules! several {
    ($A:ident) => {};
    ($A:ident $($M:ident)+) => {
        impl<$A: AsyncContextManager, $($M: AsyncContextManager),+> Several for ($A, $($M),+) {}
        several!($($M)+);
    };
}

several!(A B C D E F G H);

pub trait OpenJoined<T> {
    fn __async_with_open(&self) -> T::Kind
    where
        T: JoinableErrors,
    {
        unreachable!("no type implements the bound")
    }
}

impl<T: Several> OpenJoined<T> for &&Opener<Join<T>> {}

#[diagnostic::on_unimplemented(
    message = "`join` of one manager is not an async context manager",
    label = "`join` takes its managers as one tuple",
    note = "write two pairs of parentheses, as in `join((first, second))`"
)]
pub trait JoinableAlone {
    type Kind;
}

pub trait OpenJoinedAlone<M> {
    fn __async_with_open(&self) -> M::Kind
    where
        M: JoinableAlone,
    {
        unreachable!("no type implements the bound")
    }
}

impl<M: AsyncContextManager> OpenJoinedAlone<M> for &&Opener<Join<M>> {}

/// A manager of this crate that the function which makes it has checked. When it is none, there was an error already.
pub trait Checked {}
impl<F, Fut> Checked for Callback<F, Fut> {}
impl<T, F, Fut> Checked for Manage<T, F, Fut> {}
impl<T> Checked for Closing<T> {}
impl<P> Checked for Suppress<P> {}
impl<M, R, F> Checked for Map<M, R, F> {}
impl<M, F> Checked for MapErr<M, F> {}
impl<M, F> Checked for OnEnter<M, F> {}
impl<M, F> Checked for OnExit<M, F> {}

pub trait OpenChecked {
    // A type that nothing decides: rustc does not ask for it where there was an error already.
    fn __async_with_open<Kind>(&self) -> Kind {
        unreachable!("a manager is opened by another trait")
    }
}

impl<M: Checked> OpenChecked for &&Opener<M> {}

#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an async context manager",
    label = "this is a reference to a manager, which does not implement `AsyncContextManager`",
    note = "a block takes its manager by value, and enters it once: write it without the `&`; of a lock in an `Arc`, write `&*lock`, or clone the `Arc`"
)]
pub trait EnterableReference {
    type Kind;
}

pub trait OpenReference<M> {
    fn __async_with_open(&self) -> M::Kind
    where
        M: EnterableReference,
    {
        unreachable!("no type implements the bound")
    }
}

impl<M: AsyncContextManager> OpenReference<&M> for &Opener<&M> {}
impl<M: AsyncContextManager> OpenReference<&mut M> for &Opener<&mut M> {}

pub trait OpenScopedReference<M> {
    fn __async_with_open(&self) -> M::Kind
    where
        M: EnterableReference,
    {
        unreachable!("no type implements the bound")
    }
}

impl<M: ScopedAsyncContextManager> OpenScopedReference<&M> for &Opener<&M> {}
impl<M: ScopedAsyncContextManager> OpenScopedReference<&mut M> for &Opener<&mut M> {}

#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an async context manager",
    label = "this is a box without a manager in it, which does not implement `AsyncContextManager`",
    note = "a manager whose type is hidden is a `BoxManager`, not a `Box<dyn ..>`: write `manager.boxed()` in place of `Box::new(manager)`"
)]
pub trait EnterableBox {
    type Kind;
}

pub trait OpenBox<M> {
    fn __async_with_open(&self) -> M::Kind
    where
        M: EnterableBox,
    {
        unreachable!("no type implements the bound")
    }
}

impl<T: ?Sized> OpenBox<Box<T>> for &Opener<Box<T>> {}

pub trait OpenOther<M> {
    // As above: the bound that does not hold is the error. `M::Resource` may be known all the same.
    fn __async_with_open<Kind>(&self) -> Kind
    where
        M: AsyncContextManager,
    {
        unreachable!("a manager is opened by another trait")
    }
}

impl<M> OpenOther<M> for Opener<M> {}

/// Guards that a newcomer may take for managers, because Python's locks are.
pub trait Guard {}
impl<T: ?Sized> Guard for std::sync::MutexGuard<'_, T> {}
impl<T: ?Sized> Guard for std::sync::RwLockReadGuard<'_, T> {}
impl<T: ?Sized> Guard for std::sync::RwLockWriteGuard<'_, T> {}

/// Locks that a newcomer may take for those that are managers.
pub trait SyncLock {}
impl<T: ?Sized> SyncLock for std::sync::Mutex<T> {}
impl<T: ?Sized> SyncLock for std::sync::RwLock<T> {}
impl<L: SyncLock + ?Sized> SyncLock for &L {}
impl<L: SyncLock + ?Sized> SyncLock for std::sync::Arc<L> {}

/// The guards of locks that are managers, and such locks in another form than that.
#[cfg(feature = "tokio")]
pub trait AsyncGuard {}
#[cfg(feature = "tokio")]
pub trait AsyncLock {}
#[cfg(feature = "tokio")]
mod async_locks {
    use std::sync::Arc;

    use super::{AsyncGuard, AsyncLock};
    use tokio::sync::{
        Mutex, MutexGuard, OwnedMutexGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard,
        OwnedSemaphorePermit, RwLock, RwLockReadGuard, RwLockWriteGuard, Semaphore,
        SemaphorePermit,
    };

    impl<T: ?Sized> AsyncGuard for MutexGuard<'_, T> {}
    impl<T: ?Sized> AsyncGuard for OwnedMutexGuard<T> {}
    impl<T: ?Sized> AsyncGuard for RwLockReadGuard<'_, T> {}
    impl<T: ?Sized> AsyncGuard for OwnedRwLockReadGuard<T> {}
    impl<T: ?Sized> AsyncGuard for RwLockWriteGuard<'_, T> {}
    impl<T: ?Sized> AsyncGuard for OwnedRwLockWriteGuard<T> {}
    impl AsyncGuard for SemaphorePermit<'_> {}
    impl AsyncGuard for OwnedSemaphorePermit {}

    impl<T: ?Sized> AsyncLock for Mutex<T> {}
    impl<T: ?Sized> AsyncLock for &mut Mutex<T> {}
    impl AsyncLock for Semaphore {}
    impl AsyncLock for &mut Semaphore {}
    impl<T: ?Sized> AsyncLock for RwLock<T> {}
    impl<T: ?Sized> AsyncLock for &RwLock<T> {}
    impl<T: ?Sized> AsyncLock for &mut RwLock<T> {}
    impl<T: ?Sized> AsyncLock for Arc<RwLock<T>> {}
}

/// What the expansion brings into scope to open a manager.
pub mod open {
    pub use super::{
        OpenBoth as _, OpenBox as _, OpenChecked as _, OpenClosable as _, OpenFuture as _,
        OpenGuard as _, OpenInFrame as _, OpenJoined as _, OpenJoinedAlone as _, OpenOther as _,
        OpenOwn as _, OpenReference as _, OpenResult as _, OpenScopedReference as _,
        OpenSurviving as _, OpenSyncLock as _, OpenText as _,
    };
    #[cfg(feature = "tokio")]
    pub use super::{OpenLock as _, OpenLockItself as _};
}

// --- Class-style managers -----------------------------------------------------------------------------------------

/// The two types of a `Result`, under whatever name a signature knows it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `Result`",
    label = "`enter` and `exit` of a manager return a `Result`",
    note = "write `Result<.., Infallible>` if it cannot fail"
)]
pub trait ResultParts {
    type Value;
    type Error;
}

impl<T, E> ResultParts for Result<T, E> {
    type Value = T;
    type Error = E;
}

// --- Generators -------------------------------------------------------------------------------------------------------

/// The body of a generator, whose yielder is one of these types. They are not written at the parameter of the closure: a
/// lifetime that is left out there would be another one at each call.
pub fn body<R, E, F, B: FnOnce(Yielder<R, E>) -> F>(_: &Ty<(R, E)>, body: B) -> B {
    body
}

/// A `return` or the tail of a generator's body, after its yield.
pub fn ended<V, E, K, T: Tail<V, E, K>>(_: K, _: &Ty<Result<V, E>>, tail: T) -> Result<V, E> {
    tail.into_exit()
}

/// A `return` before the yield: only an error may leave.
pub fn failed<V, E>(_: &Ty<Result<V, E>>, error: Result<Nothing, E>) -> Result<V, E> {
    match error {
        Ok(nothing) => match nothing {},
        Err(error) => Err(error),
    }
}
