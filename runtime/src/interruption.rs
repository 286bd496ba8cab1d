//! What a manager's `interrupt` returns, and whether its type says that it never fires.

use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

/// What [`interrupt`](crate::AsyncContextManager::interrupt) returns: it resolves, to an error of the manager's, when the
/// body is to be interrupted (rule CAN-6).
///
/// Every future is one. [`NoInterruption`] is the one that never fires, and the type says so: a block of a manager that
/// returns it costs nothing for what it does not use. An adaptor hands on what the manager inside says.
///
/// ```
/// use async_with::{Interruption, NoInterruption};
///
/// fn may_fire<E, I: Interruption<E>>(_: &I) -> bool {
///     !I::NEVER
/// }
///
/// assert!(may_fire::<u8, _>(&async { 1 }));
/// assert!(!may_fire::<u8, _>(&NoInterruption));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not interrupt a block with a `{E}`",
    label = "this is not a future that resolves to `{E}`",
    note = "`interrupt` returns a future that resolves to the manager's error, or `NoInterruption`"
)]
pub trait Interruption<E> {
    /// Whether the type says that it never fires.
    const NEVER: bool = false;

    /// Whether this one never fires: where only the value tells, because the manager that would interrupt is one of
    /// several, or is not there.
    fn is_never(&self) -> bool {
        Self::NEVER
    }

    /// Asks whether it has fired, and wakes the task when it does.
    ///
    /// # Cancel safety
    ///
    /// It is dropped when the body ends first.
    fn poll_interruption(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<E>;

    /// Polls the body of the block in what stands around it: that is more than the block where the manager is a generator
    /// with blocks around its yield (rule GEN-6). What hands an interruption on hands this on, too.
    fn poll_inside(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        body: &mut dyn FnMut(&mut Context<'_>),
    ) {
        body(cx);
    }

    /// Whether [`poll_inside`](Self::poll_inside) does more than to poll the body.
    fn is_around(&self) -> bool {
        false
    }
}

impl<E, F: Future<Output = E>> Interruption<E> for F {
    fn poll_interruption(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<E> {
        self.poll(cx)
    }
}

/// The [`Interruption`] that never fires: what [`interrupt`](crate::AsyncContextManager::interrupt) returns by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoInterruption;

impl<E> Interruption<E> for NoInterruption {
    const NEVER: bool = true;

    fn poll_interruption(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<E> {
        Poll::Pending
    }
}

pin_project! {
    /// An interruption whose error is converted.
    pub(crate) struct Converted<I, F, X> {
        #[pin]
        interrupt: I,
        convert: F,
        from: PhantomData<fn() -> X>,
    }
}

impl<I, F, X> Converted<I, F, X> {
    pub(crate) fn new(interrupt: I, convert: F) -> Self {
        Self {
            interrupt,
            convert,
            from: PhantomData,
        }
    }
}

impl<E, X, I: Interruption<X>, F: Fn(X) -> E> Interruption<E> for Converted<I, F, X> {
    const NEVER: bool = I::NEVER;

    fn is_never(&self) -> bool {
        self.interrupt.is_never()
    }

    fn poll_interruption(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<E> {
        let this = self.project();
        this.interrupt.poll_interruption(cx).map(&*this.convert)
    }

    fn poll_inside(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        body: &mut dyn FnMut(&mut Context<'_>),
    ) {
        self.project().interrupt.poll_inside(cx, body);
    }

    fn is_around(&self) -> bool {
        self.interrupt.is_around()
    }
}

pin_project! {
    /// An interruption by a manager that may not be there.
    pub(crate) struct IfThere<I> {
        #[pin]
        pub(crate) interrupt: Option<I>,
    }
}

impl<E, I: Interruption<E>> Interruption<E> for IfThere<I> {
    const NEVER: bool = I::NEVER;

    fn is_never(&self) -> bool {
        self.interrupt.as_ref().is_none_or(I::is_never)
    }

    fn poll_interruption(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<E> {
        match self.project().interrupt.as_pin_mut() {
            Some(interrupt) => interrupt.poll_interruption(cx),
            None => Poll::Pending,
        }
    }

    fn poll_inside(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        body: &mut dyn FnMut(&mut Context<'_>),
    ) {
        match self.project().interrupt.as_pin_mut() {
            Some(interrupt) => interrupt.poll_inside(cx, body),
            None => body(cx),
        }
    }

    fn is_around(&self) -> bool {
        self.interrupt.as_ref().is_some_and(I::is_around)
    }
}

pin_project! {
    /// The interruption of one of two managers.
    #[project = OneOfProjection]
    pub(crate) enum OneOf<A, B> {
        First { #[pin] interrupt: A },
        Second { #[pin] interrupt: B },
    }
}

impl<E, A: Interruption<E>, B: Interruption<E>> Interruption<E> for OneOf<A, B> {
    const NEVER: bool = A::NEVER && B::NEVER;

    fn is_never(&self) -> bool {
        match self {
            OneOf::First { interrupt } => interrupt.is_never(),
            OneOf::Second { interrupt } => interrupt.is_never(),
        }
    }

    fn poll_interruption(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<E> {
        match self.project() {
            OneOfProjection::First { interrupt } => interrupt.poll_interruption(cx),
            OneOfProjection::Second { interrupt } => interrupt.poll_interruption(cx),
        }
    }

    fn poll_inside(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        body: &mut dyn FnMut(&mut Context<'_>),
    ) {
        match self.project() {
            OneOfProjection::First { interrupt } => interrupt.poll_inside(cx, body),
            OneOfProjection::Second { interrupt } => interrupt.poll_inside(cx, body),
        }
    }

    fn is_around(&self) -> bool {
        match self {
            OneOf::First { interrupt } => interrupt.is_around(),
            OneOf::Second { interrupt } => interrupt.is_around(),
        }
    }
}

pin_project! {
    /// An interruption made of others, of which it is known whether any of them may fire.
    pub(crate) struct MadeOf<F> {
        #[pin]
        future: F,
        never: bool,
    }
}

impl<F> MadeOf<F> {
    pub(crate) fn new(never: bool, future: F) -> Self {
        Self { future, never }
    }
}

impl<F: Future> Interruption<F::Output> for MadeOf<F> {
    fn is_never(&self) -> bool {
        self.never
    }

    fn poll_interruption(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(cx)
    }
}

/// Awaits an interruption.
pub(crate) async fn fires<E>(interrupt: impl Interruption<E>) -> E {
    let mut interrupt = pin!(interrupt);
    poll_fn(|cx| interrupt.as_mut().poll_interruption(cx)).await
}
