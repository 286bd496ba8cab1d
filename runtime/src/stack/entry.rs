//! What a stack holds: things with an exit.

use std::any::Any;
use std::future::Future;
use std::marker::PhantomData;

use super::BoxFuture;
use super::around::Attended;
use super::bounds::{CleanUpOf, RaisedAs};
use crate::nest::Level;
use crate::{AsyncContextManager, Cause, ExitVerdict, Raised, Verdict, limits};

/// What a stack holds: something with an exit.
pub(super) trait Entry<E>: Any + Send + Sync {
    fn name(&self) -> &'static str;
    /// Its exit is to run without the block of the stack.
    fn is_detached(&self);
    /// Whether what it holds is lent to others.
    fn is_lent(&mut self) -> bool;
    /// Takes what it has lent to others back for good; if that is still elsewhere, says when it is here.
    fn take_back(&mut self, cause: Cause) -> Option<BoxFuture<Result<Verdict, E>>>;
    fn inspect(&mut self, raised: Raised<'_>);
    fn exit(self: Box<Self>, cause: Cause) -> BoxFuture<Result<Verdict, E>>;
}

/// What an entry holds. It is lent out of a stack that is only borrowed, and taken back when the stack is taken apart.
pub(super) trait Held<E>: Send + 'static {
    /// See [`Entry::is_lent`].
    fn is_lent(&self) -> bool {
        false
    }

    /// See [`Entry::take_back`].
    fn take_back(&mut self) -> Option<BoxFuture<()>> {
        None
    }

    fn inspect(&mut self, _: Raised<'_>) {}
    fn exit(self, cause: Cause) -> impl Future<Output = Result<Verdict, E>> + Send;
}

/// A lock that is taken once, for good: so it lends its content for as long as the stack is borrowed, and is `Sync`.
pub(super) struct Slot<H> {
    /// What stands for it in reports.
    name: &'static str,
    /// By which it is listed until its exit has run.
    level: Option<Level>,
    pub(super) held: parking_lot::Mutex<H>,
}

impl<H> Slot<H> {
    pub(super) fn new(name: &'static str, held: H) -> Self {
        Self::of(name, Some(Level::part(name)), held)
    }

    pub(super) fn of(name: &'static str, level: Option<Level>, held: H) -> Self {
        Self {
            name,
            level,
            held: parking_lot::Mutex::new(held),
        }
    }
}

impl<E: Send + 'static, H: Held<E>> Entry<E> for Slot<H> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn is_detached(&self) {
        if let Some(level) = &self.level {
            level.is_detached();
        }
    }

    fn is_lent(&mut self) -> bool {
        self.held.get_mut().is_lent()
    }

    fn take_back(&mut self, cause: Cause) -> Option<BoxFuture<Result<Verdict, E>>> {
        let (name, back) = (self.name, self.held.get_mut().take_back()?);
        // The time that it takes is that of the exit.
        let back = async {
            back.await;
            Ok(Verdict::Propagate)
        };
        Some(Box::pin(limits::watch(move || name, cause, back)))
    }

    fn inspect(&mut self, raised: Raised<'_>) {
        self.held.get_mut().inspect(raised);
    }

    fn exit(self: Box<Self>, cause: Cause) -> BoxFuture<Result<Verdict, E>> {
        let Self { name, level, held } = *self;
        let exit = limits::watch(move || name, cause, held.into_inner().exit(cause));
        Box::pin(async move {
            let _listed = level;
            exit.await
        })
    }
}

/// A manager that was entered.
pub(super) struct Entered<M: AsyncContextManager, K> {
    pub(super) manager: Attended<M>,
    pub(super) resource: M::Resource,
    pub(super) conversion: PhantomData<fn() -> K>,
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
        let manager = self.manager.into_inner();
        converted(manager.exit(self.resource, cause).await)
    }
}

/// What an exit returned, in the terms of the stack.
pub(super) fn converted<E, X: RaisedAs<E, K>, K>(
    result: Result<impl ExitVerdict, X>,
) -> Result<Verdict, E> {
    match result {
        Ok(exit) => Ok(exit.verdict()),
        Err(error) => error.raised_as().map_or(Ok(Verdict::Propagate), Err),
    }
}

/// A value with a closure for its exit.
pub(super) struct Adopted<T, F> {
    pub(super) value: T,
    pub(super) exit: F,
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
pub(super) struct Kept<T>(pub(super) T);

impl<E: Send, T: Send + 'static> Held<E> for Kept<T> {
    async fn exit(self, _: Cause) -> Result<Verdict, E> {
        drop(self.0);
        Ok(Verdict::Propagate)
    }
}

/// A closure that is run in its turn, and sees nothing.
pub(super) fn callback_entry<E, F, Fut>(callback: F) -> impl Held<E>
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
