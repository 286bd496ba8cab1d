//! One level of a block while it is open: manager, resource and frame, and the driver that polls the body.

#![allow(missing_docs, clippy::missing_errors_doc, clippy::must_use_candidate)]

use std::future::{Future, poll_fn};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::detach::drop_caught;
use crate::executor::poll_unconstrained;
use crate::frame::{self, Frame};
use crate::interrupt::{Member, Unseen};
use crate::interruption::Interruption;
use crate::manager::{Managed, Payload, name_of, report_of};
use crate::report::{Incident, Phase};
use crate::{Cause, Raised};

/// A manager, its resource once it is entered, and the frame of its block. Dropped while it is armed, it abandons.
///
/// The resource is a parameter of its own, and so are the errors below: a projection such as `K::Resource` in what is held
/// across an await would have to be normalized for every lifetime, and `Send` be lost to it (rule TYP-1).
pub struct Scope<K: Managed<Resource = R>, R> {
    manager: Option<K>,
    resource: Option<R>,
    frame: Frame,
}

impl<K: Managed<Resource = R>, R> Scope<K, R> {
    pub(crate) fn new(manager: K) -> Self {
        Self {
            manager: Some(manager),
            resource: None,
            frame: Frame::default(),
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
            frame,
        } = self;
        enter_and_arm(manager, resource, frame, enter)
    }

    /// Lends the resource to the body, and the rest to the driver.
    pub(crate) fn lend_by<I: Interruption<K::Error>>(
        &mut self,
        interrupt: impl FnOnce(&K, &R) -> I,
    ) -> (&mut K::Lent, Parts<'_, K>, Interrupt<I>) {
        let Self {
            manager: Some(manager),
            resource: Some(resource),
            frame,
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
        (K::lent(resource), Parts { manager, frame }, interrupt)
    }

    pub(crate) fn name(&self) -> &'static str {
        name_of(self.frame.owed())
    }

    pub(crate) fn manager_and_resource(&mut self) -> Option<(&mut K, &mut R)> {
        self.manager.as_mut().zip(self.resource.as_mut())
    }

    /// How a block ended that a generator in the body gave its resource to, if it did not complete.
    pub(crate) fn marked(&self) -> Option<Cause> {
        self.frame.marked()
    }

    /// Shows an error to the manager, if it is entered.
    pub(crate) fn inspect(&mut self, raised: Raised<'_>) {
        if let Some((manager, resource)) = self.manager_and_resource() {
            manager.inspect(resource, raised);
        }
    }

    /// Takes the manager and its resource out: their exit is owed by the caller from now on.
    pub(crate) fn into_entered(mut self) -> (K, R) {
        match self.manager.take().zip(self.resource.take()) {
            Some(entered) => entered,
            None => unreachable!("it is entered before it is taken apart"),
        }
    }

    /// What the exit needs: manager and resource, what was detached inside of the block, and what the block owes.
    pub(crate) fn into_exit(mut self) -> (K, R, Frame) {
        let frame = mem::take(&mut self.frame);
        let (manager, resource) = self.into_entered();
        (manager, resource, frame)
    }
}

async fn enter_and_arm<'a, K, R, E, F>(
    manager: &'a mut Option<K>,
    resource: &mut Option<R>,
    frame: &mut Frame,
    enter: impl FnOnce(&'a mut K) -> F,
) -> Result<(), E>
where
    K: Managed<Resource = R>,
    F: Future<Output = Result<R, E>>,
{
    // It is there until the scope is taken apart, and that consumes it.
    if let Some(manager) = manager {
        // Nothing is opened any more in a body that is interrupted (rule CAN-6): it would keep the body from ending.
        poll_fn(|_| {
            if frame::is_interrupted() {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
        let name = manager.name();
        let entered = enter(manager).await?;
        let place = K::place_of(&entered);
        *resource = Some(entered);
        frame.arm(name, place);
    }
    Ok(())
}

impl<K: Managed<Resource = R>, R> Drop for Scope<K, R> {
    fn drop(&mut self) {
        if let (Some(manager), Some(resource)) = (self.manager.take(), self.resource.take()) {
            let (children, owed) = (self.frame.take_children(), self.frame.take_owed());
            manager.abandon(resource, children, owed);
        }
    }
}

/// What of a scope the driver uses while the body has the resource.
pub struct Parts<'a, M> {
    manager: &'a mut M,
    frame: &'a mut Frame,
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
    fn take_panic(self: Pin<&mut Self>) -> Option<Payload> {
        match self.project() {
            InterruptProjection::Panicked { payload } => payload.take().map(|payload| *payload),
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
        let name = || name_of(parts.frame.owed());
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
    Interrupted(E, Option<R>),
    /// A manager further out interrupted.
    Cancelled,
    Panicked(Payload),
}

/// Polls the body, with the block's frame as the current one and the manager's guard held.
pub fn drive<'a, K, E, I, F>(
    parts: Parts<'a, K>,
    interrupt: Interrupt<I>,
    ended: &'a Ended,
    body: F,
) -> Drive<'a, K, E, I, F>
where
    K: Managed<Error = E>,
    I: Interruption<E>,
    F: Future,
{
    Drive {
        parts,
        ended,
        interrupt,
        fired: None,
        is_settled: false,
        waits: false,
        body: Some(body),
    }
}

pin_project! {
    /// The future of [`drive`].
    pub struct Drive<'a, K: Managed<Error = E>, E, I, F> {
        parts: Parts<'a, K>,
        ended: &'a Ended,
        #[pin]
        interrupt: Interrupt<I>,
        fired: Option<E>,
        // Whether it is this manager that interrupts: in the poll in which it fires, one further out may as well.
        is_settled: bool,
        waits: bool,
        #[pin]
        body: Option<F>,
    }

    impl<K: Managed<Error = E>, E, I, F> PinnedDrop for Drive<'_, K, E, I, F> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            let body = drop_body(this.parts, this.body);
            let interrupt = drop_interrupt(this.interrupt);
            for (phase, payload) in [(Phase::Body, body), (Phase::Interrupt, interrupt)] {
                if let Some(payload) = payload {
                    let name = name_of(this.parts.frame.owed());
                    report_of(name, phase, Cause::Dropped, Incident::panic(payload));
                }
            }
        }
    }
}

impl<K, E, I, F> Future for Drive<'_, K, E, I, F>
where
    K: Managed<Error = E>,
    I: Interruption<E>,
    F: Future,
{
    type Output = Stopped<F::Output, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(body) = this.body.as_mut().as_pin_mut() else {
            return Poll::Pending;
        };
        if let Some(payload) = this.interrupt.as_mut().take_panic() {
            let late = drop_body(this.parts, this.body);
            let how = How::Panicked(payload);
            return Poll::Ready(Stopped { how, late });
        }
        let Parts { manager, frame } = &mut *this.parts;
        let may_fire = !I::NEVER && !matches!(*this.interrupt, Interrupt::Never);
        let is_member = may_fire || frame.member.is_some();
        let entered = frame.follow(|| manager.place());
        let enclosing = entered.enclosing_node();
        let mut guard = None;
        let how = if is_member || enclosing.is_some() {
            drop(entered);
            let member = frame.member.get_or_insert_with(Member::new);
            member.polled(enclosing, cx.waker());
            let told = member.is_fired() || member.is_cancelled();
            let unseen = if told {
                member.wake_unseen()
            } else {
                Unseen::None
            };
            let polled = if told && member.is_alone() {
                None
            } else {
                let _inside = frame.enter();
                poll_body(&**manager, body, this.ended, cx, &mut guard)
            };
            if polled.is_none() {
                note_wait(this.waits, frame);
            }
            let Some(member) = &frame.member else {
                return Poll::Pending;
            };
            if told {
                manager.settle_interrupts(member.is_cancelled());
            }
            if this.fired.is_some() && !mem::replace(this.is_settled, true) && member.is_cancelled()
            {
                // A manager further out has interrupted in the very same poll.
                *this.fired = None;
            }
            match polled {
                Some(How::Panicked(payload)) => How::Panicked(payload),
                // What was open inside kept the body from being dropped.
                Some(how) => match this.fired.take() {
                    Some(error) => How::Interrupted(error, how.left()),
                    None => how,
                },
                None if told => {
                    if matches!(unseen, Unseen::LookAgain) {
                        member.will_look_again();
                        cx.waker().wake_by_ref();
                    }
                    if !member.is_alone() && !matches!(unseen, Unseen::GivenUp) {
                        manager.poll_interrupts(cx);
                        return Poll::Pending;
                    }
                    match this.fired.take() {
                        Some(error) => How::Interrupted(error, None),
                        None => How::Cancelled,
                    }
                }
                None => match ready!(this.interrupt.as_mut().poll(cx)) {
                    Ok(error) => {
                        // A manager further out may interrupt in this very poll, and is then the one to raise: that is
                        // known in the next.
                        *this.fired = Some(error);
                        member.fire();
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    Err(payload) => How::Panicked(payload),
                },
            }
        } else {
            let polled = poll_body(&**manager, body, this.ended, cx, &mut guard);
            if let Some(how) = polled {
                let late = [guard, drop_polled(&**manager, this.body)];
                drop(entered);
                return Poll::Ready(Stopped::after(this.parts, how, late, this.interrupt));
            }
            drop(entered);
            match this.interrupt.as_mut().poll(cx) {
                Poll::Ready(Ok(error)) => How::Interrupted(error, None),
                Poll::Ready(Err(payload)) => How::Panicked(payload),
                Poll::Pending => {
                    note_wait(this.waits, frame);
                    return Poll::Pending;
                }
            }
        };
        let late = [guard, drop_body(this.parts, this.body)];
        Poll::Ready(Stopped::after(this.parts, how, late, this.interrupt))
    }
}

/// Takes note of the first time that the block waits.
fn note_wait(waits: &mut bool, frame: &Frame) {
    if !mem::replace(waits, true)
        && let Some(owed) = frame.owed()
    {
        owed.waits();
    }
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
    match polled {
        Ok(Poll::Ready(left)) => Some(How::Left(left)),
        Ok(Poll::Pending) if !ended.is_running() => Some(How::Ended),
        Ok(Poll::Pending) => guard.take().map(How::Panicked),
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

/// Drops the body as it was polled: in its frame, and with the guard. Returns what panicked.
fn drop_body<M: Managed, F>(
    parts: &mut Parts<'_, M>,
    body: Pin<&mut Option<F>>,
) -> Option<Payload> {
    if body.is_none() {
        return None;
    }
    let Parts { manager, frame } = parts;
    let _inside = frame.follow(|| manager.place());
    drop_polled(&**manager, body)
}

/// Drops the body in the frame that is current.
fn drop_polled<M: Managed, F>(manager: &M, mut body: Pin<&mut Option<F>>) -> Option<Payload> {
    let (dropped, guard) = guarded(manager, || body.set(None));
    // It is still there when the guard could not be made.
    let rest = catch_unwind(AssertUnwindSafe(|| body.set(None)));
    let panics = [dropped.err(), guard, rest.err()];
    first_of(|| manager.name(), panics.map(|panic| (Phase::Body, panic)))
}
