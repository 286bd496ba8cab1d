//! An enter that is finished.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::manager::{abandoned, report_of};
use crate::nest::{Level, detach_exit};
use crate::report::{Incident, Phase};
use crate::slot::Slot;
use crate::{AsyncContextManager, Cause};

/// The manager of [`finish_enter`](crate::AsyncContextManagerExt::finish_enter).
pub struct FinishEnter<M> {
    /// Not here while it is entered.
    manager: Slot<M>,
}

impl<M> FinishEnter<M> {
    pub(super) fn new(manager: M) -> Self {
        Self {
            manager: Slot::new(manager),
        }
    }
}

impl<M: AsyncContextManager> AsyncContextManager for FinishEnter<M> {
    super::forward! { (M) [+ Send] Resource Error Exit inspect interrupt around_poll name }

    async fn enter(&mut self) -> Result<M::Resource, M::Error> {
        let manager = self.manager.take();
        let entering = Entering {
            name: manager.name(),
            level: Some(Level::shielded(manager.name())),
            enter: Some(Box::pin(enter(manager))),
        };
        let (manager, entered) = entering.await;
        self.manager.put(manager);
        entered
    }

    async fn exit(mut self, resource: M::Resource, cause: Cause) -> Result<M::Exit, M::Error> {
        self.manager.take().exit(resource, cause).await
    }
}

type Entered<M> = (
    M,
    Result<<M as AsyncContextManager>::Resource, <M as AsyncContextManager>::Error>,
);

/// An enter that has its manager with it.
async fn enter<M: AsyncContextManager>(mut manager: M) -> Entered<M> {
    let entered = manager.enter().await;
    (manager, entered)
}

/// The enter of a [`FinishEnter`]. It is taken out of its place around each poll, so that one that panicked is not
/// polled again.
struct Entering<M, F>
where
    M: AsyncContextManager,
    F: Future<Output = Entered<M>> + Send + 'static,
{
    name: &'static str,
    /// Interruptions do not reach into the enter, which would be finished all the same.
    level: Option<Level>,
    enter: Option<Pin<Box<F>>>,
}

impl<M, F> Future for Entering<M, F>
where
    M: AsyncContextManager,
    F: Future<Output = Entered<M>> + Send + 'static,
{
    type Output = Entered<M>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Entered<M>> {
        let Some(mut enter) = self.enter.take() else {
            return Poll::Pending;
        };
        let polled = {
            let _inside = self.level.as_ref().map(|level| level.enter(Some(cx)));
            enter.as_mut().poll(cx)
        };
        if polled.is_pending() {
            self.enter = Some(enter);
        }
        polled
    }
}

impl<M, F> Drop for Entering<M, F>
where
    M: AsyncContextManager,
    F: Future<Output = Entered<M>> + Send + 'static,
{
    fn drop(&mut self) {
        let (name, cause) = (self.name, Cause::Dropped);
        if let Some(mut enter) = self.enter.take() {
            detach_exit(name, cause, self.level.take(), async move {
                let entered = poll_fn(|cx| {
                    let poll = AssertUnwindSafe(|| enter.as_mut().poll(cx));
                    catch_unwind(poll)
                        .map_or_else(|payload| Poll::Ready(Err(payload)), |polled| polled.map(Ok))
                });
                let incident = match entered.await {
                    Ok((manager, Ok(resource))) => return abandoned(name, manager, resource).await,
                    Ok((_, Err(error))) => Incident::error(&error),
                    Err(payload) => Incident::panic(payload),
                };
                report_of(name, Phase::Enter, cause, incident);
            });
        }
    }
}
