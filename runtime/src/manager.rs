//! One view of the two kinds of manager, for everything that does not depend on the kind.

#![allow(missing_docs, clippy::must_use_candidate)]

use std::any::Any;
use std::fmt::Debug;
use std::future::{Future, poll_fn};
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::cause::AsError;
use crate::limits::{self, Either};
use crate::managers::MovedOn;
use crate::nest::{
    self, Children, Level, Moment, Place, Wait, abandoning, detach_exit, drop_caught,
};
use crate::report::{Entry, Incident, Phase, report};
use crate::{
    AsyncContextManager, Cause, ExitVerdict, Interruption, Raised, ScopedAsyncContextManager,
    Verdict,
};

/// How an exit ended.
pub enum Exited<V, E> {
    Returned(V),
    Failed(E),
    Panicked(Payload),
}

impl<V: ExitVerdict, E> Exited<V, E> {
    /// The same with the verdict as the enum.
    pub(crate) fn verdict(self) -> Exited<Verdict, E> {
        match self {
            Exited::Returned(exit) => Exited::Returned(exit.verdict()),
            Exited::Failed(error) => Exited::Failed(error),
            Exited::Panicked(payload) => Exited::Panicked(payload),
        }
    }
}

/// What a panic carries.
pub(crate) type Payload = Box<dyn Any + Send>;

/// How an exit ended, and the entry among what is owed: it has the name for later reports.
pub(crate) type Finished<V, E> = (Exited<V, E>, Option<Level>);

/// The future of an exit.
pub trait Exiting<V, E> {
    /// Polls it, beside what is going to leave the block: only a stack looks at that.
    fn poll_exit(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        left: &mut dyn Left,
    ) -> Poll<Finished<V, E>>;

    /// Whose exit it is, if it is one of many.
    fn of(&self) -> Option<&'static str> {
        None
    }
}

impl<V, E, F: Future<Output = Finished<V, E>>> Exiting<V, E> for F {
    fn poll_exit(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        _: &mut dyn Left,
    ) -> Poll<Finished<V, E>> {
        self.poll(cx)
    }
}

/// Runs an exit outside of a block.
pub(crate) async fn exit_alone<V, E>(exit: impl Exiting<V, E>) -> Exited<V, E> {
    finish_exit(exit).await.0
}

/// Runs the exit of a manager before the end of its block, for who gives it up there.
pub(crate) async fn exit_early<M: AsyncContextManager>(
    manager: M,
    resource: M::Resource,
    cause: Cause,
    since: Moment,
) -> Result<(), M::Error> {
    let name = manager.name();
    let exit = |level| surviving_exit(manager, resource, cause, since.wait_since(), Some(level));
    match exit_in_body(name, cause, exit).await {
        Exited::Returned(_) => Ok(()),
        Exited::Failed(error) => Err(error),
        Exited::Panicked(payload) => resume_unwind(payload),
    }
}

/// Runs an exit in the middle of a body, and as at the end of a block, nothing goes on after it in a body that is
/// interrupted.
pub(crate) async fn exit_in_body<V, E: Debug, X: Exiting<V, E>>(
    name: &'static str,
    cause: Cause,
    exit: impl FnOnce(Level) -> X,
) -> Exited<V, E> {
    let mut unraised = Unraised {
        name,
        cause,
        exited: Some(exit_on_level(name, exit).await),
    };
    if !matches!(unraised.exited, Some(Exited::Panicked(_))) {
        nest::go_on().await;
    }
    match unraised.exited.take() {
        Some(exited) => exited,
        None => unreachable!("it is taken once"),
    }
}

/// Runs an exit in the middle of a body, on a level of its own: it is not interrupted.
pub(crate) async fn exit_on_level<V, E, X: Exiting<V, E>>(
    name: &'static str,
    exit: impl FnOnce(Level) -> X,
) -> Exited<V, E> {
    let level = Level::exiting_early(name);
    let place = level.place();
    let mut exit = pin!(exit(level));
    let (exited, level) = poll_fn(|cx| {
        let is_cancelled = nest::take_part(place, cx.waker());
        nest::exiting(place, is_cancelled, cx, |cx| {
            exit.as_mut()
                .poll_exit(cx, &mut NothingLeft { is_cancelled })
        })
    })
    .await;
    drop(level);
    exited
}

/// What an exit in a body ended with. Dropped in a body that is interrupted, it is reported.
struct Unraised<V, E: Debug> {
    name: &'static str,
    cause: Cause,
    exited: Option<Exited<V, E>>,
}

impl<V, E: Debug> Drop for Unraised<V, E> {
    fn drop(&mut self) {
        let incident = match self.exited.take() {
            Some(Exited::Failed(error)) => Incident::error(&error),
            Some(Exited::Panicked(payload)) => Incident::panic(payload),
            Some(Exited::Returned(_)) | None => return,
        };
        report_of(self.name, Phase::Exit, self.cause, incident);
    }
}

/// Runs an exit outside of a block, and keeps what it owes for later reports.
pub(crate) async fn finish_exit<V, E>(exit: impl Exiting<V, E>) -> Finished<V, E> {
    let mut exit = pin!(exit);
    poll_fn(|cx| exit.as_mut().poll_exit(cx, &mut NothingLeft::alone())).await
}

/// What left the body, as the exits of a stack see it.
pub trait Left {
    /// Shows the failure, if there is one.
    fn raised(&mut self, show: &mut dyn FnMut(Raised<'_>));
    /// How an error that takes its place is seen as a `dyn Error`.
    fn view(&self) -> Option<AsError>;
    /// The failure, for the report.
    fn failure(&mut self) -> Option<Incident>;
    /// It is suppressed, or something else leaves in its place. Fails with what panicked when it was dropped.
    fn give_up(&mut self) -> Result<(), Payload>;
    /// Drops what stands for the error of the interruption that ended the body, because the exit has the error itself.
    fn drop_interrupt(&mut self);
    /// Whether the block is interrupted from further out.
    fn is_cancelled(&self) -> bool;
    /// Whether it is known that it is not, whatever it was.
    fn is_not_cancelled(&self) -> bool {
        false
    }
}

/// For exits beside which nothing leaves: nobody waits for them, or they run in the middle of a body.
pub(crate) struct NothingLeft {
    pub(crate) is_cancelled: bool,
}

impl NothingLeft {
    pub(crate) const fn alone() -> Self {
        Self {
            is_cancelled: false,
        }
    }
}

impl Left for NothingLeft {
    fn raised(&mut self, _: &mut dyn FnMut(Raised<'_>)) {}
    fn view(&self) -> Option<AsError> {
        None
    }
    fn failure(&mut self) -> Option<Incident> {
        None
    }
    fn give_up(&mut self) -> Result<(), Payload> {
        Ok(())
    }
    fn drop_interrupt(&mut self) {}
    fn is_cancelled(&self) -> bool {
        self.is_cancelled
    }
}

/// A manager of either kind.
#[diagnostic::on_unimplemented(
    message = "the error of an exit stack must be `Debug + Send + 'static`",
    label = "the error of this stack is that of the enclosing function",
    note = "return an error that is `Send`, as `Box<dyn Error + Send + Sync>` or `anyhow::Error`; or write the error of the stack, as in `AsyncExitStack::<Error>::new()`"
)]
pub trait Managed: Sized {
    type Resource;
    /// What the user's pattern is matched against.
    type Lent;
    type Error: Debug + 'static;
    type Exit: ExitVerdict;

    /// What stands for the manager in reports.
    fn name(&self) -> &'static str;
    fn enter(&mut self) -> impl Future<Output = Result<Self::Resource, Self::Error>>;
    /// Waits for the children, then exits.
    fn exit(
        self,
        resource: Self::Resource,
        cause: Cause,
        children: Option<Arc<Children>>,
        owed: Option<Level>,
    ) -> impl Exiting<Self::Exit, Self::Error>;
    /// The block was dropped in its body.
    fn abandon(
        self,
        resource: Self::Resource,
        children: Option<Arc<Children>>,
        owed: Option<Level>,
    );
    fn inspect(&mut self, resource: &mut Self::Resource, raised: Raised<'_>);
    fn interrupt(&self, resource: &Self::Resource) -> impl Interruption<Self::Error> + use<Self>;
    fn around_poll(&self) -> impl Sized;
    fn lent(resource: &mut Self::Resource) -> &mut Self::Lent;

    /// Whether this is an error, and not only the sign that the manager goes on after its interruption.
    fn is_raised(error: &Self::Error) -> bool {
        !(error as &dyn Any).is::<MovedOn>()
    }

    /// While the blocks inside end after an interruption: what is further out in a stack may interrupt in its place.
    fn poll_interrupts(&self, _: &mut Context<'_>) {}

    /// In the poll after those: whoever is outside of the stack may have interrupted in the very same one.
    fn settle_interrupts(&self, _is_cancelled: bool) {}
}

/// The name of a manager, which is kept with what it owes, so that blocks need no room for it.
pub(crate) fn name_of(owed: Option<&Level>) -> &'static str {
    owed.map_or("", Level::name)
}

pub(crate) fn name_at(place: Option<Place>) -> &'static str {
    place.map_or("", Place::name)
}

/// Reports something that befell a manager.
pub(crate) fn report_of(manager: &'static str, phase: Phase, cause: Cause, incident: Incident) {
    report(Entry {
        manager,
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

    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn enter(&mut self) -> impl Future<Output = Result<Self::Resource, Self::Error>> {
        self.0.enter()
    }

    fn exit(
        self,
        resource: Self::Resource,
        cause: Cause,
        children: Option<Arc<Children>>,
        owed: Option<Level>,
    ) -> impl Exiting<Self::Exit, Self::Error> {
        let wait = children.map(|children| children.wait());
        surviving_exit(self.0, resource, cause, wait, owed)
    }

    fn abandon(
        self,
        resource: Self::Resource,
        children: Option<Arc<Children>>,
        owed: Option<Level>,
    ) {
        let (name, cause) = (name_of(owed.as_ref()), Cause::Dropped);
        let wait = children.map(|children| children.wait());
        let exit = exit(self.0, resource, cause, wait, move || name);
        detach_exit(name, cause, owed, finish(name, cause, exit));
    }

    fn inspect(&mut self, resource: &mut Self::Resource, raised: Raised<'_>) {
        self.0.inspect(resource, raised);
    }

    fn interrupt(&self, resource: &Self::Resource) -> impl Interruption<Self::Error> + use<M> {
        self.0.interrupt(resource)
    }

    fn around_poll(&self) -> impl Sized {
        self.0.around_poll()
    }

    fn lent(resource: &mut M::Resource) -> &mut M::Resource {
        resource
    }
}

/// The exit of a manager, boxed, so that it can go on elsewhere.
fn surviving_exit<M: AsyncContextManager>(
    manager: M,
    resource: M::Resource,
    cause: Cause,
    wait: Option<Wait>,
    owed: Option<Level>,
) -> impl Exiting<M::Exit, M::Error> + Send + use<M> {
    let place = owed.as_ref().map(Level::place);
    let exit = exit(manager, resource, cause, wait, move || name_at(place));
    SurvivingExit {
        exit: Some(Box::pin(exit)),
        cause,
        owed,
    }
}

async fn exit<M: AsyncContextManager>(
    manager: M,
    resource: M::Resource,
    cause: Cause,
    wait: Option<Wait>,
    name: impl FnOnce() -> &'static str,
) -> Result<M::Exit, M::Error> {
    if let Some(wait) = wait {
        wait.await;
    }
    limits::watch(name, cause, manager.exit(resource, cause)).await
}

/// Runs an exit that nobody waits for the result of.
async fn finish<V, E: Debug>(
    manager: &'static str,
    cause: Cause,
    exit: impl Future<Output = Result<V, E>>,
) {
    if let Err(error) = exit.await {
        report_of(manager, Phase::Exit, cause, Incident::error(&error));
    }
}

/// Runs the exit of a manager whose block is gone.
pub(crate) async fn abandoned<M: AsyncContextManager>(
    name: &'static str,
    manager: M,
    resource: M::Resource,
) {
    let cause = Cause::Dropped;
    finish(name, cause, exit(manager, resource, cause, None, || name)).await;
}

/// The exit of a [`Surviving`] manager. It is taken out of its place around each poll, so that one that panicked is not
/// polled again.
struct SurvivingExit<F, V, E>
where
    F: Future<Output = Result<V, E>> + Send + 'static,
    V: 'static,
    E: Debug + 'static,
{
    exit: Option<Pin<Box<F>>>,
    cause: Cause,
    owed: Option<Level>,
}

impl<F, V, E> Future for SurvivingExit<F, V, E>
where
    F: Future<Output = Result<V, E>> + Send + 'static,
    V: 'static,
    E: Debug + 'static,
{
    type Output = Finished<V, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(mut exit) = self.exit.take() else {
            return Poll::Pending;
        };
        let result = match catch_unwind(AssertUnwindSafe(|| exit.as_mut().poll(cx))) {
            Ok(Poll::Pending) => {
                self.exit = Some(exit);
                return Poll::Pending;
            }
            Ok(Poll::Ready(result)) => Ok(result),
            Err(payload) => Err(payload),
        };
        let dropped = drop_caught(exit);
        let owed = self.owed.take();
        Poll::Ready((exited(owed.as_ref(), self.cause, result, dropped), owed))
    }
}

/// How an exit ended, from what it returned and from how the drop of its future went.
fn exited<V, E: Debug>(
    owed: Option<&Level>,
    cause: Cause,
    result: Result<Result<V, E>, Payload>,
    dropped: Result<(), Payload>,
) -> Exited<V, E> {
    let lost = |incident| report_of(name_of(owed), Phase::Exit, cause, incident);
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
    V: 'static,
    E: Debug + 'static,
{
    fn drop(&mut self) {
        if let Some(exit) = self.exit.take() {
            let (owed, cause) = (self.owed.take(), self.cause);
            let name = name_of(owed.as_ref());
            detach_exit(name, cause, owed, finish(name, cause, exit));
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

    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn enter(&mut self) -> impl Future<Output = Result<Self::Resource, Self::Error>> {
        self.0.enter()
    }

    fn exit(
        self,
        resource: Self::Resource,
        cause: Cause,
        children: Option<Arc<Children>>,
        owed: Option<Level>,
    ) -> impl Exiting<Self::Exit, Self::Error> {
        let exit = |manager: Self, resource, cause| manager.0.exit(resource, cause);
        in_frame_exit(self, resource, cause, children, owed, exit)
    }

    fn abandon(
        self,
        resource: Self::Resource,
        children: Option<Arc<Children>>,
        owed: Option<Level>,
    ) {
        let passed_on = children.clone().map(PassOn);
        let place = owed.as_ref().map(Level::place);
        let abandon = || abandoning(children, place, || self.0.abandon(resource));
        let abandoned = catch_unwind(AssertUnwindSafe(abandon));
        drop(passed_on);
        if let Err(payload) = abandoned {
            let name = name_of(owed.as_ref());
            let incident = Incident::panic(payload);
            report_of(name, Phase::Abandon, Cause::Dropped, incident);
        }
    }

    fn inspect(&mut self, resource: &mut Self::Resource, raised: Raised<'_>) {
        self.0.inspect(resource, raised);
    }

    fn interrupt(&self, resource: &Self::Resource) -> impl Interruption<Self::Error> + use<M> {
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
pub trait Lends: Managed<Resource: DerefMut<Target: Sized>> {}

/// The manager of a block that lends what is in the resource.
pub struct Lending<K>(pub(crate) K);

impl<K: Lends> Managed for Lending<K> {
    type Resource = K::Resource;
    type Lent = <K::Resource as Deref>::Target;
    type Error = K::Error;
    type Exit = K::Exit;

    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn enter(&mut self) -> impl Future<Output = Result<Self::Resource, Self::Error>> {
        self.0.enter()
    }

    fn exit(
        self,
        resource: Self::Resource,
        cause: Cause,
        children: Option<Arc<Children>>,
        owed: Option<Level>,
    ) -> impl Exiting<Self::Exit, Self::Error> {
        self.0.exit(resource, cause, children, owed)
    }

    fn abandon(
        self,
        resource: Self::Resource,
        children: Option<Arc<Children>>,
        owed: Option<Level>,
    ) {
        self.0.abandon(resource, children, owed);
    }

    // A generator is told of the error by its yield.
    fn inspect(&mut self, _: &mut Self::Resource, _: Raised<'_>) {}

    fn interrupt(&self, resource: &Self::Resource) -> impl Interruption<Self::Error> + use<K> {
        self.0.interrupt(resource)
    }

    fn around_poll(&self) -> impl Sized {
        self.0.around_poll()
    }

    fn lent(resource: &mut Self::Resource) -> &mut Self::Lent {
        resource
    }
}

/// Waits for the children, then exits in the frame of the block.
pub(crate) fn in_frame_exit<K, R, V, E, F>(
    manager: K,
    resource: R,
    cause: Cause,
    children: Option<Arc<Children>>,
    owed: Option<Level>,
    exit: impl FnOnce(K, R, Cause) -> F,
) -> impl Exiting<V, E>
where
    K: Managed<Resource = R>,
    V: ExitVerdict,
    E: Debug,
    F: Future<Output = Result<V, E>>,
{
    if children.is_none() && !limits::are_set() {
        let exit = || exit(manager, resource, cause);
        let future = InFrameExit::start(cause, owed, exit);
        return Either::Left { future };
    }
    // Boxed, so that what few exits need takes no room in the others.
    let future = Box::pin(async move {
        // Dropped while it waits, the exit has not started: it is as if the body were dropped.
        let mut armed = Armed(Some((manager, resource, children, owed)));
        armed.wait().await;
        let Some((manager, resource, _, owed)) = armed.0.take() else {
            unreachable!("it is taken once")
        };
        let place = owed.as_ref().map(Level::place);
        let name = move || name_at(place);
        let exit = || limits::watch(name, cause, exit(manager, resource, cause));
        InFrameExit::start(cause, owed, exit).await
    });
    Either::Right { future }
}

/// A manager whose exit waits for the children of its block.
#[allow(clippy::type_complexity)]
struct Armed<K: Managed<Resource = R>, R>(Option<(K, R, Option<Arc<Children>>, Option<Level>)>);

impl<K: Managed<Resource = R>, R> Armed<K, R> {
    fn wait(&self) -> impl Future<Output = ()> + use<K, R> {
        let children = self
            .0
            .as_ref()
            .and_then(|(_, _, children, _)| children.clone());
        async move {
            if let Some(children) = children {
                children.wait().await;
            }
        }
    }
}

impl<K: Managed<Resource = R>, R> Drop for Armed<K, R> {
    fn drop(&mut self) {
        if let Some((manager, resource, children, owed)) = self.0.take() {
            manager.abandon(resource, children, owed);
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
    struct InFrameExit<F> {
        #[pin]
        exit: Started<F>,
        cause: Cause,
        owed: Option<Level>,
    }

    impl<F> PinnedDrop for InFrameExit<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if !matches!(*this.exit, Started::Running { .. }) {
                return;
            }
            let (name, cause) = (name_of(this.owed.as_ref()), *this.cause);
            let dropped = catch_unwind(AssertUnwindSafe(|| this.exit.set(Started::Done)));
            if let Err(payload) = dropped {
                report_of(name, Phase::Exit, cause, Incident::panic(payload));
            }
            report_of(name, Phase::Exit, cause, Incident::Unfinished);
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

impl InFrameExit<()> {
    fn start<F: Future>(
        cause: Cause,
        owed: Option<Level>,
        exit: impl FnOnce() -> F,
    ) -> InFrameExit<F> {
        let exit = match catch_unwind(AssertUnwindSafe(exit)) {
            Ok(exit) => Started::Running { exit },
            Err(payload) => Started::Panicked {
                payload: Some(Box::new(payload)),
            },
        };
        InFrameExit { exit, cause, owed }
    }
}

impl<F, V, E> Future for InFrameExit<F>
where
    F: Future<Output = Result<V, E>>,
    E: Debug,
{
    type Output = Finished<V, E>;

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
        let dropped = catch_unwind(AssertUnwindSafe(|| this.exit.set(Started::Done)));
        let owed = this.owed.take();
        Poll::Ready((exited(owed.as_ref(), *this.cause, result, dropped), owed))
    }
}
