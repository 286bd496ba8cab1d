//! One level of a block while it is open: manager and resource, and the driver that polls the body.

#![allow(missing_docs, clippy::missing_errors_doc, clippy::must_use_candidate)]

use std::fmt::Debug;
use std::future::{Future, poll_fn};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::executor::poll_unconstrained;
use crate::interruption::Interruption;
use crate::manager::{Managed, Payload, report_of};
use crate::nest::{self, AtYield, Level, Member, Progress, drop_caught};
use crate::report::{Incident, Phase};
use crate::{Cause, Raised};

/// A manager, its resource once it is entered, and the level of its block. Dropped while it is armed, it abandons.
///
/// The resource is a parameter of its own, and so are the errors below: a projection such as `K::Resource` in what is held
/// across an await would have to be normalized for every lifetime, and `Send` be lost to it (rule TYP-1).
pub struct Scope<K: Managed<Resource = R>, R> {
    manager: Option<K>,
    resource: Option<R>,
    level: Option<Level>,
}

impl<K: Managed<Resource = R>, R> Scope<K, R> {
    pub(crate) fn new(manager: K) -> Self {
        Self {
            manager: Some(manager),
            resource: None,
            level: None,
        }
    }

    /// Awaits the enter, and arms the exit in the very poll in which it succeeds (rule CAN-8).
    pub(crate) fn enter_by<'a, E, F>(
        &'a mut self,
        enter: impl FnOnce(&'a mut K) -> F,
    ) -> impl Future<Output = Result<(), E>>
    where
        F: Future<Output = Result<R, E>>,
    {
        let Self {
            manager,
            resource,
            level,
        } = self;
        enter_and_arm(manager, resource, level, enter)
    }

    /// Lends the resource to the body, and the rest to the driver.
    pub(crate) fn lend_by<I: Interruption<K::Error>>(
        &mut self,
        interrupt: impl FnOnce(&K, &R) -> I,
    ) -> (&mut K::Lent, Parts<'_, K>, Interrupt<I>) {
        let Self {
            manager: Some(manager),
            resource: Some(resource),
            level: Some(level),
        } = self
        else {
            unreachable!("a block is entered before its body runs")
        };
        // One that never fires is dropped in here, too: all of it is the user's code.
        let made = catch_unwind(AssertUnwindSafe(|| {
            Some(interrupt(manager, resource)).filter(|interrupt| !interrupt.is_never())
        }));
        let interrupt = match made {
            Ok(None) => Interrupt::Never,
            Ok(Some(interrupt)) => Interrupt::MayFire { interrupt },
            Err(payload) => Interrupt::Panicked {
                payload: Some(Box::new(payload)),
            },
        };
        (K::lent(resource), Parts { manager, level }, interrupt)
    }

    pub(crate) fn name(&self) -> &'static str {
        self.level.as_ref().map_or("", Level::name)
    }

    pub(crate) fn manager_and_resource(&mut self) -> Option<(&mut K, &mut R)> {
        self.manager.as_mut().zip(self.resource.as_mut())
    }

    /// How a block ended that a generator in the body gave its resource to, if it did not complete.
    pub(crate) fn marked(&self) -> Option<Cause> {
        self.level.as_ref().and_then(Level::marked)
    }

    /// Shows an error to the manager, if it is entered.
    pub(crate) fn inspect(&mut self, raised: Raised<'_>) {
        if let Some((manager, resource)) = self.manager_and_resource() {
            manager.inspect(resource, raised);
        }
    }

    /// Takes the manager and its resource out: their exit is owed by the caller from now on.
    fn into_entered(mut self) -> (K, R) {
        match self.manager.take().zip(self.resource.take()) {
            Some(entered) => entered,
            None => unreachable!("it is entered before it is taken apart"),
        }
    }

    /// The same, where they become part of a manager that is being entered; and the level by which they are listed.
    pub(crate) fn into_part(mut self) -> (K, R, Option<Level>) {
        let level = self.level.take();
        if let Some(level) = &level {
            level.join();
        }
        let (manager, resource) = self.into_entered();
        (manager, resource, level)
    }

    /// What the exit needs: manager, resource, and the level.
    pub(crate) fn into_exit(mut self) -> (K, R, Level) {
        let Some(level) = self.level.take() else {
            unreachable!("it is entered before it is taken apart")
        };
        let (manager, resource) = self.into_entered();
        level.begin_exit();
        (manager, resource, level)
    }
}

async fn enter_and_arm<'a, K, R, E, F>(
    manager: &'a mut Option<K>,
    resource: &mut Option<R>,
    place: &mut Option<Level>,
    enter: impl FnOnce(&'a mut K) -> F,
) -> Result<(), E>
where
    K: Managed<Resource = R>,
    F: Future<Output = Result<R, E>>,
{
    // It is there until the scope is taken apart, and that consumes it.
    let Some(manager) = manager else {
        return Ok(());
    };
    // Nothing is opened any more in a body that is interrupted (rule CAN-6): it would keep the body from ending.
    if nest::is_interrupted() {
        nest::go_on().await;
    }
    let name = manager.name();
    let mut entering = None;
    let mut enter = pin!(enter(manager));
    let entered = poll_fn(|cx| {
        let level = entering.get_or_insert_with(|| Level::entering(name, cx));
        let _inside = level.enter(Some(cx));
        enter.as_mut().poll(cx)
    });
    *resource = Some(entered.await?);
    let Some(level) = entering else {
        unreachable!("it is there from the first poll on")
    };
    level.arm();
    *place = Some(level);
    Ok(())
}

impl<K: Managed<Resource = R>, R> Drop for Scope<K, R> {
    fn drop(&mut self) {
        if let (Some(manager), Some(resource), Some(level)) =
            (self.manager.take(), self.resource.take(), self.level.take())
        {
            manager.abandon(resource, level.take_children(), Some(level));
        }
    }
}

/// What of a scope the driver uses while the body has the resource.
pub struct Parts<'a, M> {
    manager: &'a mut M,
    level: &'a Level,
}

pin_project! {
    /// What [`interrupt`](crate::AsyncContextManager::interrupt) returned, or panicked with.
    #[project = InterruptProjection]
    pub enum Interrupt<I> {
        MayFire { #[pin] interrupt: I },
        Never,
        // Boxed once more: it is there in every block, and never used.
        Panicked { payload: Option<Box<Payload>> },
    }
}

impl<I> Interrupt<I> {
    /// Runs the body in what is around it, if that is more than the block.
    fn poll_inside<E>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        body: &mut dyn FnMut(&mut Context<'_>),
    ) where
        I: Interruption<E>,
    {
        match self.project() {
            InterruptProjection::MayFire { interrupt } => interrupt.poll_inside(cx, body),
            _ => body(cx),
        }
    }

    fn poll<E>(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<E, Payload>>
    where
        I: Interruption<E>,
    {
        match self.project() {
            InterruptProjection::MayFire { mut interrupt } => {
                let poll = |cx: &mut Context<'_>| interrupt.as_mut().poll_interruption(cx);
                match catch_unwind(AssertUnwindSafe(|| poll_unconstrained(cx, poll))) {
                    Ok(polled) => polled.map(Ok),
                    Err(payload) => Poll::Ready(Err(payload)),
                }
            }
            InterruptProjection::Never | InterruptProjection::Panicked { .. } => Poll::Pending,
        }
    }

    /// What it panicked with before the body ran.
    fn take_panic(self: Pin<&mut Self>) -> Option<Box<Payload>> {
        match self.project() {
            InterruptProjection::Panicked { payload } => payload.take(),
            _ => None,
        }
    }
}

/// Says that the body came to its end, and which: the body then waits to be dropped.
pub struct Ended(AtomicU32);

impl Ended {
    const RUNNING: u32 = 0;
    const VALUE: u32 = 1;
    const JUMP: u32 = 2;

    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self(AtomicU32::new(Self::RUNNING))
    }

    pub(crate) fn with_value(&self) {
        self.0.store(Self::VALUE, Ordering::Relaxed);
    }

    pub(crate) fn with_jump(&self, jump: u32) {
        self.0.store(Self::JUMP + jump, Ordering::Relaxed);
    }

    /// The jump, if it ended with one.
    pub(crate) fn jump(&self) -> Option<u32> {
        self.0.load(Ordering::Relaxed).checked_sub(Self::JUMP)
    }

    fn is_running(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Self::RUNNING
    }
}

/// How the driver stopped, and what panicked while it then dropped the body.
pub struct Stopped<R, E> {
    pub(crate) how: How<R, E>,
    pub(crate) late: Option<Payload>,
}

impl<R, E> Stopped<R, E> {
    /// The body was polled with a guard, and is dropped; now the interrupt is.
    fn after<M: Managed, I>(
        parts: &Parts<'_, M>,
        how: How<R, E>,
        [guard, body]: [Option<Payload>; 2],
        interrupt: Pin<&mut Interrupt<I>>,
    ) -> Self {
        let name = || parts.level.name();
        let interrupt = drop_interrupt(interrupt);
        let panics = [
            (Phase::Body, guard),
            (Phase::Body, body),
            (Phase::Interrupt, interrupt),
        ];
        let late = first_of(name, panics);
        Self { how, late }
    }
}

/// The first of these panics; the later ones are reported (rule PAN-2).
fn first_of<const N: usize>(
    manager: impl Fn() -> &'static str,
    panics: [(Phase, Option<Payload>); N],
) -> Option<Payload> {
    let mut panics = panics
        .into_iter()
        .filter_map(|(phase, payload)| Some((phase, payload?)));
    let (_, first) = panics.next()?;
    for (phase, later) in panics {
        report_of(manager(), phase, Cause::Panicked, Incident::panic(later));
    }
    Some(first)
}

fn drop_interrupt<I>(mut interrupt: Pin<&mut Interrupt<I>>) -> Option<Payload> {
    catch_unwind(AssertUnwindSafe(|| interrupt.set(Interrupt::Never))).err()
}

impl<R, E> How<R, E> {
    fn left(self) -> Option<R> {
        match self {
            How::Left(left) => Some(left),
            _ => None,
        }
    }
}

pub(crate) enum How<R, E> {
    /// The body came to its end, and left a value or a jump in the slot.
    Ended,
    /// `return` or `?`.
    Left(R),
    /// The body may have come to its end all the same, in a later poll.
    Interrupted(Fired<E>, Option<R>),
    /// A manager further out interrupted.
    Cancelled,
    Panicked(Payload),
}

/// Polls the body, with the block's level as the current one and the manager's guard held.
pub fn drive<'a, K, E, I, F>(
    parts: Parts<'a, K>,
    interrupt: Interrupt<I>,
    ended: &'a Ended,
    body: F,
) -> Drive<'a, K, E, I, F>
where
    K: Managed<Error = E>,
    E: Debug,
    I: Interruption<E>,
    F: Future,
{
    Drive {
        parts,
        ended,
        interrupt,
        fired: None,
        is_settled: false,
        body: Some(body),
    }
}

/// What a manager interrupts its body with.
pub(crate) enum Fired<E> {
    Error(E),
    /// Its `interrupt` panicked, or what it holds around the body did: that is raised when those inside have ended.
    Panic(Box<Payload>),
}

pin_project! {
    /// The future of [`drive`].
    #[project = DriveProjection]
    pub struct Drive<'a, K: Managed<Error = E>, E: Debug, I, F> {
        parts: Parts<'a, K>,
        ended: &'a Ended,
        #[pin]
        interrupt: Interrupt<I>,
        fired: Option<Fired<E>>,
        // Whether it is this manager that interrupts: in the poll in which it fires, one further out may as well.
        is_settled: bool,
        #[pin]
        body: Option<F>,
    }

    impl<K: Managed<Error = E>, E: Debug, I, F> PinnedDrop for Drive<'_, K, E, I, F> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            let body = drop_body(this.parts, this.body);
            let interrupt = drop_interrupt(this.interrupt);
            let name = this.parts.level.name();
            let is_cancelled = this.parts.level.is_cancelled();
            this.parts.manager.settle_interrupts(is_cancelled);
            // Nobody is left to raise it to.
            let fired = match this.fired.take() {
                Some(Fired::Panic(payload)) => Some(Incident::panic(*payload)),
                // One further out has interrupted in the very same poll.
                Some(Fired::Error(_)) if !*this.is_settled && is_cancelled => None,
                Some(Fired::Error(error)) if K::is_raised(&error) => Some(Incident::error(&error)),
                _ => None,
            };
            if let Some(incident) = fired {
                report_of(name, Phase::Interrupt, Cause::Dropped, incident);
            }
            let panics = [(Phase::Body, body), (Phase::Interrupt, interrupt)];
            for (phase, payload) in panics {
                if let Some(payload) = payload {
                    report_of(name, phase, Cause::Dropped, Incident::panic(payload));
                }
            }
        }
    }
}

impl<K, E, I, F> Future for Drive<'_, K, E, I, F>
where
    K: Managed<Error = E>,
    E: Debug,
    I: Interruption<E>,
    F: Future,
{
    type Output = Stopped<F::Output, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Parts { manager, level } = &mut *this.parts;
        if !matches!(*this.interrupt, Interrupt::Never) || level.may_be_member() {
            return poll_interruptible(this, cx);
        }
        let Some(body) = this.body.as_mut().as_pin_mut() else {
            return Poll::Pending;
        };
        let inside = level.enter(Some(cx));
        // It may have come under an interruption with that.
        if level.may_be_member() {
            drop(inside);
            return poll_interruptible(this, cx);
        }
        let mut guard = None;
        let Some(how) = poll_body(&**manager, body, this.ended, cx, &mut guard) else {
            drop(inside);
            level.waits();
            return Poll::Pending;
        };
        let late = [guard, drop_polled(&**manager, this.body)];
        drop(inside);
        Poll::Ready(Stopped::after(this.parts, how, late, this.interrupt))
    }
}

impl<K: Managed<Error = E>, E: Debug, I: Interruption<E>, F: Future>
    DriveProjection<'_, '_, K, E, I, F>
{
    /// The body is interrupted from now on: by this manager, unless one further out does so in the very same poll, which is
    /// known in the next.
    fn fire(&mut self, member: &Member, with: Fired<E>, cx: &Context<'_>) {
        *self.fired = Some(with);
        if AtYield::now() == AtYield::Lends {
            self.parts.level.runs_out(AtYield::Lends);
        }
        member.fire();
        cx.waker().wake_by_ref();
    }

    /// In the polls after that.
    fn settle(&mut self, member: &Member) {
        let is_cancelled = member.is_cancelled();
        self.parts.manager.settle_interrupts(is_cancelled);
        let is_first = self.fired.is_some() && !mem::replace(self.is_settled, true);
        if is_first && is_cancelled && matches!(self.fired, Some(Fired::Error(_))) {
            // A manager further out has interrupted in the very same poll.
            *self.fired = None;
        }
    }

    /// Polls the body in its level, in what the manager has around it.
    fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
        guard: &mut Option<Payload>,
    ) -> Option<How<F::Output, E>> {
        let Self {
            parts: Parts { manager, level },
            ended,
            interrupt,
            fired,
            body,
            ..
        } = self;
        let has_panicked = matches!(fired, Some(Fired::Panic(_)));
        let mut polled = None;
        let mut poll = |cx: &mut Context<'_>| {
            let _inside = level.enter(Some(cx));
            if let Some(body) = body.as_mut().as_pin_mut() {
                polled = if has_panicked {
                    how(catch_unwind(AssertUnwindSafe(|| body.poll(cx))), ended)
                } else {
                    poll_body(&**manager, body, ended, cx, guard)
                };
            }
        };
        let inside = || interrupt.as_mut().poll_inside(cx, &mut poll);
        let panicked = catch_unwind(AssertUnwindSafe(inside)).err();
        polled.or(panicked.map(How::Panicked))
    }

    /// The body has panicked, which takes the place of the interruption.
    fn overtake(&mut self, payload: Payload) -> Payload {
        let name = self.parts.level.name();
        let (first, incident) = match self.fired.take() {
            None => return payload,
            Some(Fired::Error(error)) if !K::is_raised(&error) => return payload,
            Some(Fired::Error(error)) => (payload, (Phase::Interrupt, Incident::error(&error))),
            Some(Fired::Panic(first)) => (*first, (Phase::Body, Incident::panic(payload))),
        };
        report_of(name, incident.0, Cause::Cancelled, incident.1);
        first
    }
}

/// Polls a body that may be interrupted, or is.
#[inline(never)]
fn poll_interruptible<K, E, I, F>(
    mut this: DriveProjection<'_, '_, K, E, I, F>,
    cx: &mut Context<'_>,
) -> Poll<Stopped<F::Output, E>>
where
    K: Managed<Error = E>,
    E: Debug,
    I: Interruption<E>,
    F: Future,
{
    // Not by a shared reference: what it has borrowed of itself is in use.
    if this.body.as_mut().as_pin_mut().is_none() {
        return Poll::Pending;
    }
    if let Some(payload) = this.interrupt.as_mut().take_panic() {
        let late = drop_body(this.parts, this.body);
        let how = How::Panicked(*payload);
        return Poll::Ready(Stopped { how, late });
    }
    // What is lent by a generator must not be dropped with the body, which then ends by itself.
    let at_yield = AtYield::now();
    let is_lent = at_yield == AtYield::Lends;
    let member = {
        let level = this.parts.level;
        // Where it is now, before anything of it runs.
        drop(level.enter(Some(cx)));
        let enclosing = level.node();
        let may_fire = !matches!(*this.interrupt, Interrupt::Never);
        if !may_fire && enclosing.is_none() && level.member().is_none() {
            None
        } else {
            let member = level.become_member();
            member.polled(enclosing, cx.waker());
            Some(member)
        }
    };
    let is_told = member.as_ref().is_some_and(Member::is_interrupted);
    let is_at_yield = at_yield != AtYield::Not;
    if is_told && is_at_yield {
        this.parts.level.runs_out(at_yield);
    }
    let must_be_polled = is_at_yield || this.parts.level.is_to_run_out();
    let mut guard = None;
    let (polled, progress) = match &member {
        Some(member) if is_told && !must_be_polled && member.is_alone() => (None, Progress::Alone),
        Some(member) if is_told => {
            let poll = |cx: &mut Context<'_>| this.poll_body(cx, &mut guard);
            match member.watch(cx, poll) {
                Ok(how) => (Some(how), Progress::Waiting),
                Err(progress) => (None, progress),
            }
        }
        _ => (this.poll_body(cx, &mut guard), Progress::Waiting),
    };
    if polled.is_none() {
        this.parts.level.waits();
    }
    let how = match member {
        None => match polled {
            Some(how) => how,
            None => return Poll::Pending,
        },
        Some(member) => {
            if is_told {
                this.settle(&member);
            }
            match polled {
                Some(How::Panicked(payload)) if is_lent => {
                    this.fire(&member, Fired::Panic(Box::new(payload)), cx);
                    return Poll::Pending;
                }
                Some(How::Panicked(payload)) => How::Panicked(this.overtake(payload)),
                // What was open inside kept the body from being dropped.
                Some(how) => match this.fired.take() {
                    Some(fired) => How::Interrupted(fired, how.left()),
                    None => how,
                },
                None if is_told => {
                    let is_to_go_on = is_at_yield || this.parts.level.is_to_run_out();
                    if is_to_go_on || progress == Progress::Waiting {
                        this.parts.manager.poll_interrupts(cx);
                        return Poll::Pending;
                    }
                    match this.fired.take() {
                        Some(fired) => How::Interrupted(fired, None),
                        None => How::Cancelled,
                    }
                }
                None => {
                    let fired = match ready!(this.interrupt.as_mut().poll(cx)) {
                        Ok(error) => Fired::Error(error),
                        Err(payload) => Fired::Panic(Box::new(payload)),
                    };
                    this.fire(&member, fired, cx);
                    return Poll::Pending;
                }
            }
        }
    };
    let late = [guard, drop_body(this.parts, this.body)];
    Poll::Ready(Stopped::after(this.parts, how, late, this.interrupt))
}
/// Polls the body with the guard. Returns how it stopped, if it did, beside what the drop of the guard panicked with.
fn poll_body<M: Managed, F: Future>(
    manager: &M,
    body: Pin<&mut F>,
    ended: &Ended,
    cx: &mut Context<'_>,
    guard: &mut Option<Payload>,
) -> Option<How<F::Output, M::Error>> {
    let (polled, late) = guarded(manager, || body.poll(cx));
    *guard = late;
    how(polled, ended).or_else(|| guard.take().map(How::Panicked))
}

fn how<R, E>(polled: Result<Poll<R>, Payload>, ended: &Ended) -> Option<How<R, E>> {
    match polled {
        Ok(Poll::Ready(left)) => Some(How::Left(left)),
        Ok(Poll::Pending) if !ended.is_running() => Some(How::Ended),
        Ok(Poll::Pending) => None,
        Err(payload) => Some(How::Panicked(payload)),
    }
}

/// Runs a part of the body with the manager's guard, and drops the guard apart from it: a panic during the unwinding of
/// another one would end the process (rule PAN-3).
fn guarded<M: Managed, T>(
    manager: &M,
    run: impl FnOnce() -> T,
) -> (Result<T, Payload>, Option<Payload>) {
    fn hold<G, T>(guard: G, run: impl FnOnce() -> T) -> (Result<T, Payload>, Option<Payload>) {
        if !mem::needs_drop::<G>() {
            return (Ok(run()), None);
        }
        let ran = catch_unwind(AssertUnwindSafe(run));
        (ran, drop_caught(guard).err())
    }
    catch_unwind(AssertUnwindSafe(|| hold(manager.around_poll(), run)))
        .unwrap_or_else(|payload| (Err(payload), None))
}

/// Drops the body as it was polled: in its level, and with the guard. Returns what panicked.
fn drop_body<M: Managed, F>(
    parts: &mut Parts<'_, M>,
    body: Pin<&mut Option<F>>,
) -> Option<Payload> {
    if body.is_none() {
        return None;
    }
    let Parts { manager, level } = parts;
    let _inside = level.enter(None);
    drop_polled(&**manager, body)
}

/// Drops the body in the level that is current.
fn drop_polled<M: Managed, F>(manager: &M, mut body: Pin<&mut Option<F>>) -> Option<Payload> {
    let (dropped, guard) = guarded(manager, || body.set(None));
    // It is still there when the guard could not be made.
    let rest = catch_unwind(AssertUnwindSafe(|| body.set(None)));
    let panics = [dropped.err(), guard, rest.err()];
    first_of(|| manager.name(), panics.map(|panic| (Phase::Body, panic)))
}
