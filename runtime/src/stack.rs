//! A dynamic number of managers.

use std::any::{Any, type_name};
use std::convert::Infallible;
use std::fmt::{self, Debug, Formatter};
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use crate::detach::{detach_exit, drop_caught};
use crate::executor::poll_unconstrained;
use crate::expansion::never_raised;
use crate::frame::{Children, Ticket};
use crate::interruption::fires;
use crate::leaving::{Leaving, Who};
use crate::manager::{
    Exited, Exiting, Finished, Left, Managed, NothingLeft, exit_early, report_of,
};
use crate::managers::MovedOn;
use crate::registry::Owed;
use crate::report::{Incident, Phase};
use crate::sync::{AtomicUsize, Mutex, MutexGuard};
use crate::{
    AsyncContextManager, Cause, CleanUp, CleanUpFuture, ExitVerdict, Interruption, Raised, Verdict,
    limits,
};

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Holds managers whose number is known at run time only, and exits them in reverse order.
///
/// Python's `contextlib.AsyncExitStack`, with TC39's names where Python has none. Entering managers through it means
/// what nesting their blocks means (rule STK-1): order, causes, `inspect`, suppression, panics, interruption and
/// cancellation. It is a manager, whose resource is the stack itself; outside of a block it works too, until
/// [`close`](Self::close). What it takes, and its pitfalls, are on a [page of the
/// guide](crate::guide::a_dynamic_number_of_resources).
///
/// `E` is the error of the enclosing function, and is inferred in a block; the errors of the managers are converted to
/// it as `?` does. A stack of type [`new`](Self::new) takes managers that never suppress, and its block keeps its type;
/// one made by [`suppressing`](AsyncExitStack::suppressing) takes any (rules STK-0, SUP-3).
///
/// ```
/// use async_with::{AsyncExitStack, async_with};
/// # use async_with::{AsyncContextManager, Cause};
/// # use std::io;
/// # struct Open(&'static str);
/// # impl AsyncContextManager for Open {
/// #     type Resource = String;
/// #     type Error = io::Error;
/// #     type Exit = ();
/// #     async fn enter(&mut self) -> io::Result<String> { Ok(self.0.to_owned()) }
/// #     async fn exit(self, _: String, _: Cause) -> io::Result<()> { Ok(()) }
/// # }
/// # fn open(path: &'static str) -> Open { Open(path) }
///
/// async fn concatenate(paths: &[&'static str]) -> io::Result<String> {
///     async_with! { AsyncExitStack::new() as stack => {
///         let mut files = Vec::new();
///         for path in paths {
///             files.push(stack.enter(open(path)).await?);
///         }
///         // All of them are open, and lent at once.
///         Ok(files.into_iter().map(|file| &**file).collect())
///     }}
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> io::Result<()> {
/// assert_eq!(concatenate(&["a", "b"]).await?, "ab");
/// # Ok(())
/// # }
/// ```
///
/// # Cancel safety
///
/// When a block of it is dropped, its exits go on elsewhere, in order, told [`Cause::Dropped`] (rules CAN-1 to CAN-4).
/// So they do when a stack is dropped that was neither closed nor in a block. Until then [`drain`](crate::drain()) does not
/// wait for it: join the task that holds it first.
///
/// # Limits
///
/// `around_poll` of a manager in a stack is not called. [`pending_exits`](crate::pending_exits) lists the stack, not its
/// managers.
///
/// A block does not see when another stack is put in the place of its own, with [`mem::take`](std::mem::take) or
/// [`mem::swap`](std::mem::swap): it exits what is there in the end, and is interrupted by what was entered in the one
/// that it lent, until that is closed, dropped, or entered in a block of its own. [`pop_all`](Self::pop_all) takes the
/// interruptions along.
// Where nothing tells the error of a stack, rustc shows one of the next lines.
pub struct AsyncExitStack<
    E: Debug + Send + 'static, // Outside of a block, write it: `AsyncExitStack::<Error>::new()`.
    V: ExitVerdict = (),
> {
    entries: boxcar::Vec<Box<dyn Entry<E>>>,
    shared: Arc<Shared<E>>,
    /// Also that of the block whose stack this is.
    interrupts: Arc<Mutex<Interrupts<E>>>,
    /// It owes the exits.
    armed: bool,
    exit: PhantomData<fn() -> V>,
}

/// What a stack shares with its [`Registrar`]s, and with its exits.
struct Shared<E> {
    /// How many entries the stack has.
    count: AtomicUsize,
    late: Mutex<Late<E>>,
    closing: Arc<Children>,
}

/// What registrars have pushed.
struct Late<E> {
    /// Each with the number of entries below it.
    entries: Vec<(usize, Box<dyn Entry<E>>)>,
    closed: bool,
}

/// How entries interrupt a block.
struct Interrupts<E> {
    running: Running<E>,
    waker: Option<Waker>,
    /// The last one, and before it those that it overtook: it is further out.
    fired: Fired<E>,
    /// The last one did so in the last poll.
    just_fired: bool,
    /// Of a stack that is a manager, and interrupted with no error to raise.
    moves_on: bool,
    /// What it then failed with.
    failed: Option<E>,
}

type Running<E> = Vec<(usize, BoxFuture<Option<E>>)>;
type Fired<E> = Vec<(Source, Option<E>)>;

/// Where an interruption comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Entry(usize),
    /// An entry that has left the stack since. It counts as one further out than all.
    Gone,
    /// Whoever is outside of the stack.
    Outside,
}

impl<E: 'static> Interrupts<E> {
    fn new(running: Running<E>) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            running,
            waker: None,
            fired: Vec::new(),
            just_fired: false,
            moves_on: false,
            failed: None,
        }))
    }

    /// The entries leave the stack.
    fn leave(this: &Mutex<Self>) -> Running<E> {
        let mut interrupts = lock(this);
        for (source, _) in &mut interrupts.fired {
            *source = Source::Gone;
        }
        std::mem::take(&mut interrupts.running)
    }

    /// Polls those of entries further out. Of those that fire, the outermost counts.
    fn poll_further_out(
        &mut self,
        than: usize,
        name: impl Fn(usize) -> &'static str,
        cause: Cause,
        cx: &mut Context<'_>,
    ) -> Option<(usize, Option<E>)> {
        self.running.retain(|(of, _)| *of < than);
        for (of, interrupt) in &mut self.running {
            let poll = |cx: &mut Context<'_>| interrupt.as_mut().poll(cx);
            match catch_unwind(AssertUnwindSafe(|| poll_unconstrained(cx, poll))) {
                Ok(Poll::Pending) => {}
                Ok(Poll::Ready(error)) => {
                    let fired = *of;
                    self.running.retain(|(of, _)| *of < fired);
                    return Some((fired, error));
                }
                Err(payload) => {
                    // What runs goes on; nothing is interrupted.
                    report_of(name(*of), Phase::Interrupt, cause, Incident::panic(payload));
                    *interrupt = Box::pin(std::future::pending());
                }
            }
        }
        None
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<E> Shared<E> {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            count: AtomicUsize::new(0),
            late: Mutex::new(Late {
                entries: Vec::new(),
                closed: false,
            }),
            closing: Arc::default(),
        })
    }

    /// Moves what registrars have pushed to new state, for entries that leave the stack.
    fn split(&self) -> Arc<Self> {
        let shared = Self::new();
        // Under the lock, so that what a registrar pushes meanwhile is on top of all, or in the stack that stays.
        let mut late = lock(&self.late);
        let count = self.count.swap(0, Ordering::Relaxed);
        shared.count.store(count, Ordering::Relaxed);
        lock(&shared.late).entries = std::mem::take(&mut late.entries);
        drop(late);
        shared
    }
}

// --- Entries ----------------------------------------------------------------------------------------------------------

/// What a stack holds: something with an exit.
trait Entry<E>: Any + Send + Sync {
    fn name(&self) -> &'static str;
    fn inspect(&mut self, raised: Raised<'_>);
    fn exit(self: Box<Self>, cause: Cause) -> BoxFuture<Result<Verdict, E>>;
}

/// What an entry holds. It is lent out of a stack that is only borrowed, and taken back when the stack is taken apart.
trait Held<E>: Send + 'static {
    fn inspect(&mut self, _: Raised<'_>) {}
    fn exit(self, cause: Cause) -> impl Future<Output = Result<Verdict, E>> + Send;
}

/// A lock that is taken once, for good: so it lends its content for as long as the stack is borrowed, and is `Sync`.
struct Slot<H> {
    /// What stands for it in reports.
    name: &'static str,
    held: parking_lot::Mutex<H>,
}

impl<H> Slot<H> {
    fn new(name: &'static str, held: H) -> Self {
        Self {
            name,
            held: parking_lot::Mutex::new(held),
        }
    }
}

impl<E: Send + 'static, H: Held<E>> Entry<E> for Slot<H> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn inspect(&mut self, raised: Raised<'_>) {
        self.held.get_mut().inspect(raised);
    }

    fn exit(self: Box<Self>, cause: Cause) -> BoxFuture<Result<Verdict, E>> {
        let Self { name, held } = *self;
        let exit = held.into_inner().exit(cause);
        Box::pin(limits::watch(move || name, cause, exit))
    }
}

/// A manager that was entered.
struct Entered<M: AsyncContextManager, K> {
    manager: M,
    resource: M::Resource,
    conversion: PhantomData<fn() -> K>,
}

impl<E, M, K> Held<E> for Entered<M, K>
where
    E: Send + 'static,
    M: AsyncContextManager<Error: RaisedAs<E, K>>,
    K: 'static,
{
    fn inspect(&mut self, raised: Raised<'_>) {
        self.manager.inspect(&mut self.resource, raised);
    }

    async fn exit(self, cause: Cause) -> Result<Verdict, E> {
        converted(self.manager.exit(self.resource, cause).await)
    }
}

/// What an exit returned, in the terms of the stack.
fn converted<E, X: RaisedAs<E, K>, K>(result: Result<impl ExitVerdict, X>) -> Result<Verdict, E> {
    match result {
        Ok(exit) => Ok(exit.verdict()),
        Err(error) => error.raised_as().map_or(Ok(Verdict::Propagate), Err),
    }
}

/// A value with a closure for its exit.
struct Adopted<T, F> {
    value: T,
    exit: F,
}

impl<E, T, F, Fut, O> Held<E> for Adopted<T, F>
where
    E: Send + 'static,
    T: Send + 'static,
    F: FnOnce(T, Cause) -> Fut + Send + 'static,
    Fut: Future<Output = O> + Send,
    O: CleanUpOf<E>,
{
    async fn exit(self, cause: Cause) -> Result<Verdict, E> {
        (self.exit)(self.value, cause).await.decided()
    }
}

/// A value that is dropped in its turn.
struct Kept<T>(T);

impl<E: Send, T: Send + 'static> Held<E> for Kept<T> {
    async fn exit(self, _: Cause) -> Result<Verdict, E> {
        drop(self.0);
        Ok(Verdict::Propagate)
    }
}

/// What can be entered through a stack at all. Its futures are projections, so that a value that is no manager is one
/// error and not one per use; and not those of [`EnteredInto`], so that what is not known of that is one error, too.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be entered through this stack",
    label = "this stack takes no `{Self}`",
    note = "what is entered must implement `AsyncContextManager`",
    note = "a manager that borrows or is not `Send`, as a generator with a reference among its parameters, is a `ScopedAsyncContextManager`: its exit cannot outlive its block, as that of a stack does; let it own what it uses, or open it in a block of its own"
)]
pub trait Enterable: Sized {
    #[doc(hidden)]
    type Entering<'s>;
    #[doc(hidden)]
    type EnteringOwned<'s>;
}

#[diagnostic::do_not_recommend]
impl<M: AsyncContextManager> Enterable for M {
    type Entering<'s> = Entering<'s, &'s mut M::Resource, M::Error>;
    type EnteringOwned<'s> = Entering<'s, Handle<M, M::Resource>, M::Error>;
}

/// A manager that a stack takes: the `E` of the stack can be its error, and the stack may suppress if it does.
pub trait EnteredInto<E: Debug + Send + 'static, V: ExitVerdict, K>: Enterable {
    #[doc(hidden)]
    fn enter_into(self, stack: &AsyncExitStack<E, V>) -> Self::Entering<'_>;
    #[doc(hidden)]
    fn enter_owned_into(self, stack: &AsyncExitStack<E, V>) -> Self::EnteringOwned<'_>;
}

type Entering<'s, T, X> = Pin<Box<dyn Future<Output = Result<T, X>> + Send + 's>>;

impl<M, E, V, K> EnteredInto<E, V, K> for M
where
    E: Debug + Send + 'static,
    V: ExitVerdict + Takes<M::Exit>,
    M: AsyncContextManager<Error: RaisedAs<E, K>>,
    K: 'static,
{
    fn enter_into(mut self, stack: &AsyncExitStack<E, V>) -> Self::Entering<'_> {
        Box::pin(async move {
            let name = self.name();
            let resource = self.enter().await?;
            let entered = Entered {
                manager: self,
                resource,
                conversion: PhantomData,
            };
            let (at, entered) = stack.register(name, entered);
            stack.follow(at, interrupt_of(&entered.manager, &entered.resource));
            Ok(&mut entered.resource)
        })
    }

    fn enter_owned_into(mut self, stack: &AsyncExitStack<E, V>) -> Self::EnteringOwned<'_> {
        Box::pin(async move {
            let name = self.name();
            let resource = self.enter().await?;
            let shared = Arc::new(Mutex::new(Shelf {
                content: Content::Here(self, resource),
                exit: None,
            }));
            let shelved = Shelved::<M, K> {
                shelf: Arc::clone(&shared),
                conversion: PhantomData,
            };
            let (at, _) = stack.register(name, shelved);
            if let Content::Here(manager, resource) = &lock(&shared).content {
                stack.follow(at, interrupt_of(manager, resource));
            }
            Ok(Handle(shared))
        })
    }
}

/// Whether a stack takes an exit that returns `X`: one made by [`AsyncExitStack::new`] takes only `()`.
#[diagnostic::on_unimplemented(
    message = "this stack takes no manager that may suppress a failure",
    label = "what is entered here may suppress: its exit returns a `{X}`",
    note = "make the stack with `AsyncExitStack::suppressing()`; its block then is `()` or has an `else`"
)]
pub trait Takes<X> {}
#[diagnostic::do_not_recommend]
impl Takes<()> for () {}
// A second one, so that rustc does not take the first for granted, and says what is wrong in other words.
#[diagnostic::do_not_recommend]
impl Takes<NoError> for () {}
impl<X: ExitVerdict> Takes<X> for Verdict {}

/// An error that a stack whose error is `E` can raise: what `From` converts to `E`, and what is never raised. `K` says
/// which of them, and is inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be raised by a stack whose error is `{E}`",
    label = "enter or exit can fail with `{Self}` here",
    note = "the error of the stack is that of the enclosing function, and must implement `From<{Self}>`; where the function returns no `Result`, it is `NoError`, and no manager of the stack may fail"
)]
pub trait RaisedAs<E, K> {
    #[doc(hidden)]
    fn raised_as(self) -> Option<E>;
}

/// The error of a stack whose managers cannot fail: that of a block in a function that returns no `Result`.
///
/// It is not [`Infallible`], which converts to itself: a manager's `Infallible` could be raised in two ways then.
#[derive(Debug)]
pub enum NoError {}

/// What the closure of an exit may return in a stack whose error is `E`: what [`manage`](crate::manage) takes, with an
/// error that converts.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what an exit of this stack can return",
    label = "an exit returns `()`, `Verdict`, or a `Result` of either",
    note = "the error of the `Result` must convert to that of the enclosing function with `From`"
)]
pub trait CleanUpOf<E>: CleanUp {
    #[doc(hidden)]
    fn decided(self) -> Result<Verdict, E>;
}

impl<E> CleanUpOf<E> for () {
    fn decided(self) -> Result<Verdict, E> {
        Ok(Verdict::Propagate)
    }
}

impl<E> CleanUpOf<E> for Verdict {
    fn decided(self) -> Result<Verdict, E> {
        Ok(self)
    }
}

impl<E: From<X>, V: ExitVerdict, X: Debug + Send + 'static> CleanUpOf<E> for Result<V, X> {
    fn decided(self) -> Result<Verdict, E> {
        Ok(self?.verdict())
    }
}

#[doc(hidden)]
pub struct Converted;
#[doc(hidden)]
pub struct NeverRaised;

#[diagnostic::do_not_recommend]
impl<X, E: From<X>> RaisedAs<E, Converted> for X {
    fn raised_as(self) -> Option<E> {
        Some(self.into())
    }
}

#[diagnostic::do_not_recommend]
impl<E> RaisedAs<E, NeverRaised> for Infallible {
    fn raised_as(self) -> Option<E> {
        match self {}
    }
}

#[diagnostic::do_not_recommend]
impl<E> RaisedAs<E, NeverRaised> for MovedOn {
    fn raised_as(self) -> Option<E> {
        None
    }
}

// --- The stack --------------------------------------------------------------------------------------------------------

impl<E: Debug + Send + 'static> AsyncExitStack<E> {
    /// A stack of managers that never suppress a failure (rule STK-0).
    #[must_use]
    pub fn new() -> Self {
        Self::empty()
    }
}

impl<E: Debug + Send + 'static> AsyncExitStack<E, Verdict> {
    /// A stack of any managers. Its block is `()` or has an `else`, for when a failure is suppressed (rules STK-0,
    /// SUP-3).
    ///
    /// ```
    /// use async_with::{AsyncExitStack, async_with, move_on_after};
    /// use std::time::Duration;
    ///
    /// /// Reads what comes within a second, from several sources.
    /// async fn read(sources: u32) -> Result<u32, std::io::Error> {
    ///     let mut read = 0;
    ///     async_with! { AsyncExitStack::suppressing() as stack => {
    ///         let deadline = stack.enter(move_on_after(Duration::from_secs(1))).await;
    ///         for _ in 0..sources {
    ///             tokio::task::yield_now().await;
    ///             read += 1;
    ///         }
    ///     }}
    ///     Ok(read)
    /// }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # assert_eq!(read(2).await.unwrap(), 2);
    /// # }
    /// ```
    #[must_use]
    pub fn suppressing() -> Self {
        Self::empty()
    }
}

impl<E: Debug + Send + 'static> Default for AsyncExitStack<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Debug + Send + 'static, V: ExitVerdict> AsyncExitStack<E, V> {
    fn empty() -> Self {
        Self {
            entries: boxcar::Vec::new(),
            shared: Shared::new(),
            interrupts: Interrupts::new(Vec::new()),
            armed: true,
            exit: PhantomData,
        }
    }

    /// Enters a manager, and lends its resource for as long as the stack is borrowed: several can be held at once (rule
    /// STK-2).
    ///
    /// A manager that cannot fail is for [`enter_infallible`](Self::enter_infallible) where `Infallible` itself converts to
    /// the error of the stack, as to `anyhow::Error` and `Box<dyn Error>`: there are two ways then, and rustc says that it
    /// cannot infer the second type parameter, whose name is for that message.
    ///
    /// # Errors
    ///
    /// What enter failed with; nothing is registered then.
    ///
    /// # Panics
    ///
    /// When the enter does, or `interrupt` of the manager, which is exited in its turn all the same (rule PAN-3).
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, nothing is owed to this manager (rule CAN-7); its exit is registered in the very poll
    /// in which its enter succeeds (rule CAN-8).
    pub fn enter<M, UseEnterInfallible>(&self, manager: M) -> M::Entering<'_>
    where
        M: EnteredInto<E, V, UseEnterInfallible>,
    {
        manager.enter_into(self)
    }

    /// Like [`enter`](Self::enter), for a manager that cannot fail, in a stack of any error: its error is `Infallible`, or
    /// that of what moves on after an interruption, as `move_on_after` does.
    ///
    /// ```
    /// # use async_with::{AsyncExitStack, async_with, nullcontext};
    /// async fn work() -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
    ///     async_with! { AsyncExitStack::new() as stack => {
    ///         let number = stack.enter_infallible(nullcontext(1)).await;
    ///         Ok(*number)
    ///     }}
    /// }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # assert_eq!(work().await.unwrap(), 1);
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// As [`enter`](Self::enter).
    ///
    /// # Cancel safety
    ///
    /// As [`enter`](Self::enter).
    #[allow(clippy::mut_from_ref)] // Of a slot that was made for it.
    pub fn enter_infallible<M>(
        &self,
        manager: M,
    ) -> impl Future<Output = &mut M::Resource> + Send + use<'_, M, E, V>
    where
        M: AsyncContextManager<Error: RaisedAs<E, NeverRaised>>,
        V: Takes<M::Exit>,
    {
        let entering = EnteredInto::<E, V, NeverRaised>::enter_into(manager, self);
        async {
            match entering.await {
                Ok(resource) => resource,
                Err(_) => never_raised(),
            }
        }
    }

    /// Like [`enter`](Self::enter), for a resource that is used while the stack is borrowed by others, or moved: it is
    /// lent by a handle, which also [releases](Handle::release) it early.
    ///
    /// ```
    /// # use async_with::{AsyncContextManager, AsyncExitStack, Cause};
    /// # use std::convert::Infallible;
    /// # struct Counter;
    /// # impl AsyncContextManager for Counter {
    /// #     type Resource = u32;
    /// #     type Error = Infallible;
    /// #     type Exit = ();
    /// #     async fn enter(&mut self) -> Result<u32, Infallible> { Ok(0) }
    /// #     async fn exit(self, count: u32, _: Cause) -> Result<(), Infallible> { assert_eq!(count, 1); Ok(()) }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), std::io::Error> {
    /// let mut stack = AsyncExitStack::<std::io::Error>::new();
    /// let mut counter = match stack.enter_owned(Counter).await {
    ///     Ok(counter) => counter,
    ///     Err(never) => match never {},
    /// };
    /// let mut kept = stack.pop_all();
    /// if let Some(mut count) = counter.borrow() {
    ///     *count += 1;
    /// }
    /// kept.close().await?;
    /// assert!(counter.borrow().is_none());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`enter`](Self::enter).
    ///
    /// # Panics
    ///
    /// As [`enter`](Self::enter).
    ///
    /// # Cancel safety
    ///
    /// As [`enter`](Self::enter).
    pub fn enter_owned<M, K>(&self, manager: M) -> M::EnteringOwned<'_>
    where
        M: EnteredInto<E, V, K>,
    {
        manager.enter_owned_into(self)
    }

    /// Takes over a value that is open already; the closure is its exit. It sees the cause, may fail, and may suppress
    /// if the stack does (rule STK-3): TC39's `adopt`.
    ///
    /// ```
    /// # use async_with::{AsyncExitStack, Cause};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let mut stack = AsyncExitStack::<std::io::Error>::new();
    /// let (sender, receiver) = tokio::sync::oneshot::channel();
    /// stack.adopt(sender, async |sender, cause: Cause| {
    ///     let _ = sender.send(cause.is_completed());
    /// });
    /// stack.close().await?;
    /// assert_eq!(receiver.await, Ok(true));
    /// # Ok(())
    /// # }
    /// ```
    #[allow(clippy::mut_from_ref)] // Of a slot that was made for it.
    pub fn adopt<T, F, Fut>(&self, value: T, exit: F) -> &mut T
    where
        T: Send + 'static,
        F: FnOnce(T, Cause) -> Fut + Send + 'static,
        Fut: CleanUpFuture<Returns: CleanUpOf<E>> + Send + 'static,
        V: Takes<<Fut::Output as CleanUp>::Exit>,
    {
        &mut self
            .register(type_name::<F>(), Adopted { value, exit })
            .1
            .value
    }

    /// Registers a closure as an exit, which sees the cause, may fail, and may suppress if the stack does (rule STK-3):
    /// Python's `push_async_exit`.
    pub fn push<F, Fut>(&self, exit: F)
    where
        F: FnOnce(Cause) -> Fut + Send + 'static,
        Fut: CleanUpFuture<Returns: CleanUpOf<E>> + Send + 'static,
        V: Takes<<Fut::Output as CleanUp>::Exit>,
    {
        self.adopt((), move |(), cause| exit(cause));
    }

    /// Registers a closure that is run in its turn, and neither sees the cause nor suppresses (rule STK-3): Python's
    /// `push_async_callback`, TC39's `defer`.
    pub fn callback<F, Fut>(&self, callback: F)
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: CleanUpFuture<Returns = ()> + Send + 'static,
    {
        self.register(type_name::<F>(), callback_entry(callback));
    }

    /// Keeps a value, and drops it in its turn (rule STK-3).
    #[allow(clippy::mut_from_ref)] // Of a slot that was made for it.
    pub fn keep<T: Send + 'static>(&self, value: T) -> &mut T {
        &mut self.register(type_name::<T>(), Kept(value)).1.0
    }

    /// Moves everything to a new stack, and leaves this one empty (rule STK-4): acquire all in a block, and keep them
    /// only when all were acquired.
    ///
    /// ```
    /// # use async_with::{AsyncExitStack, async_with};
    /// # use std::io;
    /// async fn open_all(names: &[&'static str]) -> io::Result<AsyncExitStack<io::Error>> {
    ///     async_with! { AsyncExitStack::new() as stack => {
    ///         for name in names {
    ///             let name = *name;
    ///             stack.callback(move || async move { println!("close {name}") });
    ///             // .. what fails here closes those before it.
    ///         }
    ///         Ok(stack.pop_all())
    ///     }}
    /// }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> io::Result<()> {
    /// let mut all = open_all(&["a", "b"]).await?;
    /// assert_eq!(all.len(), 2);
    /// all.close().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "what is dropped exits on its own, told that it was dropped"]
    pub fn pop_all(&mut self) -> Self {
        Self {
            shared: self.shared.split(),
            entries: std::mem::take(&mut self.entries),
            interrupts: Interrupts::new(Interrupts::leave(&self.interrupts)),
            armed: true,
            exit: PhantomData,
        }
    }

    /// Runs the exits now, told [`Cause::Completed`] (rule STK-4). The stack is empty then, and can be used again, as in
    /// Python; closing an empty one does nothing.
    ///
    /// # Errors
    ///
    /// The error that an exit failed with, if no exit further out suppressed it; other ones are
    /// [reported](crate::report).
    ///
    /// # Panics
    ///
    /// When an exit panics, after all of them ran.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, the exits go on elsewhere, and another call waits for them. What a registrar pushes from
    /// then on is the stack's again.
    pub async fn close(&mut self) -> Result<(), E> {
        self.shared.closing.wait().await;
        drop(Interrupts::leave(&self.interrupts));
        let mut exit = StackExit {
            manager: type_name::<Self>(),
            wait: None,
            unwind: Some(self.unwind(Cause::Completed, Vec::new())),
            owed: None,
            closing: Some(self.shared.closing.ticket()),
        };
        match poll_fn(|cx| exit.poll_with(cx, &mut NothingLeft)).await {
            Exited::Returned(_) => Ok(()),
            Exited::Failed(error) => Err(error),
            Exited::Panicked(payload) => resume_unwind(payload),
        }
    }

    /// A handle that registers exits from elsewhere: from another task, or from an exit while the stack unwinds, which
    /// then runs what was registered (rule STK-5).
    #[must_use]
    pub fn registrar(&self) -> Registrar<E> {
        Registrar(Arc::clone(&self.shared))
    }

    /// The stack as an [`AsyncContextManager`], for adaptors, generic functions and other stacks. A block takes the
    /// stack itself: the trait's `enter` would be in the way of the stack's own.
    ///
    /// Within a block, `inspect` of each manager runs directly before its exit (rule EXI-7). Here, all are shown the
    /// error beforehand.
    #[must_use]
    pub fn into_manager(self) -> StackManager<E, V> {
        StackManager(self)
    }

    /// How many exits are registered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.count() + lock(&self.shared.late).entries.len()
    }

    /// Whether no exit is registered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[allow(clippy::mut_from_ref)] // Of a slot that was made for it.
    fn register<H: Held<E>>(&self, name: &'static str, held: H) -> (usize, &mut H) {
        let at = self.entries.push(Box::new(Slot::new(name, held)));
        // Another thread may have pushed the next one meanwhile.
        self.shared.count.fetch_max(at + 1, Ordering::Relaxed);
        let entry: &dyn Any = &*self.entries[at];
        match entry.downcast_ref::<Slot<H>>() {
            Some(slot) => (at, parking_lot::MutexGuard::leak(slot.held.lock())),
            None => unreachable!("it was pushed just now"),
        }
    }

    /// Lets an entry interrupt. It is registered by then, so that it is exited when its `interrupt` panics.
    fn follow(&self, at: usize, interrupt: Option<BoxFuture<Option<E>>>) {
        let Some(interrupt) = interrupt else { return };
        let waker = {
            let mut interrupts = lock(&self.interrupts);
            interrupts.running.push((at, interrupt));
            interrupts.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    /// Takes the stack apart.
    fn unwind(&mut self, cause: Cause, mut fired: Fired<E>) -> Unwind<E> {
        if cause == Cause::Cancelled && fired.is_empty() {
            fired.push((Source::Outside, None));
        }
        Unwind {
            entries: std::mem::take(&mut self.entries).into_iter().collect(),
            shared: Arc::clone(&self.shared),
            interrupts: Arc::clone(&self.interrupts),
            leaving: Leaving::of(cause),
            fired,
            just_fired: false,
            begun: false,
            suppressed: Verdict::Propagate,
            closes: false,
            inspected: None,
            settled: None,
            running: None,
        }
    }
}

/// The interrupt of a manager that may ask for one.
fn interrupt_of<M, E, K>(manager: &M, resource: &M::Resource) -> Option<BoxFuture<Option<E>>>
where
    M: AsyncContextManager<Error: RaisedAs<E, K>>,
    E: 'static,
    K: 'static,
{
    let interrupt = manager.interrupt(resource);
    (!interrupt.is_never()).then(|| Box::pin(async { fires(interrupt).await.raised_as() }) as _)
}

/// A closure that is run in its turn, and sees nothing.
fn callback_entry<E, F, Fut>(callback: F) -> impl Held<E>
where
    E: Send + 'static,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    Adopted {
        value: (),
        exit: move |(), _| callback(),
    }
}

impl<E: Debug + Send + 'static, V: ExitVerdict> Debug for AsyncExitStack<E, V> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let names = self.entries.iter().map(|(_, entry)| entry.name());
        f.debug_list().entries(names).finish()
    }
}

/// A stack that is dropped with exits in it lets them go on, as a block does.
impl<E: Debug + Send + 'static, V: ExitVerdict> Drop for AsyncExitStack<E, V> {
    fn drop(&mut self) {
        if self.armed {
            drop(self.exit_of_block(Cause::Dropped, Vec::new(), None, None));
        }
    }
}

// --- Resources with a handle ------------------------------------------------------------------------------------------

/// A manager that was entered by [`AsyncExitStack::enter_owned`]. The stack exits it, whether the handle is still there
/// or not.
///
/// The resource is a parameter, so that the handle can be held across an await in a `Send` future whatever lifetimes are
/// in it (rule TYP-1).
pub struct Handle<M, R = <M as AsyncContextManager>::Resource>(Arc<Mutex<Shelf<M, R>>>);

struct Shelf<M, R> {
    content: Content<M, R>,
    /// An exit that waits for the resource to come back.
    exit: Option<Waker>,
}

enum Content<M, R> {
    Here(M, R),
    Lent,
    Exited,
}

impl<M, R> Shelf<M, R> {
    fn take(&mut self, leave: Content<M, R>) -> Option<(M, R)> {
        match std::mem::replace(&mut self.content, leave) {
            Content::Here(manager, resource) => Some((manager, resource)),
            other => {
                self.content = other;
                None
            }
        }
    }
}

impl<M, R> Handle<M, R>
where
    M: AsyncContextManager<Resource = R>,
    R: Send + 'static,
{
    /// Lends the resource; `None` when it was exited. An exit of the stack that starts meanwhile waits for it to come
    /// back.
    pub fn borrow(&mut self) -> Option<Loan<'_, M, R>> {
        let content = lock(&self.0).take(Content::Lent)?;
        Some(Loan {
            content: Some(content),
            shelf: &self.0,
        })
    }

    /// Exits this manager now, told [`Cause::Completed`], before its turn; the stack owes it nothing any more. When it
    /// was exited already, nothing happens.
    ///
    /// # Errors
    ///
    /// What exit failed with.
    ///
    /// # Panics
    ///
    /// When exit does.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, the exit goes on elsewhere (rule CAN-2). [`drain`](crate::drain()) waits for it from
    /// then on.
    #[allow(clippy::manual_async_fn)] // An `async fn` does not declare that it is `Send`.
    pub fn release(self) -> impl Future<Output = Result<(), M::Error>> + Send {
        async move {
            let content = lock(&self.0).take(Content::Exited);
            match content {
                Some((manager, resource)) => exit_early(manager, resource, Cause::Completed).await,
                None => Ok(()),
            }
        }
    }
}

/// A resource that a [`Handle`] lends. It comes back when this is dropped.
pub struct Loan<'a, M, R = <M as AsyncContextManager>::Resource> {
    content: Option<(M, R)>,
    shelf: &'a Mutex<Shelf<M, R>>,
}

impl<M, R> Deref for Loan<'_, M, R> {
    type Target = R;

    fn deref(&self) -> &R {
        match &self.content {
            Some((_, resource)) => resource,
            None => unreachable!("it is there until the loan is dropped"),
        }
    }
}

impl<M, R> DerefMut for Loan<'_, M, R> {
    fn deref_mut(&mut self) -> &mut R {
        match &mut self.content {
            Some((_, resource)) => resource,
            None => unreachable!("it is there until the loan is dropped"),
        }
    }
}

impl<M, R> Drop for Loan<'_, M, R> {
    fn drop(&mut self) {
        let mut loan = lock(self.shelf);
        if let Some((manager, resource)) = self.content.take() {
            loan.content = Content::Here(manager, resource);
        }
        let exit = loan.exit.take();
        drop(loan);
        exit.into_iter().for_each(Waker::wake);
    }
}

/// The entry of a manager that a handle lends.
struct Shelved<M: AsyncContextManager, K> {
    shelf: Arc<Mutex<Shelf<M, M::Resource>>>,
    conversion: PhantomData<fn() -> K>,
}

impl<E, M, K> Held<E> for Shelved<M, K>
where
    E: Send + 'static,
    M: AsyncContextManager<Error: RaisedAs<E, K>>,
    K: 'static,
{
    fn inspect(&mut self, raised: Raised<'_>) {
        if let Content::Here(manager, resource) = &mut lock(&self.shelf).content {
            manager.inspect(resource, raised);
        }
    }

    async fn exit(self, cause: Cause) -> Result<Verdict, E> {
        let content = poll_fn(|cx| {
            let mut loan = lock(&self.shelf);
            if let Content::Lent = loan.content {
                loan.exit = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(loan.take(Content::Exited))
        });
        match content.await {
            Some((manager, resource)) => converted(manager.exit(resource, cause).await),
            None => Ok(Verdict::Propagate),
        }
    }
}

// --- Registering from elsewhere ---------------------------------------------------------------------------------------

/// Registers exits with a stack that is borrowed, or that unwinds: see [`AsyncExitStack::registrar`].
pub struct Registrar<E>(Arc<Shared<E>>);

impl<E> Clone for Registrar<E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// The stack has run its exits already; what was to be registered was run at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("the exit stack is closed")
    }
}

impl std::error::Error for Closed {}

impl<E: Debug + Send + 'static> Registrar<E> {
    /// As [`AsyncExitStack::callback`].
    ///
    /// # Errors
    ///
    /// When the exits of the stack's block, or of the dropped stack, have run. The callback was run at once then.
    ///
    /// # Cancel safety
    ///
    /// It is registered with the first poll. A callback that runs at once is dropped with this future.
    pub async fn callback<F, Fut>(&self, callback: F) -> Result<(), Closed>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: CleanUpFuture<Returns = ()> + Send + 'static,
    {
        let callback = {
            let mut late = lock(&self.0.late);
            if !late.closed {
                let below = self.0.count.load(Ordering::Relaxed);
                let slot = Slot::new(type_name::<F>(), callback_entry(callback));
                late.entries.push((below, Box::new(slot)));
                return Ok(());
            }
            callback
        };
        callback().await;
        Err(Closed)
    }
}

// --- Unwinding --------------------------------------------------------------------------------------------------------

/// Runs the exits of a stack, one after the other: what leaves one entry is what the next one further out is told of.
struct Unwind<E> {
    entries: Vec<Box<dyn Entry<E>>>,
    shared: Arc<Shared<E>>,
    interrupts: Arc<Mutex<Interrupts<E>>>,
    leaving: Leaving<Cause, E>,
    /// Who interrupts, and whose turn has not come yet: the last one is the outermost, and counts.
    fired: Fired<E>,
    /// The last one did so in this poll.
    just_fired: bool,
    begun: bool,
    /// By what the failure was suppressed.
    suppressed: Verdict,
    /// Nothing can be registered afterwards.
    closes: bool,
    /// The last entry that was shown the failure.
    inspected: Option<usize>,
    /// The innermost entry, and how the body ended, if a drop came while it waited.
    settled: Option<(usize, Cause)>,
    running: Option<RunningExit<E>>,
}

struct RunningExit<E> {
    at: usize,
    name: &'static str,
    told: Cause,
    exit: BoxFuture<Result<Verdict, E>>,
}

impl<E: Debug + Send + 'static> Unwind<E> {
    fn poll(&mut self, cx: &mut Context<'_>, left: &mut dyn Left) -> Poll<()> {
        if self.just_fired {
            self.interrupt_outside(left);
            self.just_fired = false;
        }
        loop {
            if let Some(mut running) = self.running.take() {
                let poll = AssertUnwindSafe(|| running.exit.as_mut().poll(cx));
                let exited = match catch_unwind(poll) {
                    Ok(Poll::Pending) => {
                        self.poll_interrupts(running.at, cx);
                        self.running = Some(running);
                        return Poll::Pending;
                    }
                    Ok(Poll::Ready(Ok(verdict))) => Exited::Returned(verdict),
                    Ok(Poll::Ready(Err(error))) => Exited::Failed(error),
                    Err(payload) => Exited::Panicked(payload),
                };
                let RunningExit {
                    at,
                    name,
                    told,
                    exit,
                } = running;
                let late = drop_caught(exit);
                self.exited(at, name, told, exited, left);
                if let Err(payload) = late {
                    let who = Who::named(name, told);
                    self.leaving.panic(payload, Phase::Exit, left, &who);
                }
            }
            let Some((at, entry)) = self.pop() else {
                self.end(left);
                return Poll::Ready(());
            };
            self.start(at, entry, left);
        }
    }

    /// Starts the exit of the next entry.
    fn start(&mut self, at: usize, mut entry: Box<dyn Entry<E>>, left: &mut dyn Left) {
        self.take_turn(Source::Entry(at));
        let name = entry.name();
        if self.inspected != Some(at) {
            self.inspect(at, &mut *entry, left);
        }
        let told = match self.settled {
            Some((innermost, cause)) if innermost == at => cause,
            _ => self.leaving.cause(),
        };
        match catch_unwind(AssertUnwindSafe(|| entry.exit(told))) {
            Ok(exit) => {
                self.running = Some(RunningExit {
                    at,
                    name,
                    told,
                    exit,
                });
            }
            Err(payload) => self.exited(at, name, told, Exited::Panicked(payload), left),
        }
    }

    /// The exit of an entry has ended.
    fn exited(
        &mut self,
        at: usize,
        name: &'static str,
        told: Cause,
        exited: Exited<Verdict, E>,
        left: &mut dyn Left,
    ) {
        self.interrupt_outside(left);
        let verdict = match exited {
            Exited::Returned(verdict) => verdict,
            _ => Verdict::Propagate,
        };
        let was_over = matches!(self.leaving, Leaving::Nothing);
        let outside = self.fired.iter().any(|(by, _)| *by != Source::Entry(at));
        self.leaving
            .after(exited, outside, left, &Who::named(name, told));
        self.fired.retain(|(by, _)| *by != Source::Entry(at));
        if !was_over
            && matches!(self.leaving, Leaving::Nothing)
            && self.suppressed != Verdict::SuppressPanic
        {
            self.suppressed = verdict;
        }
    }

    /// All exits have run. What an entry asked for that has left the stack since is raised now.
    fn end(&mut self, left: &mut dyn Left) {
        let manager = type_name::<E>();
        let last = self.fired.pop();
        for (_, error) in std::mem::take(&mut self.fired) {
            if let Leaving::Cancelled = self.leaving {
                let left: &mut dyn Left = &mut NothingLeft;
                let who = Who::named(manager, Cause::Cancelled);
                Leaving::Interrupted(error).lost(left, &who);
            }
        }
        let Some((by, error)) = last else { return };
        if by == Source::Outside {
            self.fired.push((by, None));
            return;
        }
        if let Leaving::Cancelled = self.leaving {
            self.leaving = Leaving::Interrupted(error);
        }
        self.interrupt_outside(left);
        let cause = self.leaving.cause();
        let outside = !self.fired.is_empty();
        self.leaving
            .go_on(outside, left, &Who::named(manager, cause));
    }

    /// When the body has ended, before anything is waited for.
    fn begin(&mut self, left: &mut dyn Left) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        left.drop_interrupt();
        self.interrupt_outside(left);
        if lock(&self.shared.late).entries.is_empty() {
            self.take_turn(Source::Entry(self.innermost()));
        }
        self.inspect_innermost(left);
    }

    fn innermost(&self) -> usize {
        self.entries.len().saturating_sub(1)
    }

    /// Where the one that interrupts is reached, its own error is what leaves.
    fn take_turn(&mut self, source: Source) {
        if let Leaving::Cancelled = self.leaving
            && let Some(at) = self.fired.iter().position(|(by, _)| *by == source)
        {
            self.leaving = Leaving::Interrupted(self.fired.remove(at).1);
        }
    }

    /// Whoever is further out interrupts in place of an entry.
    fn interrupt_outside(&mut self, left: &dyn Left) {
        if left.is_cancelled() {
            self.overtake(Source::Outside, None, self.just_fired);
        }
    }

    /// Another one interrupts, further out than the one that did before. Of those that do so in the same poll, only the
    /// outermost does.
    fn overtake(&mut self, by: Source, error: Option<E>, at_once: bool) {
        if at_once || self.fired.last().is_some_and(|(_, error)| error.is_none()) {
            self.fired.pop();
        }
        self.fired.push((by, error));
    }

    fn inspect(&mut self, at: usize, entry: &mut dyn Entry<E>, left: &mut dyn Left) {
        self.inspected = Some(at);
        let cause = self.leaving.cause();
        if let Cause::Failed(_) = cause {
            let inspect = || match &mut self.leaving {
                Leaving::Raised(error) => entry.inspect(Raised::new(error, left.view())),
                _ => left.raised(&mut |raised| entry.inspect(raised)),
            };
            if let Err(payload) = catch_unwind(AssertUnwindSafe(inspect)) {
                let who = Who::named(entry.name(), cause);
                self.leaving.panic(payload, Phase::Inspect, left, &who);
            }
        }
    }

    /// As a block of its own shows the failure to its manager.
    fn inspect_innermost(&mut self, left: &mut dyn Left) {
        if self.inspected.is_none()
            && let Some(mut entry) = self.entries.pop()
        {
            self.inspect(self.entries.len(), &mut *entry, left);
            self.entries.push(entry);
        }
    }

    /// The next entry, and how many are below it.
    fn pop(&mut self) -> Option<(usize, Box<dyn Entry<E>>)> {
        let mut late = lock(&self.shared.late);
        if late
            .entries
            .last()
            .is_some_and(|(below, _)| *below >= self.entries.len())
        {
            return late.entries.pop();
        }
        if self.entries.is_empty() {
            late.closed = self.closes;
        }
        drop(late);
        let entry = self.entries.pop()?;
        self.shared
            .count
            .store(self.entries.len(), Ordering::Relaxed);
        Some((self.entries.len(), entry))
    }

    /// Polls the interrupts of the entries further out, which cover the exits inside of them. Of those that fire, the
    /// outermost counts.
    fn poll_interrupts(&mut self, at: usize, cx: &mut Context<'_>) {
        let outermost = match self.fired.last() {
            _ if matches!(self.leaving, Leaving::Dropped) => return,
            None => at,
            Some((Source::Entry(fired), _)) => at.min(*fired),
            Some((Source::Gone | Source::Outside, _)) => return,
        };
        let name = |of: usize| self.entries.get(of).map_or("", |entry| entry.name());
        let cause = self.leaving.cause();
        let fired = lock(&self.interrupts).poll_further_out(outermost, name, cause, cx);
        if let Some((of, error)) = fired {
            self.overtake(Source::Entry(of), error, false);
            self.just_fired = true;
        }
    }

    /// Takes note that nobody waits any more: what was going to leave is reported, and the exits that have not begun
    /// are told of the drop.
    fn dropped(&mut self) {
        let name = self
            .running
            .as_ref()
            .map_or(type_name::<E>(), |running| running.name);
        self.fired.clear();
        let cause = self.leaving.cause();
        let leaving = std::mem::replace(&mut self.leaving, Leaving::Dropped);
        leaving.lost(&mut NothingLeft as &mut dyn Left, &Who::named(name, cause));
        drop(Interrupts::leave(&self.interrupts));
    }

    /// Whether there is no entry; a registrar finds the stack closed then.
    fn is_done(&self) -> bool {
        let mut late = lock(&self.shared.late);
        let done = self.entries.is_empty() && late.entries.is_empty();
        late.closed = done && self.closes;
        done
    }
}

/// The exit of a stack. Dropped before it is finished, it goes on elsewhere.
struct StackExit<E: Debug + Send + 'static> {
    manager: &'static str,
    /// What it waits for before the first exit.
    wait: Option<BoxFuture<()>>,
    unwind: Option<Unwind<E>>,
    owed: Option<Owed>,
    /// Keeps another `close` waiting.
    closing: Option<Ticket>,
}

impl<E: Debug + Send + 'static> StackExit<E> {
    fn poll_with(&mut self, cx: &mut Context<'_>, left: &mut dyn Left) -> Poll<Exited<Verdict, E>> {
        if let Some(unwind) = &mut self.unwind {
            unwind.begin(left);
            if let Some(wait) = &mut self.wait {
                if wait.as_mut().poll(cx).is_pending() {
                    unwind.poll_interrupts(unwind.innermost(), cx);
                    return Poll::Pending;
                }
                self.wait = None;
            }
            ready!(unwind.poll(cx, left));
        }
        let Some(unwind) = self.unwind.take() else {
            return Poll::Pending;
        };
        self.closing = None;
        drop(Interrupts::leave(&unwind.interrupts));
        Poll::Ready(match unwind.leaving {
            Leaving::Panicked(payload) => Exited::Panicked(payload),
            Leaving::Raised(error) => Exited::Failed(error),
            _ => Exited::Returned(unwind.suppressed),
        })
    }
}

impl<E: Debug + Send + 'static> Drop for StackExit<E> {
    fn drop(&mut self) {
        let Some(mut unwind) = self.unwind.take() else {
            return;
        };
        if let (Some(_), Some(innermost)) = (&self.wait, unwind.entries.len().checked_sub(1)) {
            unwind.settled = Some((innermost, unwind.leaving.cause()));
        }
        unwind.dropped();
        if self.wait.is_none() && unwind.running.is_none() && unwind.is_done() {
            return;
        }
        let (manager, cause) = match &unwind.running {
            Some(running) => (running.name, running.told),
            None => (self.manager, unwind.leaving.cause()),
        };
        let (wait, closing) = (self.wait.take(), self.closing.take());
        if closing.is_some() {
            // The stack may be used again meanwhile.
            unwind.shared = unwind.shared.split();
        }
        detach_exit(manager, cause, self.owed.take(), async move {
            let _closing = closing;
            if let Some(wait) = wait {
                wait.await;
            }
            poll_fn(|cx| unwind.poll(cx, &mut NothingLeft)).await;
        });
    }
}

/// What a stack of managers fails with: the error of the function that its block is in.
///
/// In a block it is raised as that error itself.
pub struct StackError<E>(Error<E>);

enum Error<E> {
    Raised(E),
    /// The exit of the block takes it from the stack itself.
    Kept,
    /// There is one if an exit fails after it.
    MovedOn(Arc<Mutex<Interrupts<E>>>),
}

impl<E> StackError<E> {
    /// The error; `None` for the end of an interruption that is never raised.
    #[must_use]
    pub fn into_inner(self) -> Option<E> {
        match self.0 {
            Error::Raised(error) => Some(error),
            Error::Kept => None,
            Error::MovedOn(interrupts) => lock(&interrupts).failed.take(),
        }
    }

    pub(crate) fn raised(self) -> E {
        match self.into_inner() {
            Some(error) => error,
            None => never_raised(),
        }
    }
}

impl<E: Debug> Debug for StackError<E> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Error::Raised(error) => Debug::fmt(error, f),
            Error::Kept | Error::MovedOn(_) => f.write_str("MovedOn"),
        }
    }
}

/// Resolves when one of the managers interrupts. Of those that do together, the outermost counts.
struct StackInterrupt<E> {
    interrupts: Arc<Mutex<Interrupts<E>>>,
    /// The exit of the block takes the error from the stack itself.
    in_block: bool,
}

impl<E> Future for StackInterrupt<E> {
    type Output = StackError<E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<StackError<E>> {
        let mut interrupts = lock(&self.interrupts);
        let mut fired = None;
        for (at, interrupt) in &mut interrupts.running {
            if let Poll::Ready(error) = interrupt.as_mut().poll(cx) {
                fired = Some((*at, error));
                break;
            }
        }
        let Some((at, error)) = fired else {
            interrupts.waker = Some(cx.waker().clone());
            return Poll::Pending;
        };
        interrupts.running.retain(|(other, _)| *other < at);
        let (kept, raised) = match error {
            _ if self.in_block => (error, Error::Kept),
            Some(error) => (None, Error::Raised(error)),
            None => {
                interrupts.moves_on = true;
                (None, Error::MovedOn(Arc::clone(&self.interrupts)))
            }
        };
        interrupts.fired.push((Source::Entry(at), kept));
        interrupts.just_fired = true;
        Poll::Ready(StackError(raised))
    }
}

impl<E: Debug + Send + 'static, V: ExitVerdict> AsyncExitStack<E, V> {
    fn exit_of_block(
        &mut self,
        cause: Cause,
        fired: Fired<E>,
        children: Option<Arc<Children>>,
        owed: Option<Owed>,
    ) -> StackExit<E> {
        let closing = Arc::clone(&self.shared.closing);
        let mut unwind = self.unwind(cause, fired);
        self.armed = false;
        unwind.closes = true;
        let waits = children.is_some() || !closing.is_idle();
        let wait = waits.then(|| {
            let wait: BoxFuture<()> = Box::pin(async move {
                if let Some(children) = children {
                    children.wait().await;
                }
                closing.wait().await;
            });
            wait
        });
        StackExit {
            manager: type_name::<Self>(),
            wait,
            unwind: Some(unwind),
            owed,
            closing: None,
        }
    }

    /// Moves everything out of the manager into its resource.
    fn enter_block(&mut self) -> Self {
        self.armed = false;
        // It may have been taken out of another block.
        self.interrupts = Interrupts::new(Interrupts::leave(&self.interrupts));
        Self {
            entries: std::mem::take(&mut self.entries),
            shared: Arc::clone(&self.shared),
            interrupts: Arc::clone(&self.interrupts),
            armed: true,
            exit: PhantomData,
        }
    }

    /// What interrupted the block of this manager, and where that is in its resource. The body may have put another stack
    /// in the place of its own.
    fn fired(&self, resource: &Self) -> Fired<E> {
        let mut fired = std::mem::take(&mut lock(&self.interrupts).fired);
        if !Arc::ptr_eq(&self.interrupts, &resource.interrupts) {
            for (source, _) in &mut fired {
                *source = Source::Gone;
            }
        }
        fired
    }
}

/// A stack for where the trait is asked for: see [`AsyncExitStack::into_manager`].
pub struct StackManager<E: Debug + Send + 'static, V: ExitVerdict = ()>(AsyncExitStack<E, V>);

impl<E: Debug + Send + 'static, V: ExitVerdict> AsyncContextManager for StackManager<E, V> {
    type Resource = AsyncExitStack<E, V>;
    type Error = StackError<E>;
    type Exit = V;

    async fn enter(&mut self) -> Result<AsyncExitStack<E, V>, StackError<E>> {
        Ok(self.0.enter_block())
    }

    async fn exit(
        self,
        mut resource: AsyncExitStack<E, V>,
        cause: Cause,
    ) -> Result<V, StackError<E>> {
        let fired = self.0.fired(&resource);
        let mut exit = resource.exit_of_block(cause, fired, None, None);
        let exited = poll_fn(|cx| exit.poll_with(cx, &mut NothingLeft)).await;
        let mut interrupts = lock(&self.0.interrupts);
        let moves_on = interrupts.moves_on && cause == Cause::Cancelled;
        match exited {
            // Also when the entry that interrupted has left the stack.
            Exited::Returned(_) if moves_on => Ok(V::from_verdict(Verdict::Suppress)),
            Exited::Returned(verdict) => Ok(V::from_verdict(verdict)),
            Exited::Failed(error) if moves_on => {
                interrupts.failed = Some(error);
                Ok(V::from_verdict(Verdict::Propagate))
            }
            Exited::Failed(error) => Err(StackError(Error::Raised(error))),
            Exited::Panicked(payload) => resume_unwind(payload),
        }
    }

    fn inspect(&mut self, resource: &mut AsyncExitStack<E, V>, mut raised: Raised<'_>) {
        // In their place: a panic leaves them all there, to be exited.
        for at in (0..resource.entries.count()).rev() {
            if let Some(entry) = resource.entries.get_mut(at) {
                entry.inspect(raised.reborrow());
            }
        }
    }

    fn interrupt(
        &self,
        _: &AsyncExitStack<E, V>,
    ) -> impl Interruption<StackError<E>> + Send + use<E, V> {
        StackInterrupt {
            interrupts: Arc::clone(&self.0.interrupts),
            in_block: false,
        }
    }
}

/// A stack that is the manager of a block: its managers see what leaves the body.
pub struct Stacked<E: Debug + Send + 'static, V: ExitVerdict>(pub(crate) AsyncExitStack<E, V>);

#[diagnostic::do_not_recommend]
impl<E: Debug + Send + 'static, V: ExitVerdict> Managed for Stacked<E, V> {
    type Resource = AsyncExitStack<E, V>;
    type Lent = AsyncExitStack<E, V>;
    type Error = StackError<E>;
    type Exit = V;

    fn name(&self) -> &'static str {
        type_name::<AsyncExitStack<E, V>>()
    }

    async fn enter(&mut self) -> Result<AsyncExitStack<E, V>, StackError<E>> {
        Ok(self.0.enter_block())
    }

    fn exit(
        self,
        mut resource: AsyncExitStack<E, V>,
        cause: Cause,
        children: Option<Arc<Children>>,
        owed: Option<Owed>,
    ) -> impl Exiting<V, StackError<E>> {
        let fired = self.0.fired(&resource);
        InBlock(resource.exit_of_block(cause, fired, children, owed))
    }

    fn abandon(
        self,
        mut resource: AsyncExitStack<E, V>,
        children: Option<Arc<Children>>,
        owed: Option<Owed>,
    ) {
        drop(resource.exit_of_block(Cause::Dropped, Vec::new(), children, owed));
    }

    // Each manager's own runs before its exit.
    fn inspect(&mut self, _: &mut AsyncExitStack<E, V>, _: Raised<'_>) {}

    fn interrupt(&self, _: &AsyncExitStack<E, V>) -> impl Interruption<StackError<E>> + use<E, V> {
        StackInterrupt {
            interrupts: Arc::clone(&self.0.interrupts),
            in_block: true,
        }
    }

    fn poll_interrupts(&self, cx: &mut Context<'_>) {
        let mut interrupts = lock(&self.0.interrupts);
        if let Some(&(Source::Entry(at), _)) = interrupts.fired.last() {
            let name = |_| self.name();
            if let Some((of, error)) = interrupts.poll_further_out(at, name, Cause::Cancelled, cx) {
                interrupts.fired.push((Source::Entry(of), error));
                interrupts.just_fired = true;
            }
        }
    }

    fn settle_interrupts(&self, is_cancelled: bool) {
        let mut interrupts = lock(&self.0.interrupts);
        if std::mem::take(&mut interrupts.just_fired)
            && is_cancelled
            && let Some((_, error)) = interrupts.fired.last_mut()
        {
            *error = None;
        }
    }

    fn around_poll(&self) -> impl Sized {}

    fn lent(resource: &mut AsyncExitStack<E, V>) -> &mut AsyncExitStack<E, V> {
        resource
    }
}

struct InBlock<E: Debug + Send + 'static>(StackExit<E>);

// Nothing in it is pinned in place.
impl<E: Debug + Send + 'static> Unpin for InBlock<E> {}

impl<E: Debug + Send + 'static, V: ExitVerdict> Exiting<V, StackError<E>> for InBlock<E> {
    fn poll_exit(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        left: &mut dyn Left,
    ) -> Poll<Finished<V, StackError<E>>> {
        let exited = match ready!(self.0.poll_with(cx, left)) {
            Exited::Returned(verdict) => Exited::Returned(V::from_verdict(verdict)),
            Exited::Failed(error) => Exited::Failed(StackError(Error::Raised(error))),
            Exited::Panicked(payload) => Exited::Panicked(payload),
        };
        Poll::Ready((exited, self.0.owed.take()))
    }

    fn of(&self) -> Option<&'static str> {
        let running = self.0.unwind.as_ref()?.running.as_ref()?;
        Some(running.name)
    }
}
