//! Resources that a handle lends, in place of the stack.

use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Weak};
use std::task::{Poll, Waker};

use super::around::Attended;
use super::bounds::RaisedAs;
use super::entry::{Held, converted};
use super::pile::{Key, Leave};
use super::{BoxFuture, lock};
use crate::manager::exit_early;
use crate::nest::Moment;
use crate::sync::Mutex;
use crate::{AsyncContextManager, Cause, Raised, Verdict};

/// A manager that was entered by [`AsyncExitStack::enter_owned`](crate::AsyncExitStack::enter_owned). The stack exits it, whether the handle is still there
/// or not.
///
/// The resource is a parameter, so that the handle can be held across an await in a `Send` future whatever lifetimes are
/// in it (rule TYP-1).
pub struct Handle<M, R = <M as AsyncContextManager>::Resource> {
    pub(super) shelf: Arc<Mutex<Shelf<M, R>>>,
    /// Where the entry lies.
    pub(super) pile: Weak<dyn Leave>,
    pub(super) key: Key,
    /// When it was entered.
    pub(super) since: Moment,
}

pub(super) struct Shelf<M, R> {
    pub(super) content: Content<M, R>,
    /// An exit that waits for the resource to come back.
    exit: Option<Waker>,
}

pub(super) enum Content<M, R> {
    Here(Attended<M>, R),
    Lent,
    /// It is the turn of its exit.
    TakenBack(Attended<M>, R),
    Exited,
}

impl<M, R> Shelf<M, R> {
    pub(super) fn new(manager: Attended<M>, resource: R) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            content: Content::Here(manager, resource),
            exit: None,
        }))
    }

    /// Takes it back for good, unless it is lent.
    fn take_back(&mut self) -> bool {
        self.content = match mem::replace(&mut self.content, Content::Exited) {
            Content::Here(manager, resource) => Content::TakenBack(manager, resource),
            other => other,
        };
        !matches!(self.content, Content::Lent)
    }

    fn take(&mut self, leave: Content<M, R>) -> Option<(Attended<M>, R)> {
        match mem::replace(&mut self.content, leave) {
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
    /// Lends the resource; `None` when it is its turn to be exited, or was. An exit of the stack that starts meanwhile
    /// waits for it to come back, and shows the error to the manager then.
    pub fn borrow(&mut self) -> Option<Loan<'_, M, R>> {
        let content = lock(&self.shelf).take(Content::Lent)?;
        Some(Loan {
            content: Some(content),
            shelf: &self.shelf,
        })
    }

    /// Exits this manager now, told [`Cause::Completed`], before its turn. The stack owes it nothing any more and keeps
    /// nothing of it, and it does not interrupt from then on (rule STK-3). When it was exited already, nothing happens.
    ///
    /// It first waits for what was detached in the body since the enter (rule CAN-4). In a body that is interrupted, the exit
    /// runs to its end, and nothing goes on after it (rule CAN-6).
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
            if let Some(pile) = self.pile.upgrade()
                && pile.leave_body(self.key)
            {
                super::next_poll().await;
            }
            let content = lock(&self.shelf).take(Content::Exited);
            let Some((manager, resource)) = content else {
                return Ok(());
            };
            if let Some(pile) = self.pile.upgrade() {
                pile.leave(self.key);
            }
            exit_early(manager.into_inner(), resource, Cause::Completed, self.since).await
        }
    }
}

/// A resource that a [`Handle`] lends. It comes back when this is dropped.
pub struct Loan<'a, M, R = <M as AsyncContextManager>::Resource> {
    content: Option<(Attended<M>, R)>,
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
pub(super) struct Shelved<M: AsyncContextManager, K> {
    pub(super) shelf: Arc<Mutex<Shelf<M, M::Resource>>>,
    pub(super) conversion: PhantomData<fn() -> K>,
}

impl<E, M, K> Held<E> for Shelved<M, K>
where
    E: Send + 'static,
    M: AsyncContextManager<Error: RaisedAs<E, K>>,
    K: 'static,
{
    fn is_lent(&self) -> bool {
        matches!(lock(&self.shelf).content, Content::Lent)
    }

    fn take_back(&mut self) -> Option<BoxFuture<()>> {
        if lock(&self.shelf).take_back() {
            return None;
        }
        let shared = Arc::clone(&self.shelf);
        Some(Box::pin(poll_fn(move |cx| {
            let mut lent = lock(&shared);
            if lent.take_back() {
                return Poll::Ready(());
            }
            lent.exit = Some(cx.waker().clone());
            Poll::Pending
        })))
    }

    fn inspect(&mut self, raised: Raised<'_>) {
        if let Content::Here(manager, resource) | Content::TakenBack(manager, resource) =
            &mut lock(&self.shelf).content
        {
            manager.inspect(resource, raised);
        }
    }

    async fn exit(self, cause: Cause) -> Result<Verdict, E> {
        let content = mem::replace(&mut lock(&self.shelf).content, Content::Exited);
        match content {
            Content::Here(manager, resource) | Content::TakenBack(manager, resource) => {
                converted(manager.into_inner().exit(resource, cause).await)
            }
            // It was released.
            Content::Lent | Content::Exited => Ok(Verdict::Propagate),
        }
    }
}
