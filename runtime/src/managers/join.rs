//! Several managers at once.

use std::any::type_name;
use std::convert::Infallible;
use std::fmt::Debug;
use std::future::{Future, poll_fn};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use crate::interruption::{MadeOf, fires};
use crate::leaving::Leaving;
use crate::manager::{Exited, Managed, Payload, Surviving, exit_alone};
use crate::managers::together::Together;
use crate::nest::{self, Level};
use crate::report;
use crate::scope::Scope;
use crate::{AsyncContextManager, Cause, ExitVerdict, Interruption, Raised, Verdict};

/// Enters two to eight managers at the same time, and exits them at the same time.
///
/// The resource is the tuple of theirs. The managers have one error type between them, and are [surviving
/// ones](AsyncContextManager). All of them are told the same cause. A failure is suppressed when one of them suppresses
/// it; an interruption, when the one that asked for it does (rule SUP-4). Enters are polled from the left, exits from the
/// right, and `inspect` runs from the right before the first exit.
///
/// It is to nested blocks what `futures::try_join!` is to a sequence of `.await`s; Python has no such manager.
///
/// ```
/// use async_with::{join, prelude::*};
/// # use std::io;
/// # struct Connect(&'static str);
/// # impl AsyncContextManager for Connect {
/// #     type Resource = Vec<String>;
/// #     type Error = io::Error;
/// #     type Exit = ();
/// #     async fn enter(&mut self) -> io::Result<Vec<String>> { Ok(vec![self.0.to_owned()]) }
/// #     async fn exit(self, _: Vec<String>, _: Cause) -> io::Result<()> { Ok(()) }
/// # }
/// # fn connect(address: &'static str) -> Connect { Connect(address) }
///
/// async fn copy() -> io::Result<usize> {
///     async_with! { join((connect("source"), connect("target"))) as (source, target) => {
///         target.append(source);
///         Ok(target.len())
///     }}
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # assert_eq!(copy().await.unwrap(), 2);
/// # }
/// ```
///
/// # Errors
///
/// When an enter fails, those that still run are dropped, those that succeeded are exited, told of the failure, and then
/// it is raised (rule EXI-2); no verdict suppresses it. When exits fail, all of them run to their ends all the same; the
/// first error is raised if the body completed, and every other one is [reported](crate::report) under the name of its
/// own manager (rules ERR-3, ERR-5).
///
/// # Panics
///
/// A panic in one of the managers is resumed after the exits of the others; a further one is reported (rule PAN-2).
///
/// A block enters a manager once. Who calls `enter` by hand, and again after it failed, panicked or was dropped, gets a
/// panic that says so: there is nothing left to be entered.
///
/// # Cancel safety
///
/// Dropped during enter, the managers that were entered already are exited on the runtime, told that the block was
/// dropped (rules CAN-1, CAN-7). From then on it is as safe as any surviving manager.
#[must_use = "a manager does nothing unless it is entered"]
pub fn join<T>(managers: T) -> Join<T> {
    Join {
        managers: Some(managers),
        names: [""; MOST],
        levels: Default::default(),
        interrupted_by: Arc::new(AtomicUsize::new(NONE)),
    }
}

/// The manager of [`join`].
pub struct Join<T> {
    /// Taken out while they are entered.
    managers: Option<T>,
    /// What stands for each in reports, once they are entered.
    names: [&'static str; MOST],
    /// By which each is listed until its exit has run.
    levels: [Option<Level>; MOST],
    interrupted_by: Arc<AtomicUsize>,
}

/// Dropped in place of their exits, as where the runtime shuts down, each is reported by its own name.
impl<T> Drop for Join<T> {
    fn drop(&mut self) {
        if self.managers.is_some() {
            let entered = self.names.iter().rev().filter(|name| !name.is_empty());
            entered.for_each(|name| report::cut_off(name));
        }
    }
}

/// How many can be joined.
const MOST: usize = 8;
const NONE: usize = usize::MAX;

impl<T> Join<T> {
    fn take(&mut self) -> T {
        match self.managers.take() {
            Some(managers) => managers,
            None => panic!("`join` is entered a second time; call it again for another manager"),
        }
    }

    /// What the verdicts amount to.
    fn decide<V: ExitVerdict>(&self, verdicts: &[Verdict], cause: Cause) -> V {
        let verdict = if cause == Cause::Cancelled {
            verdicts.get(self.interrupted_by.load(Ordering::Relaxed))
        } else {
            let suppressing = |verdict: &&Verdict| **verdict != Verdict::Propagate;
            let of_panics = |verdict: &&Verdict| **verdict == Verdict::SuppressPanic;
            let mut verdicts = verdicts.iter();
            verdicts
                .clone()
                .find(of_panics)
                .or_else(|| verdicts.find(suppressing))
        };
        V::from_verdict(verdict.copied().unwrap_or_default())
    }
}

/// The future of one of the managers.
type Part<'a, T> = Pin<&'a mut (dyn Future<Output = T> + Send)>;

/// Polls the parts in this order, until all have ended or one puts a stop to it. A part that panics has ended too.
async fn concurrently<T, B, const N: usize>(
    parts: [Part<'_, T>; N],
    order: impl Iterator<Item = usize> + Clone,
    mut ended: impl FnMut(usize, Result<T, Payload>) -> ControlFlow<B>,
) -> ControlFlow<B> {
    let mut parts = parts.map(Some);
    poll_fn(|cx| {
        for number in order.clone() {
            let Some(part) = &mut parts[number] else {
                continue;
            };
            let result = match catch_unwind(AssertUnwindSafe(|| part.as_mut().poll(cx))) {
                Ok(Poll::Pending) => continue,
                Ok(Poll::Ready(output)) => Ok(output),
                Err(payload) => Err(payload),
            };
            parts[number] = None;
            if let stop @ ControlFlow::Break(_) = ended(number, result) {
                return Poll::Ready(stop);
            }
        }
        if parts.iter().all(Option::is_none) {
            Poll::Ready(ControlFlow::Continue(()))
        } else {
            Poll::Pending
        }
    })
    .await
}

/// Enters all, or stops at the first that cannot be.
async fn enter_all<E, const N: usize>(
    parts: [Part<'_, Result<(), E>>; N],
) -> Option<Leaving<Cause, E>> {
    let entered = concurrently(parts, 0..N, |_, entered| match entered {
        Ok(Ok(())) => ControlFlow::Continue(()),
        Ok(Err(error)) => ControlFlow::Break(Leaving::Raised(error)),
        Err(payload) => ControlFlow::Break(Leaving::Panicked(payload)),
    });
    entered.await.break_value()
}

/// Shows the error to each, from the right.
fn inspect_all<const N: usize>(inspects: [&mut dyn FnMut(Raised<'_>); N], mut raised: Raised<'_>) {
    for inspect in inspects.into_iter().rev() {
        inspect(raised.reborrow());
    }
}

/// Shows the failure of an enter to those that were entered.
fn inspect_entered<E: Debug + 'static, const N: usize>(
    together: &mut Together<E>,
    inspects: [&mut dyn FnMut(Raised<'_>); N],
) {
    let Some(error) = together.error() else {
        return;
    };
    let inspect = || inspect_all(inspects, Raised::from_debug(error));
    if let Err(payload) = catch_unwind(AssertUnwindSafe(inspect)) {
        together.panicked(payload);
    }
}

/// Exits all, and returns their verdicts, or what is to be raised. What is not raised is reported.
async fn exit_all<E: Debug + 'static, const N: usize>(
    parts: [Part<'_, Result<Verdict, E>>; N],
    names: [&'static str; MOST],
    mut unfinished: Unfinished,
    mut together: Together<E>,
) -> Result<[Verdict; N], E> {
    let mut verdicts = [Verdict::Propagate; N];
    let exits = concurrently(parts, (0..N).rev(), |number, exited| {
        unfinished.0[number] = "";
        let exited = match exited {
            Ok(Ok(verdict)) => {
                // All of them decide together, later on.
                verdicts[number] = verdict;
                Exited::Returned(Verdict::Propagate)
            }
            Ok(Err(error)) => Exited::Failed(error),
            Err(payload) => Exited::Panicked(payload),
        };
        together.exited(exited, names[number]);
        ControlFlow::<Infallible>::Continue(())
    });
    let ControlFlow::Continue(()) = exits.await;
    together.conclude().map(|()| verdicts)
}

/// Those whose exit has not ended. Dropped before that, as where the runtime shuts down, each is reported by its own name.
struct Unfinished([&'static str; MOST]);

impl Drop for Unfinished {
    fn drop(&mut self) {
        let unfinished = self.0.iter().rev().filter(|name| !name.is_empty());
        unfinished.for_each(|name| report::cut_off(name));
    }
}

/// Exits a manager if its enter succeeded, in a scope of its own: dropped meanwhile, the exit goes on elsewhere.
async fn exit_entered<M: AsyncContextManager>(
    mut scope: Scope<Surviving<M>, M::Resource>,
    cause: Cause,
) -> Result<Verdict, M::Error> {
    if scope.manager_and_resource().is_none() {
        return Ok(Verdict::Propagate);
    }
    let (manager, resource, level) = scope.into_exit();
    let (place, children) = (level.place(), level.take_children());
    let mut exit = pin!(exit_alone(manager.exit(
        resource,
        cause,
        children,
        Some(level)
    )));
    match poll_fn(|cx| nest::exiting(place, false, cx, |cx| exit.as_mut().poll(cx))).await {
        Exited::Returned(verdict) => Ok(verdict.verdict()),
        Exited::Failed(error) => Err(error),
        Exited::Panicked(payload) => resume_unwind(payload),
    }
}

/// Exits a manager in the scope of the whole.
async fn exit<M: AsyncContextManager>(
    manager: M,
    resource: M::Resource,
    cause: Cause,
    listed: Option<Level>,
) -> Result<Verdict, M::Error> {
    if let Some(level) = &listed {
        level.follow_whole();
    }
    let verdict = manager.exit(resource, cause).await?;
    Ok(verdict.verdict())
}

/// Waits for the first interruption, and says whose it is.
async fn first_interrupt<E, const N: usize>(parts: [Part<'_, E>; N]) -> (usize, E) {
    let first = concurrently(parts, 0..N, |number, interrupt| match interrupt {
        Ok(error) => ControlFlow::Break((number, error)),
        Err(payload) => resume_unwind(payload),
    });
    match first.await {
        ControlFlow::Break(first) => first,
        ControlFlow::Continue(()) => unreachable!("each part stops it"),
    }
}

/// What the verdicts of several managers are made into.
macro_rules! exit_of {
    ($M:ident) => { $M::Exit };
    ($M:ident $($Rest:ident)+) => { <$M::Exit as ExitVerdict>::Or<exit_of!($($Rest)+)> };
}

/// The guards of several managers, the last one first, so that they are dropped in reverse.
macro_rules! guards {
    () => { () };
    ($m:ident $($rest:ident)*) => {{
        let guard = $m.around_poll();
        (guards!($($rest)*), guard)
    }};
}

macro_rules! join_managers {
    ($A:ident $a:ident $a_resource:ident $($M:ident $m:ident $resource:ident)+) => {
        impl<$A, $($M),+> AsyncContextManager for Join<($A, $($M),+)>
        where
            $A: AsyncContextManager,
            $($M: AsyncContextManager<Error = $A::Error>),+
        {
            type Resource = ($A::Resource, $($M::Resource),+);
            type Error = $A::Error;
            type Exit = exit_of!($A $($M)+);

            async fn enter(&mut self) -> Result<Self::Resource, Self::Error> {
                let ($a, $($m),+) = self.take();
                let names = [$a.name(), $($m.name()),+];
                self.names[..names.len()].copy_from_slice(&names);
                let mut $a = Scope::new(Surviving($a));
                $(let mut $m = Scope::new(Surviving($m));)+
                let failure = enter_all([
                    pin!($a.enter_by(|manager| manager.enter())),
                    $(pin!($m.enter_by(|manager| manager.enter()))),+
                ])
                .await;
                if let Some(failure) = failure {
                    let mut together = Together::failed(failure, type_name::<Self>());
                    inspect_entered(
                        &mut together,
                        [&mut |raised| $a.inspect(raised), $(&mut |raised| $m.inspect(raised)),+],
                    );
                    let cause = together.cause();
                    let exited = exit_all(
                        [pin!(exit_entered($a, cause)), $(pin!(exit_entered($m, cause))),+],
                        self.names,
                        // Each goes on by itself.
                        Unfinished([""; MOST]),
                        together,
                    )
                    .await;
                    match exited {
                        Err(error) => return Err(error),
                        Ok(_) => unreachable!("the failure of the enter stays pending"),
                    }
                }
                let mut levels = self.levels.iter_mut();
                let mut keep = |level| {
                    if let Some(place) = levels.next() {
                        *place = level;
                    }
                };
                let ($a, $a_resource, level) = $a.into_part();
                keep(level);
                $(
                    let ($m, $resource, level) = $m.into_part();
                    keep(level);
                )+
                self.managers = Some(($a.0, $($m.0),+));
                Ok(($a_resource, $($resource),+))
            }

            async fn exit(
                mut self,
                ($a_resource, $($resource),+): Self::Resource,
                cause: Cause,
            ) -> Result<Self::Exit, Self::Error> {
                let ($a, $($m),+) = self.take();
                let mut levels = std::mem::take(&mut self.levels).into_iter().flatten();
                let verdicts = exit_all(
                    [
                        pin!(exit($a, $a_resource, cause, levels.next())),
                        $(pin!(exit($m, $resource, cause, levels.next()))),+
                    ],
                    self.names,
                    Unfinished(self.names),
                    Together::told(cause),
                )
                .await?;
                Ok(self.decide(&verdicts, cause))
            }

            fn inspect(
                &mut self,
                ($a_resource, $($resource),+): &mut Self::Resource,
                raised: Raised<'_>,
            ) {
                if let Some(($a, $($m),+)) = &mut self.managers {
                    inspect_all(
                        [
                            &mut |raised| $a.inspect($a_resource, raised),
                            $(&mut |raised| $m.inspect($resource, raised)),+
                        ],
                        raised,
                    );
                }
            }

            fn interrupt(
                &self,
                ($a_resource, $($resource),+): &Self::Resource,
            ) -> impl Interruption<Self::Error> + Send + use<$A, $($M),+> {
                let interrupts = self.managers.as_ref().map(|($a, $($m),+)| {
                    ($a.interrupt($a_resource), $($m.interrupt($resource)),+)
                });
                let never = interrupts
                    .as_ref()
                    .is_none_or(|($a, $($m),+)| $a.is_never() $(&& $m.is_never())+);
                let interrupted_by = Arc::clone(&self.interrupted_by);
                MadeOf::new(never, async move {
                    let Some(($a, $($m),+)) = interrupts else {
                        return std::future::pending().await;
                    };
                    let (number, error) =
                        first_interrupt([pin!(fires($a)), $(pin!(fires($m))),+]).await;
                    interrupted_by.store(number, Ordering::Relaxed);
                    error
                })
            }

            fn around_poll(&self) -> impl Sized {
                self.managers.as_ref().map(|($a, $($m),+)| guards!($a $($m)+))
            }
        }
    };
}

join_managers!(A a ra B b rb);
join_managers!(A a ra B b rb C c rc);
join_managers!(A a ra B b rb C c rc D d rd);
join_managers!(A a ra B b rb C c rc D d rd F f rf);
join_managers!(A a ra B b rb C c rc D d rd F f rf G g rg);
join_managers!(A a ra B b rb C c rc D d rd F f rf G g rg H h rh);
join_managers!(A a ra B b rb C c rc D d rd F f rf G g rg H h rh I i ri);
