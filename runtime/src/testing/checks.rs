//! The checks of a manager, each a method with its name.

use std::cell::Cell;
use std::error::Error;
use std::future::{Future, pending, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::Poll;

use super::bench::caught;
use super::script::{EventLog, Fault};
use super::subject::{Finding, Found, Item, Subject, Trouble, skipped, wrong};
use crate::interruption::fires;
use crate::manager::{Managed, exit_alone};
use crate::report::{self, Incident};
use crate::{Cause, ErrorType, Interruption, Raised, ScopedAsyncContextManager, Verdict};

type Check<S> =
    for<'s, 'c, 'a> fn(&'s mut Subject<'c, 'a, S>) -> Pin<Box<dyn Future<Output = Found> + 's>>;

macro_rules! checks {
    ($($name:ident)*) => {
        /// All checks, with their names.
        pub(super) fn all<S: Managed>() -> Vec<(&'static str, Check<S>)> {
            vec![$((stringify!($name), |subject| Box::pin(subject.$name()))),*]
        }
    };
}

// In this order: what would keep others from being made comes before them.
checks! {
    construction_acquires_nothing
    enter_is_lazy
    exit_releases
    dropped_body_releases
    enter_does_not_panic
    enter_finishes
    enter_succeeds
    enter_wakes
    enter_uses_the_latest_waker
    enter_raises_the_open_count
    enter_works_after_a_dropped_one
    dropped_enter_releases
    dropped_enter_leaves_nothing_pending
    enter_works_after_a_failed_one
    failed_enter_releases
    errors_can_be_shown
    resource_is_usable
    exit_finishes_when_completed
    exit_finishes_when_failed
    exit_finishes_when_panicked
    exit_finishes_when_cancelled
    exit_finishes_when_dropped
    exit_does_not_panic
    exit_succeeds_when_completed
    exit_does_not_raise_the_failure
    exit_wakes
    exit_uses_the_latest_waker
    exit_releases_before_it_returns
    exit_leaves_nothing_pending
    exit_dropped_half_way_releases
    dropped_body_releases_before_outer_exits
    abandon_does_not_panic
    completion_is_not_suppressed
    errors_are_not_suppressed
    panics_are_not_suppressed
    drops_are_not_suppressed
    inspect_does_not_panic
    inspect_keeps_the_error
    interrupt_does_not_panic
    interrupt_does_not_fire_at_once
    interrupt_releases
    interruption_from_outside_ends_the_block
    guards_can_be_made
    guards_are_balanced
    two_can_be_open
    two_exit_in_order
    two_exit_in_reverse
    many_cycles_release
    nothing_is_reported
    enter_works_in_the_end
}

/// How many polls of an enter or exit are looked at, one by one.
const POINTS: usize = 64;
const CYCLES: usize = 100;

fn failed() -> Cause {
    Cause::Failed(ErrorType::of::<Fault>())
}

// So that all checks have one type.
#[allow(clippy::unused_async)]
impl<S: Managed> Subject<'_, '_, S> {
    pub(super) async fn run(mut self, check: Check<S>) -> Found {
        // What the manager reports, another check looks at.
        let run = async {
            let found = check(&mut self).await;
            drop(self);
            found
        };
        report::collect(run).await.0
    }

    // --- Before the enter -----------------------------------------------------------------------------------------

    async fn construction_acquires_nothing(&mut self) -> Found {
        let before = self.open_count()?;
        let manager = self.make();
        let open = self.open_count()?;
        drop(manager);
        if open != before || self.open_count()? != before {
            return wrong(
                "a manager that is made and dropped changes what is open; acquire in `enter`, not in the constructor",
            );
        }
        Ok(())
    }

    async fn enter_is_lazy(&mut self) -> Found {
        let before = self.open_count()?;
        let mut manager = self.make();
        let made = self.open_count()?;
        let enter = caught(|| manager.enter());
        let open = self.open_count()?;
        drop(enter);
        if made == before && open != before {
            return wrong("`enter` acquires before it is polled; move all of it into the future");
        }
        Ok(())
    }

    // --- Enter ----------------------------------------------------------------------------------------------------

    /// Enters, and exits if that worked.
    async fn entered(&mut self) -> Result<(), Trouble> {
        let mut manager = self.make();
        let resource = self.try_enter(&mut manager).await?;
        let _ = self.exit(manager, resource, Cause::Completed).await;
        Ok(())
    }

    async fn enter_does_not_panic(&mut self) -> Found {
        match self.entered().await {
            Err(Trouble::Panicked(message)) => wrong(format!(
                "enter panicked: {message}; return an error, so that the function that enters can handle it"
            )),
            entered => entered.map_err(|trouble| trouble.elsewhere("enter")),
        }
    }

    async fn enter_finishes(&mut self) -> Found {
        match self.entered().await {
            Err(trouble @ (Trouble::Endless | Trouble::Silent)) => wrong(format!(
                "enter {trouble}; let it finish, or give the checks more `patience`"
            )),
            entered => entered.map_err(|trouble| trouble.elsewhere("enter")),
        }
    }

    async fn enter_succeeds(&mut self) -> Found {
        match self.entered().await {
            Err(Trouble::Failed(error)) => wrong(format!(
                "enter failed: {error}; make managers that can be entered, and others in `failing_enter`"
            )),
            entered => entered.map_err(|trouble| trouble.elsewhere("enter")),
        }
    }

    async fn enter_wakes(&mut self) -> Found {
        let mut manager = self.make();
        let entered = self.wakes("enter", async { manager.enter().await }).await?;
        if let Ok(resource) = entered {
            let _ = self.exit(manager, resource, Cause::Completed).await;
        }
        Ok(())
    }

    async fn enter_uses_the_latest_waker(&mut self) -> Found {
        let mut manager = self.make();
        let enter = async { manager.enter().await };
        let entered = self.uses_the_latest_waker("enter", enter).await?;
        if let Ok(resource) = entered {
            let _ = self.exit(manager, resource, Cause::Completed).await;
        }
        Ok(())
    }

    async fn enter_raises_the_open_count(&mut self) -> Found {
        let before = self.clean().await?;
        let (manager, resource) = self.enter().await?;
        let open = self.open_count()?;
        let _ = self.exit(manager, resource, Cause::Completed).await;
        if open <= before {
            return wrong(
                "`open_count` is not higher while a manager is entered; let it count what this manager opens, as the other \
                 checks rely on it",
            );
        }
        Ok(())
    }

    async fn dropped_enter_releases(&mut self) -> Found {
        let before = self.clean().await?;
        for polls in 0..POINTS {
            if !self.enter_dropped_after(polls).await? {
                break;
            }
            if !self.is_released(before).await {
                return wrong(format!(
                    "enter was dropped after {polls} polls, and what it had opened stayed open; keep what is acquired in \
                     a guard that releases it until enter returns (CAN-7)"
                ));
            }
        }
        Ok(())
    }

    async fn dropped_enter_leaves_nothing_pending(&mut self) -> Found {
        for polls in 0..POINTS {
            if !self.enter_dropped_after(polls).await? {
                break;
            }
            if !self.bench.settled().await {
                return wrong(format!(
                    "enter was dropped after {polls} polls, and clean-up that it detached does not finish; wait for \
                     nothing there that the dropped enter was to bring about"
                ));
            }
        }
        Ok(())
    }

    async fn enter_works_after_a_dropped_one(&mut self) -> Found {
        self.cycle(Cause::Completed).await?;
        for polls in 0..POINTS {
            if !self.enter_dropped_after(polls).await? {
                break;
            }
            self.bench.settled().await;
            if let Err(trouble) = self.entered().await {
                return wrong(format!(
                    "enter was dropped after {polls} polls, and that of a new manager {trouble}; give back on drop what \
                     was reserved"
                ));
            }
        }
        Ok(())
    }

    /// Enters a manager that is to fail.
    async fn fail(&mut self) -> Result<S::Error, Finding> {
        let Some(make) = &mut self.given.failing_enter else {
            return skipped("needs `failing_enter`");
        };
        let mut manager = make();
        let entered = self.finish(async { manager.enter().await }).await;
        match entered {
            Ok(Err(error)) => Ok(error),
            Ok(Ok(_)) => skipped("the manager of `failing_enter` did not fail"),
            Err(trouble) => Err(trouble.elsewhere("the enter that is to fail")),
        }
    }

    async fn failed_enter_releases(&mut self) -> Found {
        let before = self.clean().await?;
        self.fail().await?;
        if !self.is_released(before).await {
            return wrong(
                "enter failed, and what it had opened stayed open; exit is not called then, so release it before the \
                 error is returned (EXI-1)",
            );
        }
        Ok(())
    }

    async fn enter_works_after_a_failed_one(&mut self) -> Found {
        self.cycle(Cause::Completed).await?;
        self.fail().await?;
        self.bench.settled().await;
        match self.entered().await {
            Ok(()) => Ok(()),
            Err(trouble) => wrong(format!(
                "one enter failed, and then that of a new manager {trouble}; give back what was reserved when enter fails"
            )),
        }
    }

    async fn errors_can_be_shown(&mut self) -> Found {
        let error = self.fail().await?;
        match caught(|| format!("{error:?}")) {
            Ok(text) if text.is_empty() => wrong(
                "the `Debug` of the error writes nothing; it is all that a report shows (ERR-5)",
            ),
            Ok(_) => Ok(()),
            Err(message) => wrong(format!(
                "the `Debug` of the error panicked: {message}; it is what a report shows (ERR-5)"
            )),
        }
    }

    async fn resource_is_usable(&mut self) -> Found {
        if self.given.usable.is_none() {
            return skipped("needs `usable`");
        }
        let (manager, mut resource) = self.enter().await?;
        let works = self.works(&mut resource);
        let _ = self.exit(manager, resource, Cause::Completed).await;
        if !works {
            return wrong("the resource cannot be used; return it from enter when it is ready");
        }
        Ok(())
    }

    fn works(&mut self, resource: &mut S::Resource) -> bool {
        let usable = self.given.usable.as_mut();
        usable.is_none_or(|usable| usable(resource))
    }

    // --- Exit -----------------------------------------------------------------------------------------------------

    async fn exit_finishes(&mut self, cause: Cause) -> Found {
        let (manager, resource) = self.enter().await?;
        match self.try_exit(manager, resource, cause).await {
            Err(trouble @ (Trouble::Endless | Trouble::Silent)) => wrong(format!(
                "exit, told `{}`, {trouble}; the block waits for it, so bound what it waits for",
                name(cause)
            )),
            _ => Ok(()),
        }
    }

    async fn exit_finishes_when_completed(&mut self) -> Found {
        self.exit_finishes(Cause::Completed).await
    }

    async fn exit_finishes_when_failed(&mut self) -> Found {
        self.exit_finishes(failed()).await
    }

    async fn exit_finishes_when_panicked(&mut self) -> Found {
        self.exit_finishes(Cause::Panicked).await
    }

    async fn exit_finishes_when_cancelled(&mut self) -> Found {
        self.exit_finishes(Cause::Cancelled).await
    }

    async fn exit_finishes_when_dropped(&mut self) -> Found {
        self.survives()?;
        self.exit_finishes(Cause::Dropped).await
    }

    /// The causes that an exit of this kind can be told.
    fn causes(&self) -> Vec<Cause> {
        let mut causes = vec![
            Cause::Completed,
            failed(),
            Cause::Panicked,
            Cause::Cancelled,
        ];
        if !self.given.scoped {
            causes.push(Cause::Dropped);
        }
        causes
    }

    async fn exit_does_not_panic(&mut self) -> Found {
        for cause in self.causes() {
            let (manager, resource) = self.enter().await?;
            if let Err(Trouble::Panicked(message)) = self.try_exit(manager, resource, cause).await {
                return wrong(format!(
                    "exit, told `{}`, panicked: {message}; return an error",
                    name(cause)
                ));
            }
        }
        Ok(())
    }

    async fn exit_succeeds_when_completed(&mut self) -> Found {
        let (manager, resource) = self.enter().await?;
        match self.try_exit(manager, resource, Cause::Completed).await {
            Err(Trouble::Failed(error)) => wrong(format!(
                "exit failed after a body that completed: {error}; what the body returned is lost then (FLO-6)"
            )),
            _ => Ok(()),
        }
    }

    async fn exit_does_not_raise_the_failure(&mut self) -> Found {
        for cause in self.causes() {
            if cause.is_completed() {
                continue;
            }
            let (manager, resource) = self.enter().await?;
            if let Err(Trouble::Failed(error)) = self.try_exit(manager, resource, cause).await {
                return wrong(format!(
                    "exit, told `{}`, failed: {error}; the failure of the body goes on by itself, so return an error only \
                     for what fails in exit (ERR-3)",
                    name(cause)
                ));
            }
        }
        Ok(())
    }

    async fn exit_wakes(&mut self) -> Found {
        let (manager, resource) = self.enter().await?;
        let exit = exit_alone(manager.exit(resource, Cause::Completed, None, None));
        self.wakes("exit", exit).await?;
        Ok(())
    }

    async fn exit_uses_the_latest_waker(&mut self) -> Found {
        let (manager, resource) = self.enter().await?;
        let exit = exit_alone(manager.exit(resource, Cause::Completed, None, None));
        self.uses_the_latest_waker("exit", exit).await?;
        Ok(())
    }

    async fn exit_releases(&mut self) -> Found {
        let before = self.clean().await?;
        for cause in self.causes() {
            self.cycle(cause).await?;
            if cause != Cause::Dropped && !self.is_released(before).await {
                return wrong(format!(
                    "exit, told `{}`, did not release what enter had opened; release it whatever the cause",
                    name(cause)
                ));
            }
        }
        Ok(())
    }

    async fn exit_releases_before_it_returns(&mut self) -> Found {
        let before = self.clean().await?;
        self.cycle(Cause::Completed).await?;
        if self.open_count()? > before && self.is_released(before).await {
            return wrong(
                "exit returned first, and released later; await it in exit, as the managers further out may close what it \
                 needs (ORD-2)",
            );
        }
        Ok(())
    }

    async fn exit_leaves_nothing_pending(&mut self) -> Found {
        self.cycle(Cause::Completed).await?;
        if !self.bench.settled().await {
            return wrong("clean-up that exit detached does not finish; await it in exit");
        }
        Ok(())
    }

    async fn exit_dropped_half_way_releases(&mut self) -> Found {
        let before = self.clean().await?;
        self.cycle(Cause::Completed).await?;
        if self.forgotten.get() {
            return skipped("exit does not wake its task");
        }
        if !self.is_released(before).await {
            return skipped("exit releases nothing");
        }
        if let Err(Finding::Wrong(why)) = self.exit_uses_the_latest_waker().await {
            return skipped(why);
        }
        let before = self.clean().await?;
        for polls in 0..POINTS {
            if !self.exit_dropped_after(polls).await? {
                break;
            }
            if !self.is_released(before).await {
                return wrong(format!(
                    "exit was dropped after {polls} polls, and what enter had opened stayed open; {}",
                    if self.given.scoped {
                        "keep it in the resource, or in what exit made of it, and release it when that is dropped (CAN-2)"
                    } else {
                        "exit is carried on in another task, so wait for nothing there that only the block does (CAN-2)"
                    }
                ));
            }
        }
        Ok(())
    }

    // --- Dropped --------------------------------------------------------------------------------------------------

    /// Drops a block in its body.
    async fn abandon(&mut self) -> Result<Result<(), String>, Finding> {
        let (manager, resource) = self.enter().await?;
        Ok(caught(|| {
            self.bench.within(|| manager.abandon(resource, None, None));
        }))
    }

    async fn dropped_body_releases(&mut self) -> Found {
        let before = self.clean().await?;
        if !self.given.scoped {
            self.cycle(Cause::Dropped).await?;
            if self.forgotten.get() {
                return skipped("exit does not wake its task");
            }
            self.is_released(before).await;
        }
        let before = self.clean().await?;
        let _ = self.abandon().await?;
        if !self.is_released(before).await {
            return wrong(format!(
                "the block was dropped in its body, and what enter had opened stayed open; release it in {}",
                if self.given.scoped {
                    "`abandon`, or when the resource is dropped (CAN-1)"
                } else {
                    "exit, also when it is told `dropped` (CAN-1)"
                }
            ));
        }
        Ok(())
    }

    async fn dropped_body_releases_before_outer_exits(&mut self) -> Found {
        let before = self.clean().await?;
        let log = EventLog::new();
        let inside = Cell::new(false);
        let manager = Item(self.make());
        let mut block = self.bench.hold(async {
            crate::async_with! { log.manager("outer") => {
                crate::async_with! { manager => {
                    inside.set(true);
                    pending::<()>().await;
                }}
            }}
            Ok::<(), Trouble>(())
        });
        let flag = self.bench.flag();
        let reached = async {
            while !inside.get() {
                if !self.bench.woken(&flag).await
                    || !matches!(self.poll(block.as_mut(), &flag), Ok(Poll::Pending))
                {
                    return false;
                }
            }
            true
        };
        let reached = reached.await;
        drop(block);
        if !reached {
            return skipped("the block did not come to its body");
        }
        let _ = log.take();
        let early = Cell::new(false);
        let told = self
            .bench
            .until(|| {
                let told = !log.events().is_empty();
                early.set(told && self.open_count().is_ok_and(|open| open > before));
                told
            })
            .await;
        if !told {
            return skipped("exit does not finish");
        }
        if early.get() && self.is_released(before).await {
            return wrong(
                "two nested blocks were dropped, and the manager further out exited before this one had released; release \
                 in exit itself, not in a task of its own (CAN-3)",
            );
        }
        Ok(())
    }

    async fn abandon_does_not_panic(&mut self) -> Found {
        if !self.given.scoped {
            return skipped("only a scoped manager is abandoned");
        }
        let mut manager = self.make();
        let resource = match self.try_enter(&mut manager).await {
            Ok(resource) => resource,
            Err(trouble) => return Err(trouble.elsewhere("enter")),
        };
        let abandon = async { self.bench.within(|| manager.abandon(resource, None, None)) };
        let (abandoned, entries) = report::collect(async { self.finish(abandon).await }).await;
        let panicked = entries.into_iter().find_map(|entry| match entry.incident {
            Incident::Panicked(message) => Some(message),
            _ => None,
        });
        match (abandoned, panicked) {
            (Err(Trouble::Panicked(message)), _) | (_, Some(message)) => wrong(format!(
                "`abandon` panicked: {message}; it runs in a drop, where nobody can handle that"
            )),
            _ => Ok(()),
        }
    }

    // --- Verdicts -------------------------------------------------------------------------------------------------

    async fn completion_is_not_suppressed(&mut self) -> Found {
        match self.verdict(Cause::Completed).await? {
            Verdict::Propagate => Ok(()),
            verdict => wrong(format!(
                "exit, told `completed`, decides `{verdict:?}`, and there is nothing to suppress; decide by the cause \
                 (SUP-1)"
            )),
        }
    }

    async fn errors_are_not_suppressed(&mut self) -> Found {
        match self.verdict(failed()).await? {
            Verdict::Propagate => Ok(()),
            _ if self.given.may.suppress_errors => Ok(()),
            verdict => wrong(format!(
                "exit, told of an error that it does not know, decides `{verdict:?}`; suppress certain errors only, or \
                 say `suppresses_errors()` if that is what the manager is for"
            )),
        }
    }

    async fn panics_are_not_suppressed(&mut self) -> Found {
        match self.verdict(Cause::Panicked).await? {
            Verdict::SuppressPanic if !self.given.may.suppress_panics => wrong(
                "exit suppresses a panic; a failed assertion is one, so leave it, or say `suppresses_panics()` if that is \
                 what the manager is for (SUP-4)",
            ),
            _ => Ok(()),
        }
    }

    async fn drops_are_not_suppressed(&mut self) -> Found {
        self.survives()?;
        match self.verdict(Cause::Dropped).await? {
            Verdict::Propagate => Ok(()),
            verdict => wrong(format!(
                "exit, told `dropped`, decides `{verdict:?}`, and nobody is left to go on; decide by the cause (SUP-4)"
            )),
        }
    }

    // --- Inspect, interrupt, guards -------------------------------------------------------------------------------

    async fn inspect_does_not_panic(&mut self) -> Found {
        self.inspected().await?.map(|_| ()).or_else(|message| {
            wrong(format!(
                "`inspect` panicked: {message}; it may see errors of any type, so expect none"
            ))
        })
    }

    async fn inspect_keeps_the_error(&mut self) -> Found {
        if self.given.may.change_errors {
            return skipped("it changes errors on purpose");
        }
        match self.inspected().await? {
            Ok(Some(changed)) => wrong(format!(
                "`inspect` changed {changed}; only add to errors that the manager knows, or say `changes_errors()` if that \
                 is what it is for"
            )),
            _ => Ok(()),
        }
    }

    /// Shows errors to `inspect`. Returns which of them it changed.
    async fn inspected(&mut self) -> Result<Result<Option<&'static str>, String>, Finding> {
        const TEXT: &str = "shown by a check";
        let (mut manager, mut resource) = self.enter().await?;
        let mut io = io::Error::other(TEXT);
        let mut fault = Fault(TEXT);
        let mut object: Box<dyn Error + Send + Sync> = TEXT.into();
        let mut text = TEXT.to_owned();
        let inspected = caught(|| {
            manager.inspect(&mut resource, Raised::from_error(&mut io));
            manager.inspect(&mut resource, Raised::from_error(&mut fault));
            manager.inspect(&mut resource, Raised::from_debug(&mut object));
            manager.inspect(&mut resource, Raised::from_debug(&mut text));
        });
        let _ = self.exit(manager, resource, failed()).await;
        let kept = [
            (
                "an `io::Error`",
                io.kind() == io::ErrorKind::Other && io.to_string() == TEXT,
            ),
            ("an error type of another crate", fault == Fault(TEXT)),
            ("a `Box<dyn Error>`", object.to_string() == TEXT),
            ("a `String`", text == TEXT),
        ];
        let changed = kept.into_iter().find(|(_, kept)| !kept);
        Ok(inspected.map(|()| changed.map(|(what, _)| what)))
    }

    /// Polls `interrupt` once.
    async fn interrupt(&mut self) -> Result<Result<bool, String>, Finding> {
        let (manager, resource) = self.enter().await?;
        let flag = self.bench.flag();
        let fired = caught(|| {
            let mut interrupt = self.bench.hold(fires(manager.interrupt(&resource)));
            self.bench.poll(interrupt.as_mut(), &flag).is_ready()
        });
        let _ = self.exit(manager, resource, Cause::Completed).await;
        Ok(fired)
    }

    async fn interrupt_does_not_panic(&mut self) -> Found {
        self.interrupt().await?.map(|_| ()).or_else(|message| {
            wrong(format!(
                "`interrupt` panicked: {message}; resolve to an error, which the block raises"
            ))
        })
    }

    async fn interrupt_does_not_fire_at_once(&mut self) -> Found {
        match self.interrupt().await? {
            Ok(true) => wrong(
                "`interrupt` was ready when it was first polled, so no body can wait for anything; fail in enter instead \
                 (CAN-6)",
            ),
            _ => Ok(()),
        }
    }

    async fn interrupt_releases(&mut self) -> Found {
        let before = self.clean().await?;
        self.cycle(Cause::Completed).await?;
        if !self.is_released(before).await {
            return skipped("exit releases nothing");
        }
        let _ = self.interrupt().await?;
        if !self.is_released(before).await {
            return wrong(
                "`interrupt` was polled and dropped, and what it had opened stayed open; it is dropped whenever the body \
                 ends first (CAN-6)",
            );
        }
        Ok(())
    }

    async fn interruption_from_outside_ends_the_block(&mut self) -> Found {
        self.cycle(Cause::Cancelled).await?;
        if !self.bench.settled().await {
            return skipped("exit leaves something pending");
        }
        let inside = Cell::new(false);
        let manager = Item(self.make());
        let block = async {
            crate::async_with! { InterruptWhen(&inside) => {
                crate::async_with! { manager => {
                    inside.set(true);
                    pending::<()>().await;
                }}
            }}
            Ok::<(), Trouble>(())
        };
        match self.finish(block).await {
            Err(trouble @ (Trouble::Endless | Trouble::Silent)) => wrong(format!(
                "a manager further out interrupted the body, and the block {trouble}; exit in place, and wait for nothing \
                 of the managers further out (CAN-6)"
            )),
            _ => Ok(()),
        }
    }

    async fn guards_can_be_made(&mut self) -> Found {
        let (manager, resource) = self.enter().await?;
        let made = caught(|| {
            drop(manager.around_poll());
            drop(manager.around_poll());
        });
        let _ = self.exit(manager, resource, Cause::Completed).await;
        made.or_else(|message| {
            wrong(format!(
                "`around_poll`, or the drop of its guard, panicked: {message}; it runs at each poll of the body (EXI-6)"
            ))
        })
    }

    async fn guards_are_balanced(&mut self) -> Found {
        if self.given.guard_count.is_none() {
            return skipped("needs `guard_count`");
        }
        let (manager, resource) = self.enter().await?;
        let held = || self.given.guard_count.as_ref().map_or(0, |count| count());
        let before = held();
        let made = caught(|| {
            drop(manager.around_poll());
            drop(manager.around_poll());
        });
        let after = held();
        let _ = self.exit(manager, resource, Cause::Completed).await;
        if made.is_ok() && after != before {
            return wrong(format!(
                "two polls of the body left {after} guards held, where there were {before}; undo in the guard's `Drop` \
                 what `around_poll` did (EXI-6)"
            ));
        }
        Ok(())
    }

    // --- Several --------------------------------------------------------------------------------------------------

    /// Two that are entered at the same time.
    async fn two(&mut self) -> Result<[(S, S::Resource); 2], Finding> {
        if self.given.may.be_exclusive {
            return skipped("only one can be open at a time");
        }
        let (manager, mut resource) = self.enter().await?;
        let works = self.works(&mut resource);
        if let Err(trouble) = self.try_exit(manager, resource, Cause::Completed).await {
            return Err(trouble.elsewhere("exit"));
        }
        if !works {
            return skipped("the resource cannot be used");
        }
        let first = self.enter().await?;
        match self.enter().await {
            Ok(second) => Ok([first, second]),
            Err(finding) => {
                let _ = self.exit(first.0, first.1, Cause::Completed).await;
                Err(finding)
            }
        }
    }

    async fn two_can_be_open(&mut self) -> Found {
        if self.given.may.be_exclusive {
            return skipped("only one can be open at a time");
        }
        self.cycle(Cause::Completed).await?;
        let first = self.enter().await?;
        let second = self.enter().await;
        let _ = self.exit(first.0, first.1, Cause::Completed).await;
        match second {
            Ok(second) => {
                let _ = self.exit(second.0, second.1, Cause::Completed).await;
                Ok(())
            }
            Err(Finding::Skipped(why) | Finding::Wrong(why)) => wrong(format!(
                "one manager was open, and a second one could not be: {why}; share nothing, or say `exclusive()` if that \
                 is what the manager is for"
            )),
        }
    }

    async fn two_exit_in_order(&mut self) -> Found {
        let [first, second] = self.two().await?;
        self.two_exit("the one entered first", first, second).await
    }

    async fn two_exit_in_reverse(&mut self) -> Found {
        let [first, second] = self.two().await?;
        self.two_exit("the one entered last", second, first).await
    }

    async fn two_exit(
        &mut self,
        which: &str,
        first: (S, S::Resource),
        mut second: (S, S::Resource),
    ) -> Found {
        let disturbed = |what: String| {
            wrong(format!(
                "two managers were open, and {which} exited first; then {what}; keep in the manager what belongs to it"
            ))
        };
        let exited = self.try_exit(first.0, first.1, Cause::Completed).await;
        if let Err(trouble) = exited {
            return disturbed(format!("its exit {trouble}"));
        }
        if !self.works(&mut second.1) {
            return disturbed("the resource of the other one could not be used".to_owned());
        }
        match self.try_exit(second.0, second.1, Cause::Completed).await {
            Ok(_) => Ok(()),
            Err(trouble) => disturbed(format!("the exit of the other one {trouble}")),
        }
    }

    async fn many_cycles_release(&mut self) -> Found {
        let before = self.clean().await?;
        self.cycle(Cause::Completed).await?;
        if !self.is_released(before).await {
            return skipped("exit releases nothing");
        }
        for _ in 0..CYCLES {
            self.cycle(Cause::Completed).await?;
        }
        if !self.is_released(before).await {
            return wrong(format!(
                "one cycle releases what it opens, and {CYCLES} do not; look for what is kept now and then"
            ));
        }
        Ok(())
    }

    async fn enter_works_in_the_end(&mut self) -> Found {
        if self.given.found_wrong {
            return skipped("another check failed");
        }
        match self.entered().await {
            Ok(()) => Ok(()),
            Err(trouble) => wrong(format!(
                "after all the checks, enter {trouble}; it worked at first, so look at what an enter or exit that was \
                 dropped half-way leaves behind"
            )),
        }
    }

    async fn nothing_is_reported(&mut self) -> Found {
        let cycle = async {
            self.cycle(Cause::Completed).await?;
            self.bench.settled().await;
            Ok(())
        };
        let (found, entries) = report::collect(cycle).await;
        found?;
        match entries.first() {
            Some(entry) => wrong(format!(
                "a body completed, and still something was reported: {entry}; handle what fails inside of the manager"
            )),
            None => Ok(()),
        }
    }
}

/// Interrupts a body that has set the cell.
struct InterruptWhen<'a>(&'a Cell<bool>);

impl<'a> ScopedAsyncContextManager for InterruptWhen<'a> {
    type Resource = ();
    type Error = Fault;
    type Exit = ();

    async fn enter(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    async fn exit(self, (): (), _: Cause) -> Result<(), Fault> {
        Ok(())
    }

    fn interrupt(&self, (): &()) -> impl Interruption<Fault> + use<'a> {
        let inside = self.0;
        // It is polled after each poll of the body.
        poll_fn(move |_| {
            if inside.get() {
                Poll::Ready(Fault("further out"))
            } else {
                Poll::Pending
            }
        })
    }
}

fn name(cause: Cause) -> &'static str {
    match cause {
        Cause::Completed => "completed",
        Cause::Failed(_) => "failed",
        Cause::Panicked => "panicked",
        Cause::Cancelled => "cancelled",
        Cause::Dropped => "dropped",
    }
}
