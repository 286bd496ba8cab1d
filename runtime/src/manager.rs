//! One view of the two kinds of manager, for everything that does not depend on the kind.

#![allow(missing_docs)]

use std::any::Any;
use std::fmt::Debug;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::detach::{detach_exit, drop_caught};
use crate::frame::{self, Before, Children};
use crate::limits::{self, Either};
use crate::registry::{Owed, Place};
use crate::report::{Entry, Incident, Phase, report};
use crate::{AsyncContextManager, Cause, ExitVerdict, Raised, ScopedAsyncContextManager};

/// How an exit ended.
pub enum Exited<V, E> {
    Returned(V),
    Failed(E),
    Panicked(Payload),
}

/// What a panic carries.
pub(crate) type Payload = Box<dyn Any + Send>;

/// The future of an exit.
pub trait Exiting<V, E> {
    /// Polls it, beside what is going to leave the block: only a stack looks at that.
    fn poll_exit(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        left: &mut dyn Left,
    ) -> Poll<Exited<V, E>>;

    /// Whose exit it is, if it is one of many.
    fn of(&self) -> Option<&'static str> {
        None
    }
}

impl<V, E, F: Future<Output = Exited<V, E>>> Exiting<V, E> for F {
    fn poll_exit(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        _: &mut dyn Left,
    ) -> Poll<Exited<V, E>> {
        self.poll(cx)
    }
}

/// Runs an exit outside of a block.
pub(crate) async fn exit_alone<V, E>(exit: impl Exiting<V, E>) -> Exited<V, E> {
    let mut exit = pin!(exit);
    poll_fn(|cx| exit.as_mut().poll_exit(cx, &mut NothingLeft)).await
}

/// What left the body, as the exits of a stack see it.
pub trait Left {
    /// Shows the failure, if there is one.
    fn raised(&mut self, show: &mut dyn FnMut(Raised<'_>));
    /// Reports the failure, because a panic takes its place.
    fn lost(&mut self, manager: &'static str, cause: Cause);
    /// Nothing is going to leave any more.
    fn suppressed(&mut self);
    /// Takes the error of the interruption that ended the body.
    fn take_interrupt(&mut self) -> Option<Box<dyn Any>>;
}

/// For exits that nobody waits for.
pub(crate) struct NothingLeft;

impl Left for NothingLeft {
    fn raised(&mut self, _: &mut dyn FnMut(Raised<'_>)) {}
    fn lost(&mut self, _: &'static str, _: Cause) {}
    fn suppressed(&mut self) {}
    fn take_interrupt(&mut self) -> Option<Box<dyn Any>> {
        None
    }
}

/// A manager of either kind.
pub trait Managed: Sized {
    type Resource;
    /// What the user's pattern is matched against.
    type Lent;
    type Error: Debug + 'static;
    type Exit: ExitVerdict;

    /// The type of the user's manager.
    fn name() -> &'static str;
    fn enter(&mut self) -> impl Future<Output = Result<Self::Resource, Self::Error>>;
    /// Waits for the children, then exits.
    fn exit(
        self,
        resource: Self::Resource,
        cause: Cause,
        children: Option<Arc<Children>>,
        owed: Option<Owed>,
    ) -> impl Exiting<Self::Exit, Self::Error>;
    /// The block was dropped in its body.
    fn abandon(self, resource: Self::Resource, children: Option<Arc<Children>>, owed: Option<Owed>);
    fn inspect(&mut self, resource: &mut Self::Resource, raised: Raised<'_>);
    fn interrupt(&self, resource: &Self::Resource)
    -> impl Future<Output = Self::Error> + use<Self>;
    fn around_poll(&self) -> impl Sized;
    fn lent(resource: &mut Self::Resource) -> &mut Self::Lent;

    /// The block that encloses the body in truth, if it is not the one that the manager's own block is in.
    fn place(&self) -> Option<Place> {
        None
    }

    /// Whether `interrupt` may resolve, if its type does not tell.
    fn may_interrupt(&self) -> bool {
        true
    }
}

/// Reports something that befell the manager `M`.
pub(crate) fn report_of<M: Managed>(phase: Phase, cause: Cause, incident: Incident) {
    report(Entry {
        manager: M::name(),
        phase,
        cause,
        incident,
    });
}

/// An [`AsyncContextManager`]: its exit is boxed, and goes on elsewhere when it is dropped.
pub struct Surviving<M>(pub(crate) M);

impl<M: AsyncContextManager> Managed for Surviving<M> {
    type Resource = M::Resource;
    type Lent = M::Resource;
    type Error = M::Error;
    type Exit = M::Exit;

    fn name() -> &'static str {
        std::any::type_name::<M>()
    }

    fn enter(&mut self) -> impl Future<Output = Result<Self::Resource, Self::Error>> {
        self.0.enter()
    }

    fn exit(
        self,
        resource: Self::Resource,
        cause: Cause,
        children: Option<Arc<Children>>,
        owed: Option<Owed>,
    ) -> impl Exiting<Self::Exit, Self::Error> {
        let exit = Box::pin(exit(self.0, resource, cause, children));
        SurvivingExit {
            exit: Some(exit),
            manager: Self::name(),
            cause,
            owed,
        }
    }

    fn abandon(
        self,
        resource: Self::Resource,
        children: Option<Arc<Children>>,
        owed: Option<Owed>,
    ) {
        let exit = exit(self.0, resource, Cause::Dropped, children);
        detach_exit(
            Self::name(),
            Cause::Dropped,
            owed,
            finish(Self::name(), Cause::Dropped, exit),
        );
    }

    fn inspect(&mut self, resource: &mut Self::Resource, raised: Raised<'_>) {
        self.0.inspect(resource, raised);
    }

    fn interrupt(&self, resource: &Self::Resource) -> impl Future<Output = Self::Error> + use<M> {
        self.0.interrupt(resource)
    }

    fn around_poll(&self) -> impl Sized {
        self.0.around_poll()
    }

    fn lent(resource: &mut M::Resource) -> &mut M::Resource {
        resource
    }
}

async fn exit<M: AsyncContextManager>(
    manager: M,
    resource: M::Resource,
    cause: Cause,
    children: Option<Arc<Children>>,
) -> Result<M::Exit, M::Error> {
    if let Some(children) = children {
        children.wait().await;
    }
    let name = std::any::type_name::<M>();
    limits::watch(name, cause, manager.exit(resource, cause)).await
}

/// Runs an exit that nobody waits for the result of.
async fn finish<V, E: Debug>(
    manager: &'static str,
    cause: Cause,
    exit: impl Future<Output = Result<V, E>>,
) {
    if let Err(error) = exit.await {
        report(Entry {
            manager,
            phase: Phase::Exit,
            cause,
            incident: Incident::error(&error),
        });
    }
}

/// The exit of a [`Surviving`] manager. It is taken out of its place around each poll, so that one that panicked is not
/// polled again.
struct SurvivingExit<F, V, E>
where
    F: Future<Output = Result<V, E>> + Send + 'static,
    V: Send + 'static,
    E: Debug + Send + 'static,
{
    exit: Option<Pin<Box<F>>>,
    manager: &'static str,
    cause: Cause,
    owed: Option<Owed>,
}

impl<F, V, E> Future for SurvivingExit<F, V, E>
where
    F: Future<Output = Result<V, E>> + Send + 'static,
    V: Send + 'static,
    E: Debug + Send + 'static,
{
    type Output = Exited<V, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(mut exit) = self.exit.take() else {
            return Poll::Pending;
        };
        match catch_unwind(AssertUnwindSafe(|| exit.as_mut().poll(cx))) {
            Ok(Poll::Pending) => {
                self.exit = Some(exit);
                Poll::Pending
            }
            Ok(Poll::Ready(result)) => {
                self.owed = None;
                let dropped = drop_caught(exit);
                Poll::Ready(exited(self.manager, self.cause, Ok(result), dropped))
            }
            Err(payload) => {
                self.owed = None;
                let dropped = drop_caught(exit);
                Poll::Ready(exited(self.manager, self.cause, Err(payload), dropped))
            }
        }
    }
}

/// How an exit ended, from what it returned and from how the drop of its future went.
fn exited<V, E: Debug>(
    manager: &'static str,
    cause: Cause,
    result: Result<Result<V, E>, Payload>,
    dropped: Result<(), Payload>,
) -> Exited<V, E> {
    let lost = |incident| {
        report(Entry {
            manager,
            phase: Phase::Exit,
            cause,
            incident,
        });
    };
    match (result, dropped) {
        (Ok(Ok(verdict)), Ok(())) => Exited::Returned(verdict),
        (Ok(Err(error)), Ok(())) => Exited::Failed(error),
        (Err(payload), Ok(())) | (Ok(Ok(_)), Err(payload)) => Exited::Panicked(payload),
        (Ok(Err(error)), Err(payload)) => {
            lost(Incident::error(&error));
            Exited::Panicked(payload)
        }
        (Err(first), Err(later)) => {
            lost(Incident::panic(later));
            Exited::Panicked(first)
        }
    }
}

impl<F, V, E> Drop for SurvivingExit<F, V, E>
where
    F: Future<Output = Result<V, E>> + Send + 'static,
    V: Send + 'static,
    E: Debug + Send + 'static,
{
    fn drop(&mut self) {
        if let Some(exit) = self.exit.take() {
            let Self { manager, cause, .. } = *self;
            let owed = self.owed.take();
            detach_exit(manager, cause, owed, finish(manager, cause, exit));
        }
    }
}

/// A [`ScopedAsyncContextManager`]: its exit lives in the frame of the block.
pub struct InFrame<M>(pub(crate) M);

impl<M: ScopedAsyncContextManager> Managed for InFrame<M> {
    type Resource = M::Resource;
    type Lent = M::Resource;
    type Error = M::Error;
    type Exit = M::Exit;

    fn name() -> &'static str {
        std::any::type_name::<M>()
    }

    fn enter(&mut self) -> impl Future<Output = Result<Self::Resource, Self::Error>> {
        self.0.enter()
    }

    fn exit(
        self,
        resource: Self::Resource,
        cause: Cause,
        children: Option<Arc<Children>>,
        owed: Option<Owed>,
    ) -> impl Exiting<Self::Exit, Self::Error> {
        match children {
            None => Either::Left {
                future: InFrameExit::start(self, resource, cause, owed),
            },
            // Only where something was dropped inside; boxed, so that it takes no room elsewhere.
            Some(children) => Either::Right {
                future: Box::pin(async move {
                    // Dropped while it waits, the exit has not started: it is as if the body were dropped.
                    let mut armed = Armed(Some((self, resource, children, owed)));
                    armed.wait().await;
                    match armed.0.take() {
                        Some((manager, resource, _, owed)) => {
                            InFrameExit::start(manager, resource, cause, owed).await
                        }
                        None => unreachable!("it is taken once"),
                    }
                }),
            },
        }
    }

    fn abandon(
        self,
        resource: Self::Resource,
        children: Option<Arc<Children>>,
        owed: Option<Owed>,
    ) {
        let passed_on = children.clone().map(PassOn);
        let place = owed.as_ref().and_then(Owed::place);
        let block = Before { children, place };
        let abandon = || frame::abandoning(block, || self.0.abandon(resource));
        let abandoned = catch_unwind(AssertUnwindSafe(abandon));
        drop(passed_on);
        if let Err(payload) = abandoned {
            let incident = Incident::panic(payload);
            report_of::<Self>(Phase::Abandon, Cause::Dropped, incident);
        }
    }

    fn inspect(&mut self, resource: &mut Self::Resource, raised: Raised<'_>) {
        self.0.inspect(resource, raised);
    }

    fn interrupt(&self, resource: &Self::Resource) -> impl Future<Output = Self::Error> + use<M> {
        self.0.interrupt(resource)
    }

    fn around_poll(&self) -> impl Sized {
        self.0.around_poll()
    }

    fn lent(resource: &mut M::Resource) -> &mut M::Resource {
        resource
    }
}

/// A manager whose resource only holds what is lent.
pub trait Lends: Managed<Resource: DerefMut<Target: Sized>> {
    /// See [`Managed::place`].
    fn place(&self) -> Option<Place>;
    /// See [`Managed::may_interrupt`].
    fn may_interrupt(&self) -> bool;
}

/// The manager of a block that lends what is in the resource.
pub struct Lending<K>(pub(crate) K);

impl<K: Lends> Managed for Lending<K> {
    type Resource = K::Resource;
    type Lent = <K::Resource as Deref>::Target;
    type Error = K::Error;
    type Exit = K::Exit;

    fn name() -> &'static str {
        K::name()
    }

    fn enter(&mut self) -> impl Future<Output = Result<Self::Resource, Self::Error>> {
        self.0.enter()
    }

    fn exit(
        self,
        resource: Self::Resource,
        cause: Cause,
        children: Option<Arc<Children>>,
        owed: Option<Owed>,
    ) -> impl Exiting<Self::Exit, Self::Error> {
        self.0.exit(resource, cause, children, owed)
    }

    fn abandon(
        self,
        resource: Self::Resource,
        children: Option<Arc<Children>>,
        owed: Option<Owed>,
    ) {
        self.0.abandon(resource, children, owed);
    }

    fn inspect(&mut self, resource: &mut Self::Resource, raised: Raised<'_>) {
        self.0.inspect(resource, raised);
    }

    fn interrupt(&self, resource: &Self::Resource) -> impl Future<Output = Self::Error> + use<K> {
        self.0.interrupt(resource)
    }

    fn around_poll(&self) -> impl Sized {
        self.0.around_poll()
    }

    fn lent(resource: &mut Self::Resource) -> &mut Self::Lent {
        resource
    }

    fn place(&self) -> Option<Place> {
        Lends::place(&self.0)
    }

    fn may_interrupt(&self) -> bool {
        Lends::may_interrupt(&self.0)
    }
}

/// A manager whose exit waits for the children of its block.
#[allow(clippy::type_complexity)]
struct Armed<M: Managed>(Option<(M, M::Resource, Arc<Children>, Option<Owed>)>);

impl<M: Managed> Armed<M> {
    async fn wait(&mut self) {
        if let Some((_, _, children, _)) = &self.0 {
            children.wait().await;
        }
    }
}

impl<M: Managed> Drop for Armed<M> {
    fn drop(&mut self) {
        if let Some((manager, resource, children, owed)) = self.0.take() {
            manager.abandon(resource, Some(children), owed);
        }
    }
}

/// Children whose block goes away: the enclosing block waits for them.
struct PassOn(Arc<Children>);

impl Drop for PassOn {
    fn drop(&mut self) {
        self.0.pass_on();
    }
}

pin_project! {
    /// The exit of an [`InFrame`] manager.
    struct InFrameExit<M, F> {
        #[pin]
        exit: Started<F>,
        cause: Cause,
        owed: Option<Owed>,
        manager: PhantomData<fn() -> M>,
    }

    impl<M, F> PinnedDrop for InFrameExit<M, F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if !matches!(*this.exit, Started::Running { .. }) {
                return;
            }
            let (manager, cause) = (std::any::type_name::<M>(), *this.cause);
            let dropped = catch_unwind(AssertUnwindSafe(|| this.exit.set(Started::Done)));
            if let Err(payload) = dropped {
                let incident = Incident::panic(payload);
                report(Entry { manager, phase: Phase::Exit, cause, incident });
            }
            report(Entry { manager, phase: Phase::Exit, cause, incident: Incident::Unfinished });
        }
    }
}

pin_project! {
    /// What `exit` returned, or panicked with.
    #[project = StartedProjection]
    enum Started<F> {
        Running { #[pin] exit: F },
        Panicked { payload: Option<Box<Payload>> },
        Done,
    }
}

impl<M: ScopedAsyncContextManager> InFrameExit<M, ()> {
    fn start(
        manager: InFrame<M>,
        resource: M::Resource,
        cause: Cause,
        owed: Option<Owed>,
    ) -> InFrameExit<M, impl Future<Output = Result<M::Exit, M::Error>>> {
        let name = std::any::type_name::<M>();
        let exit = || limits::watch(name, cause, manager.0.exit(resource, cause));
        let exit = match catch_unwind(AssertUnwindSafe(exit)) {
            Ok(exit) => Started::Running { exit },
            Err(payload) => Started::Panicked {
                payload: Some(Box::new(payload)),
            },
        };
        InFrameExit {
            exit,
            cause,
            owed,
            manager: PhantomData,
        }
    }
}

impl<M, F: Future<Output = Result<V, E>>, V, E: Debug> Future for InFrameExit<M, F> {
    type Output = Exited<V, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let result = match this.exit.as_mut().project() {
            StartedProjection::Running { exit } => {
                match catch_unwind(AssertUnwindSafe(|| exit.poll(cx))) {
                    Ok(Poll::Pending) => return Poll::Pending,
                    Ok(Poll::Ready(result)) => Ok(result),
                    Err(payload) => Err(payload),
                }
            }
            StartedProjection::Panicked { payload } => match payload.take() {
                Some(payload) => Err(*payload),
                None => return Poll::Pending,
            },
            StartedProjection::Done => return Poll::Pending,
        };
        *this.owed = None;
        let dropped = catch_unwind(AssertUnwindSafe(|| this.exit.set(Started::Done)));
        let name = std::any::type_name::<M>();
        Poll::Ready(exited(name, *this.cause, result, dropped))
    }
}
