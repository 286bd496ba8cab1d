//! The module for the tests of people who write managers.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::{self, Debug, Formatter};
use std::future::{Future, pending, poll_fn};
use std::io;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use async_with::testing::{
    Conformance, EventLog, Fault, Gate, Report, Step, assert_conforms, block_on, check_manager,
    explore_cancellations, pend,
};
use async_with::{
    AsyncContextManager, Cause, PendingExit, Raised, ScopedAsyncContextManager, Verdict,
    async_with, cancellable, detach, exit_within, move_on_after, move_on_when_cancelled,
    pending_exits, report, timeout,
};
use async_with_tests::{Boom, Log};
use tokio_util::sync::CancellationToken;

// --- Managers with one flaw each ------------------------------------------------------------------------------------

/// What managers share, and what probes look at.
#[derive(Default)]
struct World {
    open: AtomicUsize,
    guards: AtomicUsize,
    /// The next enter fails.
    poisoned: AtomicUsize,
    /// Completed cycles in a row.
    cycles: AtomicUsize,
    ids: AtomicUsize,
    entered: Mutex<VecDeque<usize>>,
    /// Released late.
    deferred: Mutex<Vec<Open>>,
    asked: AtomicUsize,
}

impl World {
    fn open_count(&self) -> usize {
        let open = self.open.load(Ordering::SeqCst);
        let mut deferred = self.deferred.lock().unwrap();
        if !deferred.is_empty() && self.asked.fetch_add(1, Ordering::SeqCst) > 0 {
            let late = std::mem::take(&mut *deferred);
            drop(deferred);
            drop(late);
            self.asked.store(0, Ordering::SeqCst);
            return self.open.load(Ordering::SeqCst);
        }
        open
    }
}

/// Something that is open until it is dropped.
struct Open(Arc<World>);

impl Open {
    fn new(world: &Arc<World>) -> Self {
        world.open.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(world))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Runs when it is dropped, unless it was disarmed.
struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(run) = self.0.take() {
            run();
        }
    }
}

/// Pends twice, and always wakes whoever polled first.
async fn wake_the_first() {
    let mut first: Option<Waker> = None;
    let mut left = 2;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        first
            .get_or_insert_with(|| cx.waker().clone())
            .wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Pends once, and wakes nobody.
async fn wake_nobody() {
    let mut polled = false;
    poll_fn(|_| {
        if std::mem::replace(&mut polled, true) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

/// Pends once, and goes on in the same task only.
async fn stay_in_this_task() {
    let mut first: Option<Waker> = None;
    poll_fn(|cx| match &first {
        Some(first) if first.will_wake(cx.waker()) => Poll::Ready(()),
        Some(_) => Poll::Pending,
        None => {
            cx.waker().wake_by_ref();
            first = Some(cx.waker().clone());
            Poll::Pending
        }
    })
    .await;
}

/// Without the hook's message.
fn quiet_panic<T>() -> T {
    resume_unwind(Box::new("on purpose"))
}

/// A manager that has the flaw that the check with this name looks for.
struct Flawed {
    flaw: &'static str,
    world: Arc<World>,
    fails: bool,
    early: Option<Open>,
}

struct Resource {
    world: Arc<World>,
    open: Option<Open>,
    id: usize,
    usable: bool,
}

impl Drop for Resource {
    fn drop(&mut self) {
        let mut entered = self.world.entered.lock().unwrap();
        entered.retain(|id| *id != self.id);
    }
}

struct Refused {
    quiet: bool,
}

impl Debug for Refused {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(if self.quiet { "" } else { "Refused" })
    }
}

impl Flawed {
    fn new(flaw: &'static str, world: &Arc<World>, fails: bool) -> Self {
        Self {
            flaw,
            world: Arc::clone(world),
            fails,
            early: (flaw == "construction_acquires_nothing").then(|| Open::new(world)),
        }
    }

    fn is(&self, flaw: &str) -> bool {
        self.flaw == flaw
    }

    fn enter(&mut self) -> impl Future<Output = Result<Resource, Refused>> + Send + use<> {
        let (flaw, world, fails) = (self.flaw, Arc::clone(&self.world), self.fails);
        let early = match self.early.take() {
            None if self.is("enter_is_lazy") => Some(Open::new(&self.world)),
            early => early,
        };
        async move {
            let refused = Refused {
                quiet: flaw == "errors_can_be_shown",
            };
            if world.poisoned.swap(0, Ordering::SeqCst) > 0 {
                return Err(refused);
            }
            let mut dropped = OnDrop(Some(|| match flaw {
                "enter_works_after_a_dropped_one" => world.poisoned.store(1, Ordering::SeqCst),
                "dropped_enter_leaves_nothing_pending" => detach("stuck", pending()),
                "dropped_enter_releases" => std::mem::forget(Open::new(&world)),
                _ => {}
            }));
            match flaw {
                "enter_does_not_panic" => quiet_panic(),
                "enter_finishes" => pending().await,
                "enter_wakes" => wake_nobody().await,
                "enter_uses_the_latest_waker" => wake_the_first().await,
                _ => pend(1).await,
            }
            let is_refused = flaw == "enter_succeeds"
                || flaw == "two_can_be_open" && world.open.load(Ordering::SeqCst) > 0;
            let open = match early {
                Some(open) => Some(open),
                None if flaw == "enter_raises_the_open_count" => None,
                None => Some(Open::new(&world)),
            };
            pend(1).await;
            dropped.0 = None;
            if fails {
                match flaw {
                    "failed_enter_releases" => std::mem::forget(open),
                    "enter_works_after_a_failed_one" => world.poisoned.store(1, Ordering::SeqCst),
                    _ => {}
                }
                return Err(refused);
            }
            if is_refused {
                return Err(refused);
            }
            let id = world.ids.fetch_add(1, Ordering::SeqCst);
            world.entered.lock().unwrap().push_back(id);
            Ok(Resource {
                world: Arc::clone(&world),
                open,
                id,
                usable: flaw != "resource_is_usable",
            })
        }
    }

    async fn exit(self, mut resource: Resource, cause: Cause) -> Result<Verdict, Refused> {
        let Self {
            flaw, ref world, ..
        } = self;
        let is_last = {
            let entered = world.entered.lock().unwrap();
            let is_last = entered.back() == Some(&resource.id);
            let is_first = entered.front() == Some(&resource.id);
            match flaw {
                "two_exit_in_order" => is_last,
                "two_exit_in_reverse" => is_first,
                _ => true,
            }
        };
        let name = match cause {
            Cause::Completed => "completed",
            Cause::Failed(_) => "failed",
            Cause::Panicked => "panicked",
            Cause::Cancelled => "cancelled",
            Cause::Dropped => "dropped",
        };
        if flaw.strip_prefix("exit_finishes_when_") == Some(name) {
            pending::<()>().await;
        }
        let of_a_block = |pending: &PendingExit| pending.manager.starts_with("async_with::testing");
        match (flaw, cause) {
            ("exit_wakes", _) => wake_nobody().await,
            ("exit_uses_the_latest_waker", _) => wake_the_first().await,
            ("exit_dropped_half_way_releases", _) => stay_in_this_task().await,
            ("exit_does_not_panic", Cause::Panicked) => quiet_panic(),
            ("exit_releases", Cause::Cancelled) | ("dropped_body_releases", Cause::Dropped) => {
                std::mem::forget(resource.open.take());
            }
            ("exit_releases_before_it_returns", _) => {
                let open = resource.open.take();
                detach("late", async { drop(open) });
            }
            ("exit_leaves_nothing_pending", _) => detach("stuck", pending()),
            ("dropped_body_releases_before_outer_exits", Cause::Dropped) => {
                world.deferred.lock().unwrap().extend(resource.open.take());
            }
            ("interruption_from_outside_ends_the_block", Cause::Cancelled)
                if pending_exits().iter().any(of_a_block) =>
            {
                pending::<()>().await;
            }
            ("many_cycles_release", Cause::Completed) => {
                if world.cycles.fetch_add(1, Ordering::SeqCst) >= 60 {
                    std::mem::forget(resource.open.take());
                }
            }
            ("many_cycles_release", _) => world.cycles.store(0, Ordering::SeqCst),
            ("nothing_is_reported", _) => detach("noisy", async { quiet_panic() }),
            _ => pend(1).await,
        }
        drop(resource);
        pend(1).await;
        match (flaw, cause) {
            ("exit_succeeds_when_completed", Cause::Completed)
            | ("exit_does_not_raise_the_failure", Cause::Failed(_)) => {
                Err(Refused { quiet: false })
            }
            _ if !is_last => Err(Refused { quiet: false }),
            ("completion_is_not_suppressed", Cause::Completed)
            | ("errors_are_not_suppressed", Cause::Failed(_))
            | ("drops_are_not_suppressed", Cause::Dropped) => Ok(Verdict::Suppress),
            ("panics_are_not_suppressed", Cause::Panicked) => Ok(Verdict::SuppressPanic),
            _ => Ok(Verdict::Propagate),
        }
    }

    fn inspect(&self, mut raised: Raised<'_>) {
        if self.is("inspect_does_not_panic") {
            quiet_panic::<()>();
        }
        if self.is("inspect_keeps_the_error")
            && let Some(error) = raised.downcast_mut::<io::Error>()
        {
            *error = io::ErrorKind::NotFound.into();
        }
    }

    fn interrupt(&self) -> impl Future<Output = Refused> + Send + use<> {
        if self.is("interrupt_does_not_panic") {
            quiet_panic::<()>();
        }
        let (flaw, world) = (self.flaw, Arc::clone(&self.world));
        async move {
            match flaw {
                "interrupt_does_not_fire_at_once" => Refused { quiet: false },
                "interrupt_releases" => {
                    std::mem::forget(Open::new(&world));
                    pending().await
                }
                _ => pending().await,
            }
        }
    }

    fn around_poll(&self) -> impl Sized + use<> {
        if self.is("guards_can_be_made") {
            quiet_panic::<()>();
        }
        self.world.guards.fetch_add(1, Ordering::SeqCst);
        let (world, keeps) = (Arc::clone(&self.world), self.is("guards_are_balanced"));
        OnDrop(Some(move || {
            if !keeps {
                world.guards.fetch_sub(1, Ordering::SeqCst);
            }
        }))
    }
}

impl AsyncContextManager for Flawed {
    type Resource = Resource;
    type Error = Refused;
    type Exit = Verdict;

    fn enter(&mut self) -> impl Future<Output = Result<Resource, Refused>> + Send {
        Flawed::enter(self)
    }

    async fn exit(self, resource: Resource, cause: Cause) -> Result<Verdict, Refused> {
        Flawed::exit(self, resource, cause).await
    }

    fn inspect(&mut self, _: &mut Resource, raised: Raised<'_>) {
        Flawed::inspect(self, raised);
    }

    fn interrupt(&self, _: &Resource) -> impl Future<Output = Refused> + Send + use<> {
        Flawed::interrupt(self)
    }

    fn around_poll(&self) -> impl Sized {
        Flawed::around_poll(self)
    }
}

/// The same as a scoped manager.
struct FlawedScoped(Flawed);

impl ScopedAsyncContextManager for FlawedScoped {
    type Resource = Resource;
    type Error = Refused;
    type Exit = Verdict;

    fn enter(&mut self) -> impl Future<Output = Result<Resource, Refused>> {
        self.0.enter()
    }

    async fn exit(self, mut resource: Resource, cause: Cause) -> Result<Verdict, Refused> {
        if self.0.is("exit_dropped_half_way_releases") {
            let open = std::mem::ManuallyDrop::new(resource.open.take());
            pend(1).await;
            drop(std::mem::ManuallyDrop::into_inner(open));
            return Ok(Verdict::Propagate);
        }
        self.0.exit(resource, cause).await
    }

    fn abandon(self, mut resource: Resource) {
        match self.0.flaw {
            "abandon_does_not_panic" => quiet_panic(),
            "dropped_body_releases" => std::mem::forget(resource),
            "dropped_body_releases_before_outer_exits" => {
                self.0
                    .world
                    .deferred
                    .lock()
                    .unwrap()
                    .extend(resource.open.take());
            }
            _ => {}
        }
    }

    fn inspect(&mut self, _: &mut Resource, raised: Raised<'_>) {
        self.0.inspect(raised);
    }

    fn interrupt(&self, _: &Resource) -> impl Future<Output = Refused> + use<> {
        self.0.interrupt()
    }

    fn around_poll(&self) -> impl Sized {
        self.0.around_poll()
    }
}

const PATIENCE: Duration = Duration::from_millis(3);

async fn check(flaw: &'static str) -> Report {
    let world = Arc::default();
    Conformance::new(|| Flawed::new(flaw, &world, false))
        .failing_enter(|| Flawed::new(flaw, &world, true))
        .open_count(|| world.open_count())
        .guard_count(|| world.guards.load(Ordering::SeqCst))
        .usable(|resource| resource.usable)
        .patience(PATIENCE)
        .check()
        .await
}

async fn check_scoped(flaw: &'static str) -> Report {
    let world = Arc::default();
    Conformance::scoped(|| FlawedScoped(Flawed::new(flaw, &world, false)))
        .scoped_failing_enter(|| FlawedScoped(Flawed::new(flaw, &world, true)))
        .open_count(|| world.open_count())
        .guard_count(|| world.guards.load(Ordering::SeqCst))
        .usable(|resource| resource.usable)
        .patience(PATIENCE)
        .check()
        .await
}

fn failed(report: &Report) -> Vec<&'static str> {
    report.failed().map(|(name, _)| name).collect()
}

fn skipped(report: &Report) -> Vec<&'static str> {
    report.skipped().map(|(name, _)| name).collect()
}

fn names(report: &Report) -> BTreeSet<&'static str> {
    let mut names: BTreeSet<_> = report.passed().collect();
    names.extend(failed(report));
    names.extend(skipped(report));
    names
}

/// Every check is failed by the manager with its flaw, and by that one only.
#[tokio::test]
async fn each_check_finds_its_flaw_and_no_other() {
    let names = names(&check("none").await);
    assert!(names.len() >= 25, "{names:?}");
    let mut wrong = Vec::new();
    for name in names {
        if name == "abandon_does_not_panic" {
            continue;
        }
        let report = check(name).await;
        let remedies = report.failed().all(|(_, what)| what.contains(';'));
        if failed(&report) != [name] || !remedies {
            wrong.push(format!("{name}: {report}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The same for scoped managers, but for what is asked only of those whose exit survives.
#[tokio::test]
async fn each_check_of_scoped_managers_finds_its_flaw_and_no_other() {
    let mut wrong = Vec::new();
    for name in check_scoped("none").await.passed() {
        let report = check_scoped(name).await;
        if failed(&report) != [name] {
            wrong.push(format!("{name}: {report}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is without a flaw passes whatever applies to it.
#[tokio::test]
async fn managers_without_a_flaw_pass() {
    let report = check("none").await;
    assert!(report.conforms(), "{report}");
    assert_eq!(skipped(&report), ["abandon_does_not_panic"]);
    let report = check_scoped("none").await;
    assert!(report.conforms(), "{report}");
    assert_eq!(
        skipped(&report),
        ["exit_finishes_when_dropped", "drops_are_not_suppressed"]
    );
}
