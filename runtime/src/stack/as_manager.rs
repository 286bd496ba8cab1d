//! A stack as the manager of a block, and as one for where the trait is asked for.

use std::any::type_name;
use std::fmt::{self, Debug, Formatter};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::interrupts::{Fired, Interrupts, Source, StackInterrupt};
use super::pile::Key;
use super::unwind::StackExit;
use super::{AsyncExitStack, BoxFuture, lock};
use crate::expansion::never_raised;
use crate::manager::{Exited, Exiting, Finished, Left, Managed, NothingLeft, report_of};
use crate::nest::Level;
use crate::nest::{Children, Wait};
use crate::report::{Incident, Phase};
use crate::sync::Mutex;
use crate::{AsyncContextManager, Cause, ExitVerdict, Interruption, Raised, Verdict};

/// What a stack of managers fails with: the error of the function that its block is in.
///
/// In a block it is raised as that error itself.
pub struct StackError<E>(Error<E>);

enum Error<E> {
    Raised(E),
    /// The exit of the block takes it from the stack itself.
    Kept,
    /// It is with those who interrupt, and after the exits what these failed with.
    Later(Arc<Mutex<Interrupts<E>>>),
}

impl<E> StackError<E> {
    /// The error; `None` for the end of an interruption that is never raised.
    #[must_use]
    pub fn into_inner(self) -> Option<E> {
        match self.0 {
            Error::Raised(error) => Some(error),
            Error::Kept => None,
            Error::Later(interrupts) => lock(&interrupts).take_error(),
        }
    }

    pub(super) fn kept() -> Self {
        Self(Error::Kept)
    }

    pub(super) fn later(interrupts: Arc<Mutex<Interrupts<E>>>) -> Self {
        Self(Error::Later(interrupts))
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
            Error::Kept => f.write_str("MovedOn"),
            Error::Later(interrupts) => match lock(interrupts).fired.last() {
                Some((_, Some(error))) => Debug::fmt(error, f),
                _ => f.write_str("MovedOn"),
            },
        }
    }
}

impl<E: Debug + Send + 'static, V: ExitVerdict> AsyncExitStack<E, V> {
    /// The exit of a stack that ends with it.
    pub(super) fn exit_for_good(
        &mut self,
        cause: Cause,
        fired: Fired<E>,
        wait: Option<Wait>,
        owed: Option<Level>,
    ) -> StackExit<E> {
        self.armed = false;
        let closing = Arc::clone(&self.home.closing);
        let waits = wait.is_some() || !closing.is_idle();
        let wait = waits.then(|| {
            let wait: BoxFuture<()> = Box::pin(async move {
                if let Some(wait) = wait {
                    wait.await;
                }
                closing.wait().await;
            });
            wait
        });
        let entries = std::mem::take(&mut self.entries);
        let pile = self.home.pile();
        StackExit::for_good(type_name::<Self>(), entries, pile, cause, fired, wait, owed)
    }

    /// The exit of a stack that is used again.
    pub(super) fn exit_for_reuse(&mut self, level: Level) -> InBlock<E> {
        let wait = self.home.pile().since().wait_since();
        let next = Arc::default();
        Interrupts::leave(&self.interrupts, Arc::clone(&next));
        let entries = std::mem::take(&mut self.entries);
        let home = Arc::clone(&self.home);
        let is_around = home.pile().is_around();
        let waits = is_around || wait.is_some();
        let wait = waits.then(|| -> BoxFuture<()> {
            Box::pin(async move {
                if is_around {
                    super::next_poll().await;
                }
                if let Some(wait) = wait {
                    wait.await;
                }
            })
        });
        let name = type_name::<Self>();
        InBlock(StackExit::for_reuse(name, entries, home, next, wait, level))
    }

    /// Moves everything out of the manager into its resource.
    fn enter_block(&mut self) -> Self {
        self.armed = false;
        // It may have been taken out of another block.
        Interrupts::leave(&self.interrupts, Arc::default());
        self.interrupts = Interrupts::by(self.home.pile());
        Self {
            entries: std::mem::take(&mut self.entries),
            home: Arc::clone(&self.home),
            interrupts: Arc::clone(&self.interrupts),
            armed: true,
            exit: std::marker::PhantomData,
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

impl<E: Debug + Send + 'static, V: ExitVerdict> AsyncExitStack<E, V> {
    /// Shows the error to the entries of the pile from this one on, down to another one. Returns the next.
    fn inspect_down_to(
        &self,
        bottom: Option<Key>,
        mut next: Option<Key>,
        raised: &mut Raised<'_>,
    ) -> Option<Key> {
        let pile = self.home.pile();
        while let Some(key) = next.filter(|key| bottom.is_none_or(|bottom| *key > bottom)) {
            if let Some(mut entry) = pile.take(key) {
                let inspect = || entry.inspect(raised.reborrow());
                let inspected = catch_unwind(AssertUnwindSafe(inspect));
                pile.put_back(key, entry);
                inspected.unwrap_or_else(|payload| resume_unwind(payload));
            }
            next = pile.next_below(key);
        }
        next
    }
}

/// A stack for where the trait is asked for: see [`AsyncExitStack::into_manager`].
pub struct StackManager<E: Debug + Send + 'static, V: ExitVerdict = ()>(
    pub(super) AsyncExitStack<E, V>,
);

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
        let mut exit = resource.exit_for_good(cause, fired, None, None);
        let exited = poll_fn(|cx| exit.poll_with(cx, &mut NothingLeft::alone())).await;
        let mut interrupts = lock(&self.0.interrupts);
        let goes_on = interrupts.goes_on && cause == Cause::Cancelled;
        match exited {
            // Also when the entry that interrupted has left the stack.
            Exited::Returned(_) if goes_on => Ok(V::from_verdict(Verdict::Suppress)),
            Exited::Returned(verdict) => Ok(V::from_verdict(verdict)),
            Exited::Failed(error) if goes_on => {
                interrupts.failed = Some(error);
                Ok(V::from_verdict(Verdict::Propagate))
            }
            Exited::Failed(error) => Err(StackError(Error::Raised(error))),
            Exited::Panicked(payload) => resume_unwind(payload),
        }
    }

    fn inspect(&mut self, resource: &mut AsyncExitStack<E, V>, mut raised: Raised<'_>) {
        let mut below = resource.home.pile().top();
        for at in (0..resource.entries.count()).rev() {
            below = resource.inspect_down_to(Some(Key::in_vector(at)), below, &mut raised);
            // In its place: a panic leaves it there, to be exited.
            if let Some(entry) = resource.entries.get_mut(at) {
                entry.inspect(raised.reborrow());
            }
        }
        resource.inspect_down_to(None, below, &mut raised);
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
        owed: Option<Level>,
    ) -> impl Exiting<V, StackError<E>> {
        let fired = self.0.fired(&resource);
        let wait = children.map(|children| children.wait());
        InBlock(resource.exit_for_good(cause, fired, wait, owed))
    }

    fn abandon(
        self,
        mut resource: AsyncExitStack<E, V>,
        children: Option<Arc<Children>>,
        owed: Option<Level>,
    ) {
        let fired = self.0.fired(&resource);
        let wait = children.map(|children| children.wait());
        drop(resource.exit_for_good(Cause::Dropped, fired, wait, owed));
    }

    // Each manager's own runs before its exit.
    fn inspect(&mut self, _: &mut AsyncExitStack<E, V>, _: Raised<'_>) {}

    fn interrupt(&self, _: &AsyncExitStack<E, V>) -> impl Interruption<StackError<E>> + use<E, V> {
        StackInterrupt {
            interrupts: Arc::clone(&self.0.interrupts),
            in_block: true,
        }
    }

    fn is_raised(error: &StackError<E>) -> bool {
        matches!(error.0, Error::Raised(_))
    }

    fn poll_interrupts(&self, cx: &mut Context<'_>) {
        Interrupts::poll_further_out(&self.0.interrupts, cx, |payload| {
            let incident = Incident::panic(payload);
            report_of(self.name(), Phase::Interrupt, Cause::Cancelled, incident);
        });
    }

    fn settle_interrupts(&self, is_cancelled: bool) {
        Interrupts::settle(&self.0.interrupts, is_cancelled);
    }

    fn around_poll(&self) -> impl Sized {}

    fn lent(resource: &mut AsyncExitStack<E, V>) -> &mut AsyncExitStack<E, V> {
        resource
    }
}

/// The exit of a stack, of which what leaves is seen.
pub(super) struct InBlock<E: Debug + Send + 'static>(StackExit<E>);

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
        Poll::Ready((exited, self.0.take_owed()))
    }

    fn of(&self) -> Option<&'static str> {
        self.0.running()
    }
}
