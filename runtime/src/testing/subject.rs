//! A manager under test, and what the checks do with it.

use std::cell::Cell;
use std::fmt::{self, Debug, Display, Formatter};
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use super::bench::{Bench, Flag, caught, message};
use super::conformance::Conformance;
use super::script::Fault;
use crate::interruption::Converted;
use crate::manager::{Exited, Managed, exit_alone};
use crate::{Cause, ExitVerdict, Interruption, ScopedAsyncContextManager, Verdict};

/// Why a check was not passed.
#[derive(Clone, Debug)]
pub(super) enum Finding {
    /// What is wrong, and what to do.
    Wrong(String),
    /// Why the check was not made.
    Skipped(String),
}

pub(super) type Found = Result<(), Finding>;

pub(super) fn wrong<T>(what: impl Into<String>) -> Result<T, Finding> {
    Err(Finding::Wrong(what.into()))
}

pub(super) fn skipped<T>(why: impl Into<String>) -> Result<T, Finding> {
    Err(Finding::Skipped(why.into()))
}

/// What went wrong in an enter or an exit.
#[derive(Debug)]
pub(super) enum Trouble {
    Failed(String),
    Panicked(String),
    /// It asks to be polled again and again.
    Endless,
    /// Nobody woke it, and it was not ready when it was polled all the same.
    Silent,
}

impl Trouble {
    pub(super) fn failed(error: &dyn Debug) -> Self {
        Self::Failed(caught(|| format!("{error:?}")).unwrap_or_default())
    }

    /// Another check is about this.
    pub(super) fn elsewhere(self, what: &str) -> Finding {
        Finding::Skipped(format!("{what} {self}"))
    }
}

impl Display for Trouble {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Failed(error) => write!(f, "failed: {error}"),
            Trouble::Panicked(message) => write!(f, "panicked: {message}"),
            Trouble::Endless => f.write_str("was polled very often and never ready"),
            Trouble::Silent => f.write_str("was not ready, and nobody woke it"),
        }
    }
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::failed(&fault)
    }
}

/// A manager of either kind in a block of the checks. No error leaves the body of such a block, to be inspected.
pub(super) struct Item<S>(pub(super) S);

impl<S: Managed> ScopedAsyncContextManager for Item<S> {
    type Resource = S::Resource;
    type Error = Trouble;
    type Exit = ();

    async fn enter(&mut self) -> Result<S::Resource, Trouble> {
        let entered = self.0.enter().await;
        entered.map_err(|error| Trouble::failed(&error))
    }

    async fn exit(self, resource: S::Resource, cause: Cause) -> Result<(), Trouble> {
        match exit_alone(self.0.exit(resource, cause, None, None)).await {
            Exited::Returned(_) => Ok(()),
            Exited::Failed(error) => Err(Trouble::failed(&error)),
            Exited::Panicked(payload) => resume_unwind(payload),
        }
    }

    fn abandon(self, resource: S::Resource) {
        self.0.abandon(resource, None, None);
    }

    fn interrupt(&self, resource: &S::Resource) -> impl Interruption<Trouble> + use<S> {
        Converted::new(self.0.interrupt(resource), |error| Trouble::failed(&error))
    }

    fn around_poll(&self) -> impl Sized {
        self.0.around_poll()
    }
}

/// The manager under test, in one check.
pub(super) struct Subject<'c, 'a, S: Managed> {
    pub(super) given: &'c mut Conformance<'a, S>,
    pub(super) bench: Bench,
    /// A wake-up was missing: from then on, none is waited for.
    pub(super) forgotten: Cell<bool>,
}

impl<'c, 'a, S: Managed> Subject<'c, 'a, S> {
    pub(super) fn new(given: &'c mut Conformance<'a, S>) -> Self {
        let bench = Bench::new(Some(given.patience));
        Self {
            given,
            bench,
            forgotten: Cell::new(false),
        }
    }

    pub(super) fn make(&mut self) -> S {
        (self.given.make)()
    }

    pub(super) fn open_count(&self) -> Result<usize, Finding> {
        match &self.given.open_count {
            Some(count) => Ok(count()),
            None => skipped("needs `open_count`"),
        }
    }

    /// How many are open, after a cycle that may make up for what an earlier check has left open.
    pub(super) async fn clean(&mut self) -> Result<usize, Finding> {
        if self.open_count()? > self.given.open_at_first {
            let _ = self.cycle(Cause::Completed).await;
        }
        self.open_count()
    }

    /// Waits until no more are open than before.
    pub(super) async fn is_released(&self, before: usize) -> bool {
        self.bench
            .until(|| self.open_count().is_ok_and(|open| open <= before))
            .await
    }

    pub(super) fn survives(&self) -> Found {
        if self.given.scoped {
            return skipped("a scoped manager is abandoned when it is dropped");
        }
        Ok(())
    }

    /// Polls a future once more. One that panicked is not polled again.
    pub(super) fn poll<F: Future>(
        &self,
        future: Pin<&mut F>,
        flag: &Arc<Flag>,
    ) -> Result<Poll<F::Output>, Trouble> {
        caught(|| self.bench.poll(future, flag)).map_err(Trouble::Panicked)
    }

    /// Polls a future up to so many times. With a missing wake-up it is polled all the same.
    pub(super) async fn polled<F: Future>(
        &self,
        mut future: Pin<&mut F>,
        polls: usize,
    ) -> Result<Poll<F::Output>, Trouble> {
        let flag = self.bench.flag();
        for _ in 0..polls {
            let in_vain = !flag.is_up() && !self.forgotten.get() && !self.bench.woken(&flag).await;
            let polled = self.poll(future.as_mut(), &flag)?;
            if in_vain && polled.is_pending() && !flag.is_up() {
                return Err(Trouble::Silent);
            }
            self.forgotten.set(self.forgotten.get() || in_vain);
            if polled.is_ready() {
                return Ok(polled);
            }
        }
        Ok(Poll::Pending)
    }

    pub(super) async fn finish<F: Future>(&self, future: F) -> Result<F::Output, Trouble> {
        let mut future = self.bench.hold(future);
        match self.polled(future.as_mut(), self.given.max_polls).await? {
            Poll::Ready(output) => Ok(output),
            Poll::Pending => Err(Trouble::Endless),
        }
    }

    pub(super) async fn try_enter(&self, manager: &mut S) -> Result<S::Resource, Trouble> {
        let entered = self.finish(async { manager.enter().await }).await?;
        entered.map_err(|error| Trouble::failed(&error))
    }

    pub(super) async fn try_exit(
        &self,
        manager: S,
        resource: S::Resource,
        cause: Cause,
    ) -> Result<Verdict, Trouble> {
        let exit = exit_alone(manager.exit(resource, cause, None, None));
        match self.finish(exit).await? {
            Exited::Returned(verdict) => Ok(verdict.verdict()),
            Exited::Failed(error) => Err(Trouble::failed(&error)),
            Exited::Panicked(payload) => Err(Trouble::Panicked(message(&*payload))),
        }
    }

    /// Enters, for a check that is about what comes afterwards.
    pub(super) async fn enter(&mut self) -> Result<(S, S::Resource), Finding> {
        let mut manager = self.make();
        match self.try_enter(&mut manager).await {
            Ok(resource) => Ok((manager, resource)),
            Err(trouble) => Err(trouble.elsewhere("enter")),
        }
    }

    /// Exits, for a check that is about something else.
    pub(super) async fn exit(
        &self,
        manager: S,
        resource: S::Resource,
        cause: Cause,
    ) -> Result<Verdict, Finding> {
        match self.try_exit(manager, resource, cause).await {
            Ok(verdict) => Ok(verdict),
            Err(Trouble::Failed(_)) => Ok(Verdict::Propagate),
            Err(trouble) => Err(trouble.elsewhere("exit")),
        }
    }

    /// Enters and exits.
    pub(super) async fn cycle(&mut self, cause: Cause) -> Found {
        self.verdict(cause).await.map(|_| ())
    }

    /// Enters and exits, and returns what the exit decides.
    pub(super) async fn verdict(&mut self, cause: Cause) -> Result<Verdict, Finding> {
        let (manager, resource) = self.enter().await?;
        self.exit(manager, resource, cause).await
    }

    /// Drops an enter after so many polls. Returns whether it was still pending.
    pub(super) async fn enter_dropped_after(&mut self, polls: usize) -> Result<bool, Finding> {
        let mut manager = self.make();
        let mut enter = self.bench.hold(async { manager.enter().await });
        let polled = self.polled(enter.as_mut(), polls).await;
        drop(enter);
        match polled {
            Ok(Poll::Pending) => {
                self.bench.within(|| drop(manager));
                Ok(true)
            }
            Ok(Poll::Ready(Ok(resource))) => {
                let exited = self.exit(manager, resource, Cause::Completed).await;
                exited.map(|_| false)
            }
            Ok(Poll::Ready(Err(_))) => Ok(false),
            Err(trouble) => Err(trouble.elsewhere("enter")),
        }
    }

    /// Drops an exit after so many polls. Returns whether it was still pending.
    pub(super) async fn exit_dropped_after(&mut self, polls: usize) -> Result<bool, Finding> {
        let (manager, resource) = self.enter().await?;
        let exit = || exit_alone(manager.exit(resource, Cause::Completed, None, None));
        let mut exit = self.bench.hold(self.bench.within(exit));
        match self.polled(exit.as_mut(), polls).await {
            Ok(polled) => Ok(polled.is_pending()),
            Err(trouble) => Err(trouble.elsewhere("exit")),
        }
    }

    /// Polls a future only when it was woken.
    pub(super) async fn wakes<F: Future>(
        &self,
        what: &str,
        future: F,
    ) -> Result<F::Output, Finding> {
        let mut future = self.bench.hold(future);
        let flag = self.bench.flag();
        for _ in 0..self.given.max_polls {
            let woken = self.bench.woken(&flag).await;
            let polled = match self.poll(future.as_mut(), &flag) {
                Ok(polled) => polled,
                Err(trouble) => return Err(trouble.elsewhere(what)),
            };
            match polled {
                Poll::Ready(output) if woken => return Ok(output),
                Poll::Pending if woken => {}
                Poll::Pending if !flag.is_up() => return Err(Trouble::Silent.elsewhere(what)),
                _ => {
                    return wrong(format!(
                        "{what} was pending and did not wake its task when it could go on; keep the waker of the last \
                         poll, and wake it"
                    ));
                }
            }
        }
        Err(Trouble::Endless.elsewhere(what))
    }

    /// Polls a future with a new waker each time, also when it was not woken.
    pub(super) async fn uses_the_latest_waker<F: Future>(
        &self,
        what: &str,
        future: F,
    ) -> Result<F::Output, Finding> {
        let mut future = self.bench.hold(future);
        let mut earlier: Vec<Arc<Flag>> = Vec::new();
        for polls in 0..self.given.max_polls {
            let flag = self.bench.flag();
            match self.poll(future.as_mut(), &flag) {
                Ok(Poll::Ready(output)) => return Ok(output),
                Ok(Poll::Pending) => {}
                Err(trouble) => return Err(trouble.elsewhere(what)),
            }
            // Every other time, it is polled again at once.
            let waits = polls % 2 == 1;
            if waits && !self.forgotten.get() && !self.bench.woken(&flag).await {
                if earlier.iter().any(|flag| flag.is_up()) {
                    return wrong(format!(
                        "{what} was polled with a new waker, and woke an old one; keep the waker of the last poll, as a \
                         future may be moved to another task"
                    ));
                }
                self.forgotten.set(true);
            }
            earlier.push(flag);
            for flag in &earlier {
                flag.lower();
            }
        }
        Err(Trouble::Endless.elsewhere(what))
    }
}
