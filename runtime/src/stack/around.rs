//! What the managers of a stack hold around the polls of the body: their guards, and blocks around the yield of a generator.

use std::future::poll_fn;
use std::marker::PhantomData;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};

use super::bounds::RaisedAs;
use super::{BoxFuture, lock};
use crate::interruption::fires;
use crate::sync::Mutex;
use crate::{AsyncContextManager, Interruption, Raised};

/// Something that the body is polled in.
pub(super) trait Surround: Send {
    fn poll_inside(&mut self, cx: &mut Context<'_>, body: &mut dyn FnMut(&mut Context<'_>));
}

/// What an entry does while the body runs.
pub(super) struct Attends<E> {
    /// Resolves when it interrupts, if it may.
    pub(super) fires: Option<BoxFuture<Option<E>>>,
    pub(super) around: Vec<Box<dyn Surround>>,
}

/// A manager, shared with what holds its guard, if it has one.
pub(super) enum Attended<M> {
    Alone(M),
    Shared(Arc<Mutex<Option<M>>>),
}

impl<M: AsyncContextManager> Attended<M> {
    pub(super) fn new(manager: M) -> Self {
        fn has_guard<G>(_: &impl FnOnce() -> G) -> bool {
            mem::needs_drop::<G>()
        }
        if has_guard(&|| manager.around_poll()) {
            Attended::Shared(Arc::new(Mutex::new(Some(manager))))
        } else {
            Attended::Alone(manager)
        }
    }

    pub(super) fn inspect(&mut self, resource: &mut M::Resource, raised: Raised<'_>) {
        match self {
            Attended::Alone(manager) => manager.inspect(resource, raised),
            Attended::Shared(manager) => {
                if let Some(manager) = &mut *lock(manager) {
                    manager.inspect(resource, raised);
                }
            }
        }
    }

    /// The manager; what holds its guard does so no more.
    pub(super) fn into_inner(self) -> M {
        match self {
            Attended::Alone(manager) => manager,
            Attended::Shared(manager) => match lock(&manager).take() {
                Some(manager) => manager,
                None => unreachable!("it is taken once"),
            },
        }
    }

    /// What the manager does while the body runs.
    pub(super) fn attend<E, K>(&self, resource: &M::Resource) -> Attends<E>
    where
        M: AsyncContextManager<Error: RaisedAs<E, K>>,
        E: 'static,
        K: 'static,
    {
        let mut around: Vec<Box<dyn Surround>> = Vec::new();
        let interrupt = match self {
            Attended::Alone(manager) => manager.interrupt(resource),
            Attended::Shared(manager) => {
                around.push(Box::new(Guarded(Arc::clone(manager))));
                match &*lock(manager) {
                    Some(manager) => manager.interrupt(resource),
                    None => unreachable!("it is there until its exit"),
                }
            }
        };
        let fires: Option<BoxFuture<Option<E>>> = if interrupt.is_never() {
            None
        } else if interrupt.is_around() {
            let interrupt = Arc::new(Mutex::new(Box::pin(interrupt)));
            around.push(Box::new(Inside(Arc::clone(&interrupt), PhantomData)));
            Some(Box::pin(
                async move { poll_shared(interrupt).await.raised_as() },
            ))
        } else {
            Some(Box::pin(async { fires(interrupt).await.raised_as() }))
        };
        Attends { fires, around }
    }
}

/// Awaits an interruption in which the body is polled.
async fn poll_shared<X, I: Interruption<X>>(interrupt: Arc<Mutex<Pin<Box<I>>>>) -> X {
    poll_fn(|cx| {
        if let Ok(mut interrupt) = interrupt.try_lock() {
            interrupt.as_mut().poll_interruption(cx)
        } else {
            // The body asks, around which it is polled right now.
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await
}

/// Holds the guard of a manager.
struct Guarded<M>(Arc<Mutex<Option<M>>>);

impl<M: AsyncContextManager> Surround for Guarded<M> {
    fn poll_inside(&mut self, cx: &mut Context<'_>, body: &mut dyn FnMut(&mut Context<'_>)) {
        let manager = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _guard = manager.as_ref().map(M::around_poll);
        body(cx);
    }
}

/// Polls what an interruption has around the body.
struct Inside<I, X>(Arc<Mutex<Pin<Box<I>>>>, PhantomData<fn() -> X>);

impl<X, I: Interruption<X> + Send> Surround for Inside<I, X> {
    fn poll_inside(&mut self, cx: &mut Context<'_>, body: &mut dyn FnMut(&mut Context<'_>)) {
        lock(&self.0).as_mut().poll_inside(cx, body);
    }
}
