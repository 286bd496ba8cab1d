//! The module for the tests of people who write managers.

use std::any::Any;
use std::collections::{BTreeSet, VecDeque};
use std::error::Error;
use std::fmt::{self, Debug, Formatter};
use std::future::{Future, pending, poll_fn};
use std::io;
use std::panic::{catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use async_with::testing::{
    Conformance, EventLog, Fault, Gate, Report, Step, assert_conforms, block_on, check_manager,
    explore_cancellations, pend,
};
use async_with::{
    AsyncContextManager, Cause, Interruption, PendingExit, Raised, ScopedAsyncContextManager,
    Verdict, async_with, detach, drain, drain_timeout, manage, pending_exits,
    report::{self, Incident},
};
use async_with_tests::{Boom, Log};

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
                || flaw == "enter_works_in_the_end" && world.cycles.load(Ordering::SeqCst) > 60
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
            ("enter_works_in_the_end", Cause::Completed) => {
                world.cycles.fetch_add(1, Ordering::SeqCst);
            }
            ("many_cycles_release" | "enter_works_in_the_end", _) => {
                world.cycles.store(0, Ordering::SeqCst)
            }
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

    fn interrupt(&self) -> impl Interruption<Refused> + Send + use<> {
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

    fn interrupt(&self, _: &Resource) -> impl Interruption<Refused> + Send + use<> {
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

    fn interrupt(&self, _: &Resource) -> impl Interruption<Refused> + use<> {
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

/// The managers that tests are written with conform; those that programs are written with are checked one by one, in
/// `conformance.rs`.
#[tokio::test]
async fn the_managers_of_tests_pass() {
    let (log, events) = (Log::new(), EventLog::new());
    assert_conforms(|| log.fallible("a").pending(2)).await;
    assert_conforms(|| events.manager("a").pending(2)).await;
    let scoped = [
        Conformance::scoped(|| log.scoped("a").pending(2))
            .check()
            .await,
        Conformance::scoped(|| log.scoped("a").local())
            .check()
            .await,
        Conformance::scoped(|| events.scoped("a").pending(2))
            .check()
            .await,
        Conformance::scoped(|| events.local("a").pending(2))
            .check()
            .await,
    ];
    for report in scoped {
        report.assert();
    }
}

/// A report names the manager, counts, and lists what failed with the remedy; nothing else is written.
#[test]
fn a_report_reads_well_and_is_raised_as_a_panic() {
    let log = EventLog::new();
    let report = block_on(check_manager(|| log.manager("a")));
    assert!(report.conforms());
    let text = report.to_string();
    assert!(
        text.starts_with("async_with::testing::script::Scripted"),
        "{text}"
    );
    let (passed, skipped) = (report.passed().count(), report.skipped().count());
    let (counts, told) = text.split_once('\n').unwrap();
    let expected = format!(": {passed} checks passed, 0 failed, {skipped} skipped");
    assert!(counts.ends_with(&expected), "{text}");
    assert_eq!(
        told,
        "  not told: `failing_enter` (for 2), `guard_count` (for 1), `open_count` (for 12), `usable` (for 1)"
    );

    let failing = || log.manager("a").fails_in_exit();
    let report = block_on(check_manager(failing));
    assert_eq!(
        failed(&report),
        [
            "exit_succeeds_when_completed",
            "exit_does_not_raise_the_failure"
        ]
    );
    let panicked = std::panic::catch_unwind(|| report.assert()).unwrap_err();
    let text = panicked.downcast_ref::<String>().unwrap();
    assert_eq!(*text, report.to_string());
    assert_eq!(text.lines().count(), 4);
    assert!(text.contains(
        "\n  exit_succeeds_when_completed: exit failed after a body that completed: Fault(\"a\");"
    ));

    let panicked = catch_unwind(|| block_on(assert_conforms(failing))).unwrap_err();
    assert_eq!(panicked.downcast_ref::<String>(), Some(text));
}

/// What a manager does on purpose is said to the checks, and is then no flaw.
#[test]
fn what_is_on_purpose_is_no_flaw() {
    let log = EventLog::new();
    let suppressing = |cause: Cause, verdict| {
        if cause.is_completed() {
            Verdict::Propagate
        } else {
            verdict
        }
    };
    struct Suppressing<F>(F, Verdict);
    impl<F: Fn(Cause, Verdict) -> Verdict + Send + 'static> AsyncContextManager for Suppressing<F> {
        type Resource = ();
        type Error = Boom;
        type Exit = Verdict;

        async fn enter(&mut self) -> Result<(), Boom> {
            Ok(())
        }

        async fn exit(self, (): (), cause: Cause) -> Result<Verdict, Boom> {
            match cause {
                Cause::Dropped => Ok(Verdict::Propagate),
                cause => Ok((self.0)(cause, self.1)),
            }
        }

        fn inspect(&mut self, (): &mut (), mut raised: Raised<'_>) {
            if let Some(text) = raised.downcast_mut::<String>() {
                text.push('!');
            }
        }
    }
    let conformance = || Conformance::new(|| Suppressing(suppressing, Verdict::SuppressPanic));
    assert_eq!(
        failed(&block_on(conformance().check())),
        [
            "errors_are_not_suppressed",
            "panics_are_not_suppressed",
            "inspect_keeps_the_error"
        ]
    );
    let told = conformance()
        .suppresses_errors()
        .suppresses_panics()
        .changes_errors();
    block_on(told.check()).assert();

    // A lock: the second one waits for the first.
    let gate = tokio::sync::Semaphore::new(1);
    let gate = Arc::new(gate);
    struct Locked(Arc<tokio::sync::Semaphore>);
    impl AsyncContextManager for Locked {
        type Resource = tokio::sync::OwnedSemaphorePermit;
        type Error = Boom;
        type Exit = ();

        async fn enter(&mut self) -> Result<Self::Resource, Boom> {
            let permit = Arc::clone(&self.0).acquire_owned().await;
            permit.map_err(|_| Boom("closed"))
        }

        async fn exit(self, _: Self::Resource, _: Cause) -> Result<(), Boom> {
            pend(1).await;
            Ok(())
        }
    }
    let lock = || {
        Conformance::new(|| Locked(Arc::clone(&gate)))
            .open_count(|| 1 - gate.available_permits())
            .patience(PATIENCE)
    };
    assert_eq!(failed(&block_on(lock().check())), ["two_can_be_open"]);
    block_on(lock().exclusive().check()).assert();
    drop(log);
}

/// An exit that asks to be polled for ever is found after the polls that are allowed.
#[test]
fn polls_are_bounded() {
    let log = EventLog::new();
    let slow = || Conformance::new(|| log.manager("a").pending_in_exit(50));
    block_on(slow().check()).assert();
    let report = block_on(slow().max_polls(20).check());
    assert_eq!(failed(&report).len(), 5, "{report}");
    assert!(
        report
            .to_string()
            .contains("was polled very often and never ready")
    );
}

/// What one check leaves open does not hide a flaw from the next one, where a cycle makes up for it; and what a manager
/// keeps open for good is found once, by the first check that looks.
#[test]
fn each_check_starts_from_what_a_cycle_leaves_open() {
    #[derive(Clone, Default)]
    struct Counts {
        open: Arc<AtomicUsize>,
        left: Arc<AtomicUsize>,
    }

    /// Unless the body completed, it leaves to the next enter what it had to close in exit.
    struct LeavesItToTheNext(Counts);
    impl AsyncContextManager for LeavesItToTheNext {
        type Resource = ();
        type Error = Boom;
        type Exit = ();

        async fn enter(&mut self) -> Result<(), Boom> {
            let left = self.0.left.swap(0, Ordering::SeqCst);
            self.0.open.fetch_sub(left, Ordering::SeqCst);
            self.0.open.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }

        async fn exit(self, (): (), cause: Cause) -> Result<(), Boom> {
            if cause.is_completed() {
                self.0.open.fetch_sub(1, Ordering::SeqCst);
            } else {
                self.0.left.fetch_add(1, Ordering::SeqCst);
            }
            Ok(())
        }
    }
    let counts = Counts::default();
    let conformance = Conformance::new(|| LeavesItToTheNext(counts.clone()))
        .open_count(|| counts.open.load(Ordering::SeqCst))
        .patience(PATIENCE);
    let report = block_on(conformance.check());
    assert_eq!(
        failed(&report),
        ["exit_releases", "dropped_body_releases"],
        "{report}"
    );
    assert_told(&report, "exit, told `failed`, did not release");

    /// Opens one more at first, which all share.
    struct Sharing(Arc<AtomicUsize>);
    impl AsyncContextManager for Sharing {
        type Resource = ();
        type Error = Boom;
        type Exit = ();

        async fn enter(&mut self) -> Result<(), Boom> {
            let _ = self
                .0
                .compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst);
            self.0.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }

        async fn exit(self, (): (), _: Cause) -> Result<(), Boom> {
            self.0.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        }
    }
    let open = Arc::default();
    let check = || {
        let conformance = Conformance::new(|| Sharing(Arc::clone(&open)))
            .open_count(|| open.load(Ordering::SeqCst))
            .patience(PATIENCE);
        block_on(conformance.check())
    };
    let report = check();
    assert_eq!(failed(&report), ["exit_releases"], "{report}");
    assert_told(&report, "exit, told `completed`, did not release");
    // What is open before the checks is none of theirs.
    check().assert();
}

fn assert_told(report: &Report, what: &str) {
    assert!(
        report.failed().any(|(_, told)| told.starts_with(what)),
        "{report}"
    );
}

/// Panics in exit, when it is told this cause.
struct PanicsWhenTold(&'static str);

impl PanicsWhenTold {
    fn exit(self, cause: Cause) {
        if cause.to_string().starts_with(self.0) {
            quiet_panic::<()>();
        }
    }
}

impl AsyncContextManager for PanicsWhenTold {
    type Resource = ();
    type Error = Boom;
    type Exit = ();

    async fn enter(&mut self) -> Result<(), Boom> {
        Ok(())
    }

    async fn exit(self, (): (), cause: Cause) -> Result<(), Boom> {
        PanicsWhenTold::exit(self, cause);
        Ok(())
    }
}

impl ScopedAsyncContextManager for PanicsWhenTold {
    type Resource = ();
    type Error = Boom;
    type Exit = ();

    async fn enter(&mut self) -> Result<(), Boom> {
        Ok(())
    }

    async fn exit(self, (): (), cause: Cause) -> Result<(), Boom> {
        PanicsWhenTold::exit(self, cause);
        Ok(())
    }
}

/// EXI-4, CAN-1: an exit is asked with every cause that one of its kind can be told, and the finding says with which.
#[test]
fn an_exit_is_asked_with_every_cause() {
    for cause in ["completed", "failed", "panicked", "cancelled", "dropped"] {
        let finding = format!("exit, told `{cause}`, panicked: on purpose; return an error");
        let finding = [("exit_does_not_panic", finding.as_str())];
        let report = block_on(check_manager(|| PanicsWhenTold(cause)));
        assert_eq!(report.failed().collect::<Vec<_>>(), finding, "{report}");
        let conformance = Conformance::scoped(|| PanicsWhenTold(cause));
        let report = block_on(conformance.check());
        if cause == "dropped" {
            // It is abandoned instead.
            report.assert();
        } else {
            assert_eq!(report.failed().collect::<Vec<_>>(), finding, "{report}");
        }
    }
}

/// A finding quotes the message of the panic, if it has one.
#[test]
fn the_message_of_a_panic_is_quoted() {
    type Payload = fn() -> Box<dyn Any + Send>;
    let payloads: [(Payload, &str); 3] = [
        (|| Box::new("a literal"), "a literal"),
        (|| Box::new("a string".to_owned()), "a string"),
        (|| Box::new(7), "(no message)"),
    ];
    for (payload, message) in payloads {
        let panicking = || manage((), move |(), _| async move { resume_unwind(payload()) });
        let report = block_on(check_manager(panicking));
        assert_eq!(failed(&report), ["exit_does_not_panic"], "{report}");
        assert_told(
            &report,
            &format!("exit, told `completed`, panicked: {message};"),
        );
    }
}

/// ERR-6: `inspect` is shown errors of several kinds, and any change is found, also one that keeps half of an error.
#[test]
fn each_error_that_inspect_changes_is_found() {
    type Change = fn(&mut Raised<'_>);
    struct Meddling(Change);
    impl AsyncContextManager for Meddling {
        type Resource = ();
        type Error = Boom;
        type Exit = ();

        async fn enter(&mut self) -> Result<(), Boom> {
            Ok(())
        }

        async fn exit(self, (): (), _: Cause) -> Result<(), Boom> {
            Ok(())
        }

        fn inspect(&mut self, (): &mut (), mut raised: Raised<'_>) {
            (self.0)(&mut raised);
        }
    }
    fn change<E: 'static>(raised: &mut Raised<'_>, change: impl FnOnce(&mut E)) {
        if let Some(error) = raised.downcast_mut() {
            change(error);
        }
    }
    let changes: [(&str, Change); 5] = [
        ("an `io::Error`", |raised| {
            change(raised, |error: &mut io::Error| {
                *error = io::Error::new(io::ErrorKind::NotFound, error.to_string());
            });
        }),
        ("an `io::Error`", |raised| {
            change(raised, |error: &mut io::Error| {
                *error = io::Error::new(error.kind(), "another text");
            });
        }),
        ("an error type of another crate", |raised| {
            change(raised, |fault: &mut Fault| fault.0 = "another text");
        }),
        ("a `Box<dyn Error>`", |raised| {
            change(raised, |object: &mut Box<dyn Error + Send + Sync>| {
                *object = "another text".into();
            });
        }),
        ("a `String`", |raised| {
            change(raised, |text: &mut String| text.push('!'));
        }),
    ];
    for (what, change) in changes {
        let report = block_on(check_manager(|| Meddling(change)));
        assert_eq!(failed(&report), ["inspect_keeps_the_error"], "{report}");
        assert_told(&report, &format!("`inspect` changed {what};"));
    }
    block_on(check_manager(|| Meddling(|_| ()))).assert();
}

/// A wake-up that is missing is found also where it is the last one: when the future is ready as soon as it is polled.
#[test]
fn a_missing_wake_up_at_the_end_is_found() {
    struct Forgetful {
        in_enter: bool,
    }
    impl AsyncContextManager for Forgetful {
        type Resource = ();
        type Error = Boom;
        type Exit = ();

        async fn enter(&mut self) -> Result<(), Boom> {
            if self.in_enter {
                wake_nobody().await;
            }
            Ok(())
        }

        async fn exit(self, (): (), _: Cause) -> Result<(), Boom> {
            if !self.in_enter {
                wake_nobody().await;
            }
            Ok(())
        }
    }
    for (in_enter, check) in [(true, "enter_wakes"), (false, "exit_wakes")] {
        let conformance = Conformance::new(|| Forgetful { in_enter }).patience(PATIENCE);
        let report = block_on(conformance.check());
        assert_eq!(failed(&report), [check], "{report}");
    }
}

/// Asks to be polled again for ever, and counts.
async fn restless(polls: Arc<AtomicUsize>) {
    poll_fn(|cx| {
        polls.fetch_add(1, Ordering::SeqCst);
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

/// CAN-3: clean-up that asks to be polled for ever is given up, and found.
#[test]
fn detached_clean_up_without_end_is_found() {
    let make = || {
        manage((), |(), _| async {
            detach("restless", restless(Arc::default()))
        })
    };
    let report = block_on(check_manager(make));
    assert_eq!(failed(&report), ["exit_leaves_nothing_pending"], "{report}");
}

/// Checks that are dropped leave nothing behind that holds the waker of their task, however patient they were.
#[test]
fn checks_that_are_dropped_let_go_of_the_waker() {
    struct Task(mpsc::Sender<()>);
    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for Task {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let world = Arc::default();
    let check = Conformance::new(|| Flawed::new("enter_finishes", &world, false))
        .patience(Duration::from_hours(1))
        .check();
    let mut check = Box::pin(check);
    let (sender, dropped) = mpsc::channel();
    let waker = Waker::from(Arc::new(Task(sender)));
    let polled = check.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    drop(check);
    drop(waker);
    let limit = Duration::from_mins(1);
    assert_eq!(dropped.recv_timeout(limit), Ok(()));
}

// --- The event log and its managers ---------------------------------------------------------------------------------

/// Everything that a script can say, on both kinds of manager, is what the log then shows.
#[test]
fn scripted_managers_do_what_they_are_told() {
    let log = EventLog::new();
    let run = |block: std::pin::Pin<Box<dyn Future<Output = Result<(), Fault>> + '_>>| {
        let caught = std::panic::AssertUnwindSafe(|| block_on(report::collect(block)));
        match std::panic::catch_unwind(caught) {
            Ok((result, entries)) => {
                log.write(format!("{result:?}"));
                entries
                    .iter()
                    .for_each(|entry| log.write(entry.incident.to_string()));
            }
            Err(payload) => log.write(format!(
                "panicked {}",
                payload.downcast_ref::<&str>().unwrap()
            )),
        }
        log.take()
    };
    macro_rules! block {
        ($manager:expr) => {
            run(Box::pin(async {
                async_with! { $manager => {} }
                Ok(())
            }))
        };
        ($manager:expr, $a:ident, $body:expr) => {
            run(Box::pin(async {
                async_with! { $manager as $a => { $a.note(); $body } }
                Ok(())
            }))
        };
    }
    assert_eq!(
        block!(log.manager("a").fails_in_enter()),
        ["enter a", "Err(Fault(\"a\"))"]
    );
    assert_eq!(
        block!(log.scoped("a").fails_in_exit()),
        ["enter a", "exit a: completed", "Err(Fault(\"a\"))"]
    );
    assert_eq!(
        block!(log.local("a"), a, {
            a.check(false)?;
        }),
        [
            "enter a",
            "use a",
            "inspect a: Fault(\"a\")",
            "exit a: failed Fault",
            "Err(Fault(\"a\"))"
        ]
    );
    assert_eq!(
        block!(
            log.manager("a").pending(1).suppresses(Verdict::Suppress),
            a,
            {
                a.check(false)?;
            }
        ),
        [
            "enter a",
            "use a",
            "inspect a: Fault(\"a\")",
            "exit a: failed Fault",
            "exited a",
            "Ok(())"
        ]
    );
    assert_eq!(
        block!(log.scoped("a").interrupts_after(2), a, pend(9).await),
        ["enter a", "use a", "exit a: cancelled", "Err(Fault(\"a\"))"]
    );
    assert_eq!(
        block!(log.manager("a").logs_polls(), a, pend(1).await),
        [
            "enter a",
            "poll a",
            "use a",
            "polled a",
            "poll a",
            "polled a",
            "poll a",
            "polled a",
            "exit a: completed",
            "Ok(())"
        ]
    );
    assert_eq!(
        block!(log.manager("a").panics_in(Step::Enter)),
        ["enter a", "panicked a"]
    );
    assert_eq!(
        block!(log.scoped("a").panics_in(Step::Exit)),
        ["enter a", "exit a: completed", "panicked a"]
    );
    assert_eq!(
        block!(log.manager("a").panics_in(Step::Inspect), a, {
            a.check(false)?;
        }),
        [
            "enter a",
            "use a",
            "inspect a: Fault(\"a\")",
            "exit a: panicked",
            "panicked a"
        ]
    );
    assert_eq!(
        block!(log.manager("a").panics_in(Step::AroundPoll)),
        ["enter a", "exit a: panicked", "panicked a"]
    );
    // In `interrupt` itself, or in the future that it returns, which is polled after the body.
    assert_eq!(
        block!(
            log.manager("a").panics_in(Step::Interrupt),
            a,
            pend(9).await
        ),
        ["enter a", "exit a: panicked", "panicked a"]
    );
    assert_eq!(
        block!(
            log.scoped("a")
                .interrupts_after(0)
                .panics_in(Step::Interrupt),
            a,
            pend(9).await
        ),
        ["enter a", "use a", "exit a: panicked", "panicked a"]
    );
}

/// A resource counts how often it was used, and fails as it is told; the fault names the manager.
#[test]
fn a_scripted_resource_counts_its_uses() {
    let log = EventLog::new();
    let block = async {
        async_with! { log.manager("a") as a => {
            assert_eq!(a.value, 0);
            a.note();
            a.note();
            assert_eq!(a.check(true), Ok(2));
            a.check(false)
        }}
    };
    let fault = block_on(block).unwrap_err();
    assert_eq!(fault, Fault("a"));
    assert_eq!(fault.to_string(), "fault of a");
}

/// CAN-1: a scoped manager writes its `abandon`, and can panic in it.
#[test]
fn a_scoped_manager_writes_that_it_was_abandoned() {
    let log = EventLog::new();
    let dropped = |panics: bool| {
        let manager = match panics {
            true => log.scoped("a").panics_in(Step::Abandon),
            false => log.scoped("a"),
        };
        let block = async {
            async_with! { manager => { pending::<()>().await } }
        };
        let dropping = async {
            let mut block = Box::pin(block);
            poll_fn(|cx| {
                assert!(block.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
        };
        let ((), entries) = block_on(report::collect(dropping));
        assert_eq!(log.take(), ["enter a", "abandon a"]);
        entries.len()
    };
    assert_eq!((dropped(false), dropped(true)), (0, 1));
}

/// A gate holds an exit, and lets everybody through once it is open.
#[test]
fn a_gate_holds_an_exit() {
    let (log, gate) = (EventLog::new(), Gate::new());
    let mut block = Box::pin(async {
        async_with! { log.manager("a").exit_waits_for(&gate) => {} }
    });
    let mut context = std::task::Context::from_waker(Waker::noop());
    assert!(block.as_mut().poll(&mut context).is_pending());
    assert_eq!(log.events(), ["enter a", "exit a: completed"]);
    gate.open();
    assert!(block.as_mut().poll(&mut context).is_ready());
    assert_eq!(log.take().last().unwrap(), "exited a");
}

/// A gate wakes everybody who waits for it, and each once, however often they have asked.
#[test]
fn a_gate_wakes_everybody_who_waits() {
    #[derive(Default)]
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let gate = Gate::new();
    let mut waiting: Vec<_> = (0..3)
        .map(|_| (Box::pin(gate.opened()), Arc::new(Count::default())))
        .collect();
    for _ in 0..2 {
        for (opened, count) in &mut waiting {
            let waker = Waker::from(Arc::clone(count));
            let polled = opened.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending());
        }
    }
    gate.open();
    for (_, count) in &waiting {
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }
    block_on(gate.opened());
}

// --- Cancellation at every point ------------------------------------------------------------------------------------

/// CAN-1, CAN-2, CAN-7: every point of a block with managers of both kinds, on no runtime.
#[test]
fn every_point_of_a_block_is_explored() {
    let log = EventLog::new();
    let make = || async {
        async_with! { log.manager("a").pending(1), log.scoped("b").pending(1) => {
            pend(1).await;
            1
        }}
    };
    let mut seen = Vec::new();
    let polls = block_on(explore_cancellations(make, |run| {
        let events = log.take();
        let owed = events
            .iter()
            .filter(|event| event.starts_with("enter a"))
            .count();
        let done = events.iter().filter(|event| *event == "exited a").count();
        assert_eq!(owed, done, "{events:?}");
        let told = |name: &str| events.iter().find(|event| event.starts_with(name)).cloned();
        seen.push((run.polls, told("exit a"), run.output, run.reports.len()));
    }));
    let told = |cause: &str| Some(format!("exit a: {cause}"));
    assert_eq!(
        seen,
        [
            (0, None, None, 0),
            (1, None, None, 0),
            (2, told("dropped"), None, 0),
            (3, told("dropped"), None, 0),
            // The scoped exit is dropped, which is reported.
            (4, told("dropped"), None, 1),
            (5, told("completed"), None, 0),
            (6, told("completed"), Some(1), 0),
        ]
    );
    assert_eq!(polls, 6);
}

/// Inside of a runtime, timers work, and exits do not go to the runtime.
#[tokio::test(start_paused = true)]
async fn exploring_works_inside_of_a_runtime() {
    let log = EventLog::new();
    let make = || async {
        async_with! { log.manager("a").pending(2) => {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }}
    };
    let polls = explore_cancellations(make, |run| {
        let events = log.take();
        assert_eq!(
            events.len(),
            if run.polls < 3 { 0 } else { 3 },
            "{events:?}"
        );
        assert!(pending_exits().is_empty());
    });
    assert_eq!(polls.await, 6);
}

/// What is detached after an exploration goes to the runtime again.
#[tokio::test(start_paused = true)]
async fn exits_go_to_the_runtime_after_an_exploration() {
    let log = EventLog::new();
    let explored = || async {
        async_with! { log.manager("explored") => { pend(1).await } }
    };
    explore_cancellations(explored, |_| {}).await;
    let _ = log.take();
    {
        let mut block = Box::pin(async {
            async_with! { log.manager("a") => { pending::<()>().await } }
        });
        assert!(futures::poll!(&mut block).is_pending());
    }
    assert_eq!(drain_timeout(Duration::from_secs(1)).await, Ok(()));
    assert_eq!(log.take(), ["enter a", "exit a: dropped"]);
}

/// What is cancelled inside of the future that is explored is cleaned up there too, before its own exits.
#[test]
fn cancellation_inside_of_the_future_is_run_too() {
    let log = EventLog::new();
    let make = || async {
        async_with! { log.manager("outer") => {
            let inner = async {
                async_with! { log.manager("inner").pending(3) => { pending::<()>().await } }
            };
            futures::future::select(Box::pin(inner), Box::pin(pend(4))).await;
        }}
    };
    block_on(explore_cancellations(make, |_| {
        let events = log.take();
        let at = |event: &str| events.iter().position(|found| found.starts_with(event));
        if at("enter inner").is_some() {
            assert!(at("exited inner") < at("exit outer"), "{events:?}");
        }
        assert_eq!(at("enter outer").is_some(), at("exit outer").is_some());
    }));
}

/// A flaw that only one point shows is found, and the point is told by the panic of the check.
#[test]
fn a_flaw_at_one_point_is_found() {
    let open = AtomicUsize::new(0);
    let make = || async {
        open.fetch_add(1, Ordering::SeqCst);
        pend(1).await;
        open.fetch_sub(1, Ordering::SeqCst);
    };
    let mut leaks = Vec::new();
    block_on(explore_cancellations(make, |run| {
        leaks.push((run.polls, open.swap(0, Ordering::SeqCst)));
    }));
    assert_eq!(leaks, [(0, 0), (1, 1), (2, 0)]);
}

/// Explorations on several threads at once do not take each other's exits, nor do they need a spawner.
#[test]
fn explorations_in_parallel_do_not_disturb_each_other() {
    let explore = || {
        let log = EventLog::new();
        let make = || async {
            async_with! { log.manager("a").pending(3) => { pend(3).await } }
        };
        let mut runs = Vec::new();
        block_on(explore_cancellations(make, |run| {
            runs.push((run.polls, run.reports.len(), log.take()));
        }));
        runs
    };
    let expected = explore();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(explore)).collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), expected);
        }
    });
}

/// A future that is never done is given up, and says so.
#[test]
fn a_future_without_end_is_given_up() {
    let endless = || async {
        loop {
            pend(1).await;
        }
    };
    let explored = std::panic::catch_unwind(|| block_on(explore_cancellations(endless, |_| {})));
    let message = explored.unwrap_err().downcast::<String>().unwrap();
    assert_eq!(*message, "the future has not completed after 1000 polls");
}

/// CAN-3: clean-up that asks to be polled for ever is given up after 100,000 polls, and the run says so.
#[test]
fn detached_clean_up_without_end_is_given_up() {
    let polls = Arc::default();
    let make = || async { detach("restless", restless(Arc::clone(&polls))) };
    let mut runs = Vec::new();
    block_on(explore_cancellations(make, |run| {
        let reports = run.reports.into_iter();
        let incidents: Vec<_> = reports
            .map(|entry| (entry.manager, entry.incident))
            .collect();
        runs.push((run.polls, incidents));
    }));
    let unfinished = ("restless", Incident::Unfinished);
    assert_eq!(runs, [(0, vec![]), (1, vec![unfinished])]);
    assert_eq!(polls.load(Ordering::SeqCst), 100_000);
    let gives_up = || block_on(async { detach("restless", restless(Arc::default())) });
    let payload = catch_unwind(gives_up).expect_err("it does not finish");
    let message = payload.downcast_ref::<&str>().expect("it is a text");
    assert!(message.contains("wakes itself for ever"), "{message}");
}

/// CAN-3: an exploration that is dropped gives up the exits that are owed, and what these detach in turn: nothing of it
/// goes to the runtime around it.
#[tokio::test]
async fn an_exploration_that_is_dropped_gives_up_what_is_owed() {
    let log = EventLog::new();
    let make = || {
        let log = log.clone();
        async {
            let outer = manage(log, |log, _| async move {
                async_with! { log.manager("inner") => { pending::<()>().await } }
            });
            async_with! { outer => { pending::<()>().await } }
        }
    };
    let dropping = async {
        let mut exploration = Box::pin(explore_cancellations(make, |_| ()));
        assert!(futures::poll!(&mut exploration).is_pending());
        assert_eq!(log.take(), ["enter inner"]);
        drop(exploration);
    };
    let ((), entries) = report::collect(dropping).await;
    drain().await;
    assert_eq!(log.take(), <[&str; 0]>::default());
    let incidents: Vec<_> = entries.into_iter().map(|entry| entry.incident).collect();
    assert_eq!(incidents, [Incident::Unfinished, Incident::Unfinished]);
}
