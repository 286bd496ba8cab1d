//! A dynamic number of managers.

mod around;
mod as_manager;
mod bounds;
mod entry;
mod handle;
mod interrupts;
mod pile;
mod registrar;
mod unwind;

use std::any::{Any, type_name};
use std::fmt::{self, Debug, Formatter};
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::Poll;

pub(crate) use as_manager::Stacked;
pub use as_manager::{StackError, StackManager};
pub use bounds::{CleanUpOf, Enterable, EnteredInto, NoError, RaisedAs, Takes};
pub use handle::{Handle, Loan};
pub use registrar::{Closed, Registrar};

use around::Attends;
use bounds::NeverRaised;
use entry::{Adopted, Entry, Held, Kept, Slot, callback_entry};
use interrupts::Interrupts;
use pile::{Home, Key, Pile};

use crate::expansion::never_raised;
use crate::manager::{Exited, exit_in_body};
use crate::nest::Level;
use crate::site::Site;
use crate::sync::{Mutex, MutexGuard};
use crate::{AsyncContextManager, Cause, CleanUp, CleanUpFuture, ExitVerdict, Verdict};

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

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
/// So they do when a stack is dropped that was neither closed nor in a block, after what was detached in the body since the
/// first enter (rule CAN-4). Until then [`drain`](crate::drain()) does not wait for it: join the task that holds it first.
///
/// # Limits
///
/// `around_poll` of a manager in a stack is called around the polls of the block's body, and not around its drop; the enter of a
/// manager with such a guard, or with blocks around its yield, ends one poll later (rule STK-1). Outside of a block it is not
/// called. [`pending_exits`](crate::pending_exits) lists the stack, not its managers.
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
    /// Those that are lent by reference; the others are in the pile.
    entries: boxcar::Vec<Box<dyn Entry<E>>>,
    home: Arc<Home<E>>,
    /// Also that of the block whose stack this is.
    interrupts: Arc<Mutex<Interrupts<E>>>,
    /// It owes the exits.
    armed: bool,
    exit: PhantomData<fn() -> V>,
}

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
        Self::with(boxcar::Vec::new(), Arc::default())
    }

    /// A stack of these entries.
    fn with(entries: boxcar::Vec<Box<dyn Entry<E>>>, pile: Arc<Pile<E>>) -> Self {
        Self {
            entries,
            home: Home::new(Arc::clone(&pile)),
            interrupts: Interrupts::by(pile),
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
    #[track_caller]
    #[allow(clippy::mut_from_ref)] // Of a slot that was made for it.
    pub fn adopt<T, F, Fut>(&self, value: T, exit: F) -> &mut T
    where
        T: Send + 'static,
        F: FnOnce(T, Cause) -> Fut + Send + 'static,
        Fut: CleanUpFuture<Returns: CleanUpOf<E>> + Send + 'static,
        V: Takes<<Fut::Output as CleanUp>::Exit>,
    {
        let name = Site::of_caller().name("adopt");
        &mut self.register(name, Adopted { value, exit }).1.value
    }

    /// Registers a closure as an exit, which sees the cause, may fail, and may suppress if the stack does (rule STK-3):
    /// Python's `push_async_exit`.
    #[track_caller]
    pub fn push<F, Fut>(&self, exit: F)
    where
        F: FnOnce(Cause) -> Fut + Send + 'static,
        Fut: CleanUpFuture<Returns: CleanUpOf<E>> + Send + 'static,
        V: Takes<<Fut::Output as CleanUp>::Exit>,
    {
        let name = Site::of_caller().name("push");
        let exit = move |(), cause| exit(cause);
        self.register(name, Adopted { value: (), exit });
    }

    /// Registers a closure that is run in its turn, and neither sees the cause nor suppresses (rule STK-3): Python's
    /// `push_async_callback`, TC39's `defer`.
    #[track_caller]
    pub fn callback<F, Fut>(&self, callback: F)
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: CleanUpFuture<Returns = ()> + Send + 'static,
    {
        let name = Site::of_caller().name("callback");
        self.register(name, callback_entry(callback));
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
        let pile = Arc::default();
        Interrupts::leave(&self.interrupts, Arc::clone(&pile));
        Self::with(std::mem::take(&mut self.entries), self.home.replace(pile))
    }

    /// Runs the exits now, told [`Cause::Completed`] (rule STK-4). A deadline that was entered goes on meanwhile, and
    /// interrupts the exits further in, as at the end of a block. The stack is empty then, and can be used again, as in
    /// Python; closing an empty one does nothing.
    ///
    /// It first waits for what was detached in the body since the first enter (rule CAN-4). In a body that is interrupted, the
    /// exits run to their end, and nothing goes on after them (rule CAN-6).
    ///
    /// # Errors
    ///
    /// The error that an exit failed with, or that of the entry that interrupted, if no exit suppressed it; other ones are
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
        self.home.closing.wait().await;
        let exit = |level| self.exit_for_reuse(level);
        let exited: Exited<V, _> = exit_in_body(type_name::<Self>(), Cause::Completed, exit).await;
        match exited {
            Exited::Returned(_) => Ok(()),
            Exited::Failed(error) => Err(error.raised()),
            Exited::Panicked(payload) => resume_unwind(payload),
        }
    }

    /// A handle that registers exits from elsewhere: from another task, or from an exit while the stack unwinds, which
    /// then runs what was registered (rule STK-5).
    #[must_use]
    pub fn registrar(&self) -> Registrar<E> {
        Registrar(Arc::clone(&self.home))
    }

    /// The stack as an [`AsyncContextManager`], for adaptors, generic functions and other stacks. A block takes the
    /// stack itself: the trait's `enter` would be in the way of the stack's own.
    ///
    /// Within a block, `inspect` of each manager runs directly before its exit (rule EXI-7). Here, all are shown the
    /// error beforehand. Where the error of an interruption by one of them is converted, as with
    /// [`map_err`](crate::AsyncContextManagerExt::map_err), it is taken out before the exits, and the managers further out
    /// are told of none.
    #[must_use]
    pub fn into_manager(self) -> StackManager<E, V> {
        StackManager(self)
    }

    /// How many exits are registered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.count() + self.home.pile().len()
    }

    /// Whether no exit is registered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[allow(clippy::mut_from_ref)] // Of a slot that was made for it.
    fn register<H: Held<E>>(&self, name: &'static str, held: H) -> (Key, &mut H) {
        self.register_at(name, Some(Level::part(name)), held)
    }

    #[allow(clippy::mut_from_ref)] // Of a slot that was made for it.
    fn register_at<H: Held<E>>(
        &self,
        name: &'static str,
        level: Option<Level>,
        held: H,
    ) -> (Key, &mut H) {
        let at = self.entries.push(Box::new(Slot::of(name, level, held)));
        let key = self.home.pile().grows(at);
        let entry: &dyn Any = &*self.entries[at];
        match entry.downcast_ref::<Slot<H>>() {
            Some(slot) => (key, parking_lot::MutexGuard::leak(slot.held.lock())),
            None => unreachable!("it was pushed just now"),
        }
    }

    /// Lets an entry interrupt, and hold what it holds around the body. It is registered by then, so that it is exited when
    /// its `interrupt` panics. What it holds, it does from the next poll on, and nothing runs in the body before that.
    async fn attend(&self, by: Key, attends: Attends<E>) {
        let is_around = !attends.around.is_empty();
        self.home.pile().attend(by, attends);
        if is_around {
            next_poll().await;
        }
    }
}

impl<E: Debug + Send + 'static, V: ExitVerdict> Debug for AsyncExitStack<E, V> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let pile = self.home.pile();
        let mut list = f.debug_list();
        for (at, entry) in &self.entries {
            list.entries(pile.names_below(at)).entry(&entry.name());
        }
        let on_top = pile.names_below(self.entries.count());
        list.entries(on_top).finish()
    }
}

/// Waits for the next poll: in this one, the body may be polled in what is to be exited.
async fn next_poll() {
    let mut is_next = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut is_next, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A stack that is dropped with exits in it lets them go on, as a block does.
impl<E: Debug + Send + 'static, V: ExitVerdict> Drop for AsyncExitStack<E, V> {
    fn drop(&mut self) {
        if self.armed {
            let wait = self.home.pile().since().wait_since();
            drop(self.exit_for_good(Cause::Dropped, Vec::new(), wait, None));
        }
    }
}
