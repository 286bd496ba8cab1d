//! Managers that are written as one function: set-up, `yield_!`, clean-up.
//!
//! The function's body is a future of its own, boxed, so that it can go on in a task when its block is dropped. It is
//! polled to its yield by enter, and from there to its end by exit.
//!
//! # Safety
//!
//! What is lent lies in the frame of the suspended body, or is borrowed there,
//! and the user's block has a pointer to it. That this is sound:
//!
//! 1. The pointer is made of a `&mut R`, whose lifetime the future of the yield keeps, and goes to the manager in the
//!    poll of that future. When the future is dropped before the manager has it, it takes it back (see [`Yield`]).
//! 2. From then on, the future is neither dropped nor forgotten, and the borrow goes on, until the manager lets the body go
//!    on or drops it: it is awaited in place, and so a part of the body's state. Nobody but the manager polls the body. Polled
//!    around the user's block, it stays at its yield: that is pending, and the drivers of the blocks around it drop nothing
//!    meanwhile ([`AtYield::Lends`]). If one did, the drop of the yield would end the process. That it is awaited in place is
//!    what who makes a [`Permit`] has promised; without one there is no yield.
//! 3. The manager gives the pointer only together with the body, as a [`Yielded`], of which it is a private part. So who
//!    uses it borrows the value that owns the body, in a box that is pinned, and the body stays as it is.
//! 4. Before the manager lets the body go on, the `Yielded` is taken apart, and with it all borrows from it have ended.
//! 5. The promise is made in one place: by what the macro below expands to. It can make it for any input, which is argued
//!    where that is expanded, in `macros/src/yields.rs`: no token of the input stands behind `unsafe`, rustc says that the
//!    yield is in the body that is polled, no macro of the user's gets it, and a [`Yielder`] is in nobody's hands.
//! 6. The word `unsafe` in an expansion is that of the macro below, which has `$crate` beside it. No name that the user
//!    can bind, neither a path in the arguments of the attribute nor a macro, a trait or a constant in scope, leads to a
//!    word `unsafe` with something else beside it. Who writes his own has written `unsafe`.

#![allow(unsafe_code, missing_docs, clippy::missing_errors_doc)]

use std::cell::Cell;
use std::fmt::{self, Debug, Formatter};
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};

use crate::cause::AsError;
use crate::expansion::Never;
use crate::interruption::IfThere;
use crate::manager::{InFrame, Left, Lends, Payload, Surviving};
use crate::nest::{self, AtYield, Level, Place};
use crate::report::Incident;
use crate::sync::{Mutex, MutexGuard};
use crate::{
    AsyncContextManager, Cause, ExitVerdict, Interruption, Raised, ScopedAsyncContextManager,
    Verdict,
};

type Interrupt<E> = Pin<Box<dyn Future<Output = E> + Send>>;

// --- The yield --------------------------------------------------------------------------------------------------------

/// What the body of a generator and its manager share.
struct Slot<R, E> {
    /// The path of the function that the generator is written as.
    name: &'static str,
    state: Mutex<State<R, E>>,
}

struct State<R, E> {
    exchange: Exchange<R>,
    interrupt: Option<Interrupt<E>>,
    /// The level of the generator.
    level: Option<Place>,
    /// Blocks of the body are open at the yield.
    is_in_blocks: bool,
    /// The body of the user's block, while the generator is polled around it.
    inside: Option<Body>,
    /// The manager gave the body up while it was polled around the user's.
    is_given_up: bool,
}

enum Exchange<R> {
    Nothing,
    /// From the body to the manager.
    Given(Given<R>),
    /// The manager has it.
    Out,
    /// From the manager to the body.
    Back(Cause, Given<R>),
}

/// A resource that was yielded.
enum Given<R> {
    Owned(R),
    Lent(Lent<R>),
}

/// A `&mut R` of the body's, whose lifetime the yield keeps. It is invariant in `R`, as the reference is.
struct Lent<R>(NonNull<R>, PhantomData<fn(R) -> R>);

// SAFETY: it stands for a `&mut R`, which is `Send` if `R` is.
unsafe impl<R: Send> Send for Lent<R> {}
// SAFETY: it stands for a `&mut R`, which is `Sync` if `R` is.
unsafe impl<R: Sync> Sync for Lent<R> {}

/// How the body of the user's block is polled. Only [`Around::poll`] makes one, and takes it back before what it points to
/// is gone.
struct Body(NonNull<dyn FnMut(&mut Context<'_>)>);

// SAFETY: it is made, used and taken back in one call, and so on one thread.
unsafe impl Send for Body {}

impl<R, E> Slot<R, E> {
    fn lock(&self) -> MutexGuard<'_, State<R, E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The interruption that was given with the resource.
    fn take_interrupt(&self) -> IfThere<Interrupt<E>> {
        IfThere {
            interrupt: self.lock().interrupt.take(),
        }
    }
}

/// The inside of the function that a generator is written as: its name, its kind, its types, its parameters, its body.
#[doc(hidden)]
#[macro_export]
macro_rules! __generator {
    ($($tokens:tt)*) => {
        $crate::expansion::generator_inner! { $crate unsafe $($tokens)* }
    };
}

/// What a generator can yield: a value, or a `&mut` to one that it keeps (rule GEN-5).
#[diagnostic::on_unimplemented(
    message = "`yield_!` is given a `{Self}`, and the resource of this manager is `{R}`",
    label = "this is neither a `{R}` nor a `&mut {R}`",
    note = "the resource is the `T` of the function's `Result<T, E>`"
)]
pub trait Lend<R>: Sized {
    /// What comes back from the yield: how the block ended, and a value with it.
    type Back;
    #[doc(hidden)]
    fn given(self) -> Yielding<R>;
    #[doc(hidden)]
    fn back(cause: Cause, given: Yielding<R>) -> Self::Back;
}

/// It has no path outside of this crate, and so [`Lend`] is implemented nowhere else.
#[doc(hidden)]
pub struct Yielding<R>(Given<R>);

impl<R> Lend<R> for R {
    type Back = (R, Cause);

    fn given(self) -> Yielding<R> {
        Yielding(Given::Owned(self))
    }

    fn back(cause: Cause, given: Yielding<R>) -> (R, Cause) {
        match given.0 {
            Given::Owned(resource) => (resource, cause),
            Given::Lent(_) => unreachable!("what was given comes back"),
        }
    }
}

impl<R> Lend<R> for &mut R {
    type Back = Cause;

    fn given(self) -> Yielding<R> {
        Yielding(Given::Lent(Lent(NonNull::from(self), PhantomData)))
    }

    fn back(cause: Cause, _: Yielding<R>) -> Cause {
        cause
    }
}

/// What a body and its manager have in common. Only [`surviving`] and [`scoped`] make one.
pub struct Yielder<R, E>(Arc<Slot<R, E>>);

impl<R, E> Yielder<R, E> {
    /// Allows one yield.
    ///
    /// # Safety
    ///
    /// What is [given](Permit::give) with the permit is to be awaited where that is: in the future that the manager of this
    /// yielder has from its `body`, or in one that is awaited in place in it in turn.
    #[must_use]
    pub unsafe fn permit(&self) -> Permit<'_, R, E> {
        Permit(&self.0)
    }
}

/// That what is given will be awaited in place.
pub struct Permit<'a, R, E>(&'a Slot<R, E>);

impl<'a, R, E> Permit<'a, R, E> {
    /// Hands the resource to the block, and waits for its end.
    pub fn give<L: Lend<R, Back = B>, B>(self, resource: L) -> Yield<'a, L, B, R, E> {
        Yield {
            slot: self.0,
            given: Some(resource.given()),
            interrupt: None,
            back: L::back,
            borrow: PhantomData,
        }
    }
}

/// The yield, from before it is reached until the block has ended. While it is there, it holds on to what `L` borrows.
pub struct Yield<'a, L, B, R, E> {
    slot: &'a Slot<R, E>,
    given: Option<Yielding<R>>,
    interrupt: Option<Interrupt<E>>,
    back: fn(Cause, Yielding<R>) -> B,
    borrow: PhantomData<L>,
}

impl<L, B, R, E> Yield<'_, L, B, R, E> {
    /// Interrupts the block when the future resolves.
    #[must_use]
    pub fn until(mut self, interrupt: impl Future<Output = E> + Send + 'static) -> Self {
        self.interrupt = Some(Box::pin(interrupt));
        self
    }
}

// Nothing in it is pinned in place.
impl<L, B, R, E> Unpin for Yield<'_, L, B, R, E> {}

impl<L, B, R, E> Future for Yield<'_, L, B, R, E> {
    type Output = B;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<B> {
        if let Some(given) = self.given.take() {
            let interrupt = self.interrupt.take();
            let level = self.slot.lock().level;
            let is_in_blocks = level.is_some_and(nest::has_yielded);
            let mut state = self.slot.lock();
            state.exchange = Exchange::Given(given.0);
            state.interrupt = interrupt;
            state.is_in_blocks = is_in_blocks;
            return Poll::Pending;
        }
        let mut state = self.slot.lock();
        if let Some(Body(mut body)) = state.inside.take() {
            drop(state);
            // SAFETY: `Around::poll` has put it there for the poll of the generator's body that this is a part of, and
            // nobody else uses what it points to meanwhile. It was taken out: so it is called at most once.
            let body = unsafe { body.as_mut() };
            AtYield::Not.run(|| body(cx));
            return Poll::Pending;
        }
        match mem::replace(&mut state.exchange, Exchange::Nothing) {
            Exchange::Back(cause, given) => {
                drop(state);
                nest::mark(cause);
                Poll::Ready((self.back)(cause, Yielding(given)))
            }
            // Polled once more before the manager has taken what was given.
            other => {
                state.exchange = other;
                Poll::Pending
            }
        }
    }
}

impl<L, B, R, E> Drop for Yield<'_, L, B, R, E> {
    /// Takes back what was given. A block of the body's may drop the yield in the very poll that has reached it, when its
    /// manager panics beside it; the body then goes on, and what was lent must not reach the manager any more.
    fn drop(&mut self) {
        let exchange = mem::replace(&mut self.slot.lock().exchange, Exchange::Nothing);
        if matches!(exchange, Exchange::Out) && AtYield::now() == AtYield::Lends {
            // The drivers of the blocks around it do not do that. If one did, the user's block would go on with what is
            // gone.
            std::process::abort();
        }
        drop(exchange);
    }
}

// --- The generator ----------------------------------------------------------------------------------------------------

/// The body of a generator that is not yet finished, and its level in the nest: how the user's block ended is nothing that
/// befell whoever polls it.
struct Running<F: ?Sized> {
    body: Pin<Box<F>>,
    level: Option<Level>,
}

impl<F: Future + ?Sized> Running<F> {
    fn poll(
        &mut self,
        name: &'static str,
        at_yield: AtYield,
        cx: &mut Context<'_>,
    ) -> Poll<F::Output> {
        let level = self.level.get_or_insert_with(|| Level::hidden(name, cx));
        let _inside = level.enter(Some(cx));
        at_yield.run(|| self.body.as_mut().poll(cx))
    }
}

/// The same, after its yield.
enum Suspended<F: ?Sized> {
    Alone(Running<F>),
    /// With blocks around the yield: those are polled around the user's body.
    InBlocks(Shared<F>),
}

type Shared<F> = Arc<Mutex<Option<Running<F>>>>;

/// A generator that is not yet finished.
struct Generator<F: ?Sized, R, E> {
    suspended: Suspended<F>,
    slot: Arc<Slot<R, E>>,
}

impl<F: ?Sized, R, E> Drop for Generator<F, R, E> {
    fn drop(&mut self) {
        let Suspended::InBlocks(shared) = &self.suspended else {
            return;
        };
        // Polled around the user's body, which drops this, it is dropped by who polls it.
        self.slot.lock().is_given_up = true;
        if let Ok(mut running) = shared.try_lock() {
            let running = running.take();
            drop(running);
        }
    }
}

impl<F, R, E, V> Generator<F, R, E>
where
    F: Future<Output = Result<V, E>> + ?Sized,
{
    /// Polls it from its yield to its end, and then waits for what was detached in it.
    async fn exit(mut self, given: Given<R>, cause: Cause) -> Result<V, E> {
        if let Some(level) = self.slot.lock().level {
            nest::goes_on(level);
        }
        self.slot.lock().exchange = Exchange::Back(cause, given);
        let result = poll_fn(|cx| self.poll_to_end(cx)).await;
        let children = match &mut self.suspended {
            Suspended::Alone(running) => running.take_children(),
            Suspended::InBlocks(shared) => lock(shared).as_ref().and_then(Running::take_children),
        };
        if let Some(children) = children {
            children.wait().await;
        }
        result
    }

    fn poll_to_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<V, E>> {
        let name = self.slot.name;
        let at_yield = match self.slot.lock().exchange {
            Exchange::Back(..) => AtYield::Resumes,
            _ => AtYield::Not,
        };
        match &mut self.suspended {
            Suspended::Alone(running) => running.poll(name, at_yield, cx),
            Suspended::InBlocks(shared) => {
                if let Ok(mut running) = shared.try_lock() {
                    match &mut *running {
                        Some(running) => running.poll(name, at_yield, cx),
                        None => Poll::Pending,
                    }
                } else {
                    // Given up by the user's body, around which it is polled: not so in the next poll.
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
            }
        }
    }
}

impl<F: ?Sized> Running<F> {
    fn take_children(&self) -> Option<Arc<nest::Children>> {
        self.level.as_ref()?.take_children()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A generator with blocks around its yield, around the body of the user's block.
struct Around<F: ?Sized, R, E> {
    shared: Shared<F>,
    slot: Arc<Slot<R, E>>,
    /// It was polled with the body.
    is_polled: bool,
}

/// Takes back what was left there.
struct TakeBack<'a, R, E>(&'a Slot<R, E>);
impl<R, E> Drop for TakeBack<'_, R, E> {
    fn drop(&mut self) {
        self.0.lock().inside = None;
    }
}

impl<F: Future + ?Sized, R, E> Around<F, R, E> {
    fn poll(&mut self, cx: &mut Context<'_>, body: Option<&mut dyn FnMut(&mut Context<'_>)>) {
        let is_over = !matches!(self.slot.lock().exchange, Exchange::Out);
        let running = self.shared.try_lock();
        let (false, Ok(mut running)) = (is_over, running) else {
            // The body has given the generator up, and ends it by itself.
            if let Some(body) = body {
                body(cx);
            }
            return;
        };
        let Some(generator) = &mut *running else {
            if let Some(body) = body {
                body(cx);
            }
            return;
        };
        let _take_back = TakeBack(&self.slot);
        self.slot.lock().inside = body.map(|body| {
            let body: NonNull<dyn FnMut(&mut Context<'_>) + '_> = NonNull::from(body);
            // SAFETY: only the lifetime changes. It is taken back before this function ends, whichever way it does.
            Body(unsafe {
                mem::transmute::<
                    NonNull<dyn FnMut(&mut Context<'_>) + '_>,
                    NonNull<dyn FnMut(&mut Context<'_>)>,
                >(body)
            })
        });
        // It is suspended at its yield, and stays so: only the drivers of the blocks around that run.
        let _ = generator.poll(self.slot.name, AtYield::Lends, cx);
        if self.slot.lock().is_given_up {
            let given_up = running.take();
            drop(running);
            drop(given_up);
        }
    }
}

/// What interrupts the block of a generator: what its yield was given, and what stands around that.
struct GeneratorInterrupt<F: ?Sized, R, E> {
    given: IfThere<Interrupt<E>>,
    around: Option<Around<F, R, E>>,
}

impl<F: Future + ?Sized, R, E> Interruption<E> for GeneratorInterrupt<F, R, E> {
    fn is_never(&self) -> bool {
        self.around.is_none() && self.given.interrupt.is_none()
    }

    fn poll_interruption(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<E> {
        if let Some(around) = &mut self.around
            && !mem::take(&mut around.is_polled)
        {
            around.poll(cx, None);
        }
        Pin::new(&mut self.given).poll_interruption(cx)
    }

    fn poll_inside(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        body: &mut dyn FnMut(&mut Context<'_>),
    ) {
        match &mut self.around {
            Some(around) => {
                around.is_polled = true;
                around.poll(cx, Some(body));
            }
            None => body(cx),
        }
    }

    fn is_around(&self) -> bool {
        self.around.is_some()
    }
}

// Nothing in it is pinned in place.
impl<F: ?Sized, R, E> Unpin for GeneratorInterrupt<F, R, E> {}

/// The resource of a generator that was entered: it dereferences to what was yielded.
///
/// A block lends what is in it: the pattern is matched against `&mut R` (rule GEN-5).
pub struct Yielded<F: ?Sized, R, E> {
    given: Given<R>,
    generator: Generator<F, R, E>,
}

impl<F: ?Sized, R, E> Deref for Yielded<F, R, E> {
    type Target = R;

    fn deref(&self) -> &R {
        match &self.given {
            Given::Owned(resource) => resource,
            // SAFETY: the pointer comes from a `&mut R` that the yield of the generator's body was given. That borrow
            // lasts as long as the yield, which took no pointer back before enter had it, and has been suspended in the
            // body since: whoever made the permit has promised that. The body is pinned in a box that `self` owns, or
            // shares with what polls it around the user's block. It goes on after its yield, or is dropped, only when `self`
            // is given up. So the `R` is there, and nobody else uses it.
            Given::Lent(lent) => unsafe { lent.0.as_ref() },
        }
    }
}

impl<F: ?Sized, R: Debug, E> Debug for Yielded<F, R, E> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Debug::fmt(&**self, f)
    }
}

impl<F: ?Sized, R, E> DerefMut for Yielded<F, R, E> {
    fn deref_mut(&mut self) -> &mut R {
        match &mut self.given {
            Given::Owned(resource) => resource,
            // SAFETY: as above, and `self` is borrowed mutably.
            Given::Lent(lent) => unsafe { lent.0.as_mut() },
        }
    }
}

// --- What the user's block leaves ---------------------------------------------------------------------------------------

/// Where what leaves the block is whose exit is polled; not there while it is used.
type Shown = Cell<Option<NonNull<dyn Left>>>;

thread_local! {
    /// The innermost one.
    static SHOWN: Cell<Option<NonNull<Shown>>> = const { Cell::new(None) };
}

/// Polls the exit of a block, with what leaves that. Blocks around the yield of a generator, whose exits are a part of it, may
/// look at that, too (rule GEN-6).
pub(crate) fn showing<T>(left: &mut dyn Left, poll: impl FnOnce(&mut dyn Left) -> T) -> T {
    struct Restore(Option<NonNull<Shown>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            let _ = SHOWN.try_with(|shown| shown.set(self.0));
        }
    }
    let left: NonNull<dyn Left + '_> = NonNull::from(left);
    // SAFETY: only the lifetime changes. It is in `shown`, which is gone when this function ends, whichever way it does.
    let left = unsafe { mem::transmute::<NonNull<dyn Left + '_>, NonNull<dyn Left>>(left) };
    let shown = Cell::new(Some(left));
    let outer = SHOWN.try_with(|place| place.replace(Some(NonNull::from(&shown))));
    let _restore = Restore(outer.unwrap_or_default());
    poll(&mut ByPointer(&shown))
}

/// Shows the failure that leaves the innermost block whose exit is polled.
pub(crate) fn show(show: &mut dyn FnMut(Raised<'_>)) {
    if let Ok(Some(shown)) = SHOWN.try_with(Cell::get) {
        // SAFETY: `showing` has put it there, and not ended yet.
        ByPointer(unsafe { shown.as_ref() }).raised(show);
    }
}

/// What is shown. Nobody else uses it meanwhile: it is taken out of its place while it is used, and all use it through this.
struct ByPointer<'a>(&'a Shown);

impl ByPointer<'_> {
    fn with<T>(&self, absent: T, look: impl FnOnce(&mut dyn Left) -> T) -> T {
        struct PutBack<'a>(&'a Shown, NonNull<dyn Left>);
        impl Drop for PutBack<'_> {
            fn drop(&mut self) {
                self.0.set(Some(self.1));
            }
        }
        let Some(left) = self.0.take() else {
            return absent;
        };
        let mut left = PutBack(self.0, left);
        // SAFETY: `showing` has put it there, and not ended yet: what it has borrowed is used by this only, which is one at a
        // time.
        look(unsafe { left.1.as_mut() })
    }
}

impl Left for ByPointer<'_> {
    fn raised(&mut self, show: &mut dyn FnMut(Raised<'_>)) {
        self.with((), |left| left.raised(show));
    }

    fn view(&self) -> Option<AsError> {
        self.with(None, |left| left.view())
    }

    fn failure(&mut self) -> Option<Incident> {
        self.with(None, |left| left.failure())
    }

    fn give_up(&mut self) -> Result<(), Payload> {
        self.with(Ok(()), |left| left.give_up())
    }

    fn drop_interrupt(&mut self) {
        self.with((), |left| left.drop_interrupt());
    }

    fn is_cancelled(&self) -> bool {
        self.with(false, |left| left.is_cancelled())
    }

    fn is_not_cancelled(&self) -> bool {
        self.with(false, |left| left.is_not_cancelled())
    }
}

// --- The two kinds of manager -----------------------------------------------------------------------------------------

pub(crate) type SendBody<V, E> = dyn Future<Output = Result<V, E>> + Send;

/// The manager that a function with [`#[async_context_manager]`](crate::async_context_manager) returns, if none of its
/// parameters borrows.
#[must_use = "a manager does nothing unless it is entered"]
pub struct Generated<R, E, V = ()> {
    running: Option<Running<SendBody<V, E>>>,
    slot: Arc<Slot<R, E>>,
}

/// The manager that a function with [`#[async_context_manager]`](crate::async_context_manager) returns, if a parameter
/// of it borrows, or may.
#[must_use = "a manager does nothing unless it is entered"]
pub struct ScopedGenerated<R, E, V, F: ?Sized> {
    running: Option<Running<F>>,
    slot: Arc<Slot<R, E>>,
    exit: PhantomData<fn() -> V>,
}

fn slot<R, E, F>(_: &impl FnOnce(Yielder<R, E>) -> F) -> Arc<Slot<R, E>> {
    Arc::new(Slot {
        // The closure that makes the future of the body is in the function, and the future is in the closure.
        name: std::any::type_name::<F>().trim_end_matches("::{{closure}}"),
        state: Mutex::new(State {
            exchange: Exchange::Nothing,
            interrupt: None,
            level: None,
            is_in_blocks: false,
            inside: None,
            is_given_up: false,
        }),
    })
}

fn running<F: ?Sized>(body: Pin<Box<F>>) -> Running<F> {
    Running { body, level: None }
}

/// Makes a manager of a body that owns what it uses.
///
/// # Safety
///
/// The yielder is for the permits of what the future that `body` returns awaits in place, and for nothing else.
// Of a body that is not `Send`, rustc shows the line with that bound.
pub unsafe fn surviving<R, E, V, F>(body: impl FnOnce(Yielder<R, E>) -> F) -> Generated<R, E, V>
where
    F: Future<Output = Result<V, E>> + Send + 'static, // or else `#[async_context_manager(scoped)]`
{
    let slot = slot(&body);
    Generated {
        running: Some(running(Box::pin(body(Yielder(Arc::clone(&slot)))))),
        slot,
    }
}

/// Makes a manager of a body that may borrow.
///
/// # Safety
///
/// As for [`surviving`].
pub unsafe fn scoped<R, E, V, F>(
    body: impl FnOnce(Yielder<R, E>) -> F,
) -> ScopedGenerated<R, E, V, F>
where
    F: Future<Output = Result<V, E>>,
{
    let slot = slot(&body);
    ScopedGenerated {
        running: Some(running(Box::pin(body(Yielder(Arc::clone(&slot)))))),
        slot,
        exit: PhantomData,
    }
}

/// Polls the body to its yield.
async fn enter<F, R, E, V>(
    place: &mut Option<Running<F>>,
    slot: &Arc<Slot<R, E>>,
) -> Result<Yielded<F, R, E>, E>
where
    F: Future<Output = Result<V, E>> + ?Sized,
{
    // Taken for good: a body that has ended, panicked, or been dropped with an enter is not polled again.
    let Some(mut running) = place.take() else {
        panic!(
            "`{}` is entered a second time; call it again for another manager",
            slot.name
        );
    };
    let given = poll_fn(|cx| {
        let level = running
            .level
            .get_or_insert_with(|| Level::hidden(slot.name, cx));
        slot.lock().level = Some(level.place());
        if let Poll::Ready(ended) = running.poll(slot.name, AtYield::Not, cx) {
            return match ended {
                Err(error) => Poll::Ready(Err(error)),
                Ok(_) => panic!("`{}` ended without its `yield_!`", slot.name),
            };
        }
        let mut state = slot.lock();
        match mem::replace(&mut state.exchange, Exchange::Out) {
            Exchange::Given(given) => Poll::Ready(Ok(given)),
            other => {
                state.exchange = other;
                Poll::Pending
            }
        }
    })
    .await?;
    let suspended = if slot.lock().is_in_blocks {
        Suspended::InBlocks(Arc::new(Mutex::new(Some(running))))
    } else {
        Suspended::Alone(running)
    };
    let generator = Generator {
        suspended,
        slot: Arc::clone(slot),
    };
    Ok(Yielded { given, generator })
}

impl<F: ?Sized, R, E> Yielded<F, R, E> {
    fn interrupt(&self) -> GeneratorInterrupt<F, R, E> {
        let Generator { suspended, slot } = &self.generator;
        GeneratorInterrupt {
            given: slot.take_interrupt(),
            around: match suspended {
                Suspended::Alone(_) => None,
                Suspended::InBlocks(shared) => Some(Around {
                    shared: Arc::clone(shared),
                    slot: Arc::clone(slot),
                    is_polled: false,
                }),
            },
        }
    }
}

impl<R, E, V> AsyncContextManager for Generated<R, E, V>
where
    R: Send + 'static,
    E: Debug + Send + 'static,
    V: ExitVerdict,
{
    type Resource = Yielded<SendBody<V, E>, R, E>;
    type Error = E;
    type Exit = V;

    fn enter(&mut self) -> impl Future<Output = Result<Self::Resource, E>> + Send {
        enter(&mut self.running, &self.slot)
    }

    fn exit(
        self,
        resource: Self::Resource,
        cause: Cause,
    ) -> impl Future<Output = Result<V, E>> + Send {
        resource.generator.exit(resource.given, cause)
    }

    fn interrupt(&self, resource: &Self::Resource) -> impl Interruption<E> + Send + use<R, E, V> {
        resource.interrupt()
    }

    fn name(&self) -> &'static str {
        self.slot.name
    }
}

impl<R, E, V, F> ScopedAsyncContextManager for ScopedGenerated<R, E, V, F>
where
    F: Future<Output = Result<V, E>>,
    E: Debug + 'static,
    V: ExitVerdict,
{
    type Resource = Yielded<F, R, E>;
    type Error = E;
    type Exit = V;

    fn enter(&mut self) -> impl Future<Output = Result<Self::Resource, E>> {
        enter(&mut self.running, &self.slot)
    }

    fn exit(self, resource: Self::Resource, cause: Cause) -> impl Future<Output = Result<V, E>> {
        resource.generator.exit(resource.given, cause)
    }

    fn interrupt(&self, resource: &Self::Resource) -> impl Interruption<E> + use<R, E, V, F> {
        resource.interrupt()
    }

    fn name(&self) -> &'static str {
        self.slot.name
    }
}

impl<R, E, V> Lends for Surviving<Generated<R, E, V>>
where
    R: Send + 'static,
    E: Debug + Send + 'static,
    V: ExitVerdict,
{
}

impl<R, E, V, F> Lends for InFrame<ScopedGenerated<R, E, V, F>>
where
    F: Future<Output = Result<V, E>>,
    E: Debug + 'static,
    V: ExitVerdict,
{
}

// --- The end of the body ----------------------------------------------------------------------------------------------

/// What a generator's body can end with. `K` is an integer: `i32`, for what an unconstrained type falls back to too.
#[diagnostic::on_unimplemented(
    message = "a generator cannot end with `{Self}`",
    label = "this is what the manager's exit returns",
    note = "end with `()`, or with a `Verdict` to decide whether a failure is suppressed, or with a `Result` of one of them"
)]
pub trait Tail<V, E, K> {
    fn into_exit(self) -> Result<V, E>;
}

impl<V: ExitVerdict, E> Tail<V, E, i32> for () {
    fn into_exit(self) -> Result<V, E> {
        Ok(V::from_verdict(Verdict::Propagate))
    }
}

impl<E> Tail<Verdict, E, i32> for Verdict {
    fn into_exit(self) -> Result<Verdict, E> {
        Ok(self)
    }
}

/// The end is not reached: a panic, an endless loop, or a `return` with a semicolon stands there.
#[diagnostic::do_not_recommend]
impl<V, E> Tail<V, E, i32> for Never {
    fn into_exit(self) -> Result<V, E> {
        self
    }
}

impl<V, E> Tail<V, E, i32> for Result<V, E> {
    fn into_exit(self) -> Self {
        self
    }
}

impl<E> Tail<Verdict, E, u8> for Result<(), E> {
    fn into_exit(self) -> Result<Verdict, E> {
        self.map(|()| Verdict::Propagate)
    }
}
