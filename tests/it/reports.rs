//! ERR-5: no error and no panic is lost.

use std::any::Any;
use std::fmt::Debug;
use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use async_with::report::{self, Entry, Incident, Phase};
use async_with::{
    AsyncContextManager, Cause, ExitVerdict, Raised, ScopedAsyncContextManager, Verdict,
    async_with, cancellable, drain,
};
use async_with_tests::{Boom, Gate, Log, pend};
use futures::FutureExt;
use proptest::prelude::*;
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

use crate::runtimes::until;

/// A block whose exit fails because its body did, so that there is something to report.
async fn fails_twice(log: &Log, name: &'static str) -> Result<(), Boom> {
    async_with! { log.fallible(name).exit_fails() => { Err(Boom("body"))?; } }
    Ok(())
}

fn names(entries: &[Entry]) -> Vec<String> {
    let entries = entries.iter();
    entries.map(|entry| entry.incident.to_string()).collect()
}

/// ERR-5: `collect` returns what was reported, in order, with name, phase, cause and error.
#[tokio::test]
async fn what_is_reported_is_collected_in_order() {
    let log = Log::new();
    let block = async {
        async_with! {
            log.fallible("a").exit_fails(),
            log.fallible("b").exit_fails(),
            log.manager("c").exit_panics(),
            log.manager("d").inspect_panics() => {
                Err(Boom("body"))?;
            }
        }
        Ok::<_, Boom>(())
    };
    let (result, entries) = report::collect(AssertUnwindSafe(block).catch_unwind()).await;
    let payload = result.expect_err("the first panic is resumed");
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"d"));
    let listed: Vec<_> = entries
        .iter()
        .map(|entry| (entry.phase, entry.cause, entry.incident.to_string()))
        .collect();
    let failed = |what: &str| format!("failed: Boom({what:?})");
    let Cause::Failed(body) = entries[0].cause else {
        panic!("{entries:?}")
    };
    assert!(body.is::<Boom>());
    assert_eq!(
        listed,
        [
            (Phase::Body, Cause::Failed(body), failed("body")),
            (Phase::Exit, Cause::Panicked, "panicked: c".to_owned()),
            (Phase::Exit, Cause::Panicked, failed("b")),
            (Phase::Exit, Cause::Panicked, failed("a")),
        ]
    );
    let Incident::Error {
        type_name, debug, ..
    } = &entries[3].incident
    else {
        panic!("{entries:?}")
    };
    assert_eq!(
        (*type_name, &**debug),
        (std::any::type_name::<Boom>(), "Boom(\"a\")")
    );
    assert_eq!(
        entries[3].manager,
        std::any::type_name::<async_with_tests::Logged<Boom>>()
    );
    assert_eq!(
        entries[3].to_string(),
        format!(
            "exit of {} (cause: panicked) failed: Boom(\"a\")",
            entries[3].manager
        )
    );
}

/// ERR-5: what was raised is not reported.
#[tokio::test]
async fn what_is_raised_is_not_reported() {
    let log = Log::new();
    let block = async {
        async_with! { log.fallible("a"), log.fallible("b").exit_fails() => {} }
        Ok::<_, Boom>(())
    };
    let (result, entries) = report::collect(block).await;
    assert_eq!((result, entries), (Err(Boom("b")), Vec::new()));
}

/// ERR-5: of nested collectors, the innermost gets the entry; what is dropped before it could return reports outside.
#[tokio::test]
async fn the_innermost_collector_gets_the_entry() {
    let log = Log::new();
    let nested = async {
        let _ = fails_twice(&log, "before").await;
        let (_, inner) = report::collect(fails_twice(&log, "inner")).await;
        let _ = fails_twice(&log, "after").await;
        let mut dropped = Box::pin(report::collect(async {
            let _ = fails_twice(&log, "dropped").await;
            std::future::pending::<()>().await;
        }));
        assert!(futures::poll!(&mut dropped).is_pending());
        drop(dropped);
        inner
    };
    let (inner, outer) = report::collect(nested).await;
    assert_eq!(names(&inner), ["failed: Boom(\"inner\")"]);
    assert_eq!(
        names(&outer),
        [
            "failed: Boom(\"before\")",
            "failed: Boom(\"after\")",
            "failed: Boom(\"dropped\")"
        ]
    );
}

/// ERR-5: a collector gets what its own future reports, whatever runs between its polls.
#[tokio::test]
async fn collectors_side_by_side_do_not_mix() {
    async fn one(log: &Log, name: &'static str) {
        pend(2).await;
        let _ = fails_twice(log, name).await;
        pend(2).await;
        let _ = fails_twice(log, name).await;
    }
    let log = Log::new();
    let (((), one), ((), two)) = futures::join!(
        report::collect(one(&log, "one")),
        report::collect(one(&log, "two"))
    );
    assert_eq!(names(&one), ["failed: Boom(\"one\")"; 2]);
    assert_eq!(names(&two), ["failed: Boom(\"two\")"; 2]);
}

/// ERR-5, CAN-9: an exit that was detached reports to the collector around its block while that runs, and to the one
/// outside when it is closed.
#[tokio::test]
async fn a_detached_exit_reports_where_its_block_was() {
    async fn drop_a_block(log: &Log, gate: &Gate, name: &'static str) {
        let mut block = Box::pin(async {
            async_with! { log.fallible(name).exit_fails().exit_waits_for(gate) => { std::future::pending::<()>().await } }
            Ok::<_, Boom>(())
        });
        assert!(futures::poll!(&mut block).is_pending());
    }
    let log = Log::new();
    let (early, late) = (Gate::new(), Gate::new());
    let outer = report::collect(async {
        let inner = report::collect(async {
            drop_a_block(&log, &early, "early").await;
            drop_a_block(&log, &late, "late").await;
            early.open();
            until(&log, "exited early").await;
            tokio::task::yield_now().await;
        });
        let ((), inner) = inner.await;
        late.open();
        drain().await;
        inner
    });
    let (inner, outer) = outer.await;
    assert_eq!(names(&inner), ["failed: Boom(\"early\")"]);
    assert_eq!(names(&outer), ["failed: Boom(\"late\")"]);
}

/// ERR-5: an error whose `Debug` panics is reported all the same.
#[tokio::test]
async fn an_error_that_cannot_be_shown_is_reported() {
    struct Unshowable;
    impl Debug for Unshowable {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            resume_unwind(Box::new("debug"))
        }
    }
    struct Fails;
    impl AsyncContextManager for Fails {
        type Resource = ();
        type Error = Unshowable;
        type Exit = ();

        async fn enter(&mut self) -> Result<(), Unshowable> {
            Ok(())
        }

        async fn exit(self, (): (), _: Cause) -> Result<(), Unshowable> {
            Err(Unshowable)
        }
    }
    let block = async {
        async_with! { Fails => { Err(Unshowable)?; } }
        Ok::<_, Unshowable>(())
    };
    let (result, entries) = report::collect(block).await;
    assert!(result.is_err());
    assert_eq!(names(&entries), ["failed: (its `Debug` panicked)"]);
}

/// ERR-5, CAN-2: a failure, or a panic, that was on its way out when its block was dropped in an exit cannot be raised any
/// more: it is reported.
#[tokio::test]
async fn what_a_drop_keeps_from_being_raised_is_reported() {
    async fn run(log: &Log, gate: &Gate, panics: bool) -> Result<(), Boom> {
        async_with! { log.manager("outer"), log.manager("a").exit_waits_for(gate) => {
            if panics {
                resume_unwind(Box::new("body"));
            }
            Err(Boom("body"))?;
        }}
        Ok(())
    }
    for (panics, incident) in [(false, "failed: Boom(\"body\")"), (true, "panicked: body")] {
        let (log, gate) = (Log::new(), Gate::new());
        gate.open();
        let waits = Gate::new();
        let collected = report::collect(async {
            let mut block = Box::pin(run(&log, &waits, panics));
            assert!(futures::poll!(&mut block).is_pending());
            drop(block);
            waits.open();
            drain().await;
        });
        let ((), entries) = collected.await;
        assert_eq!(names(&entries), [incident]);
        assert_eq!(entries[0].phase, Phase::Body);
    }
}

// --- Everything that happens is raised, reported or suppressed -----------------------------------------------------

/// What a step of a random program does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    Succeed,
    Fail,
    Panic,
}

/// A random manager.
#[derive(Clone, Copy, Debug)]
struct Plan {
    scoped: bool,
    enter: Act,
    exit: Act,
    inspect: Act,
    /// The verdict, for a manager that has one.
    verdict: Option<Verdict>,
    pends: usize,
}

/// A random program.
#[derive(Clone, Debug)]
enum Program {
    Do(Act),
    Pend,
    /// One after the other.
    Sequence(Vec<Program>),
    /// A failure of the inner one is handled.
    Handle(Box<Program>),
    Block(Plan, Box<Program>),
}

/// What happens to a program from outside.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Undisturbed,
    Dropped(usize),
    Cancelled(usize),
}

/// An error, or the message of a panic, by which it is told from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Id(u32);

/// What happened, and what became of it, as far as the program sees it.
#[derive(Debug, Default)]
struct Ledger {
    happened: Vec<Id>,
    /// Raised out of a block, and handled by the program.
    handled: Vec<Id>,
    /// How often an exit decided to suppress a failure or a panic.
    suppressed: usize,
    /// Nothing is suppressed any more: what was on its way out has been reported.
    dropped: bool,
}

type SharedLedger = Arc<Mutex<Ledger>>;

fn lock(ledger: &SharedLedger) -> std::sync::MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

fn act(ledger: &SharedLedger, act: Act) -> Result<(), Id> {
    if act == Act::Succeed {
        return Ok(());
    }
    let id = {
        let happened = &mut lock(ledger).happened;
        let id = Id(u32::try_from(happened.len()).expect("a small program"));
        happened.push(id);
        id
    };
    match act {
        Act::Panic => resume_unwind(Box::new(format!("{id:?}"))),
        _ => Err(id),
    }
}

/// Stands in a program for a manager of either kind.
struct Random<V, const SCOPED: bool> {
    plan: Plan,
    ledger: SharedLedger,
    verdict: fn(Verdict) -> V,
}

impl<V: ExitVerdict, const SCOPED: bool> Random<V, SCOPED> {
    async fn entered(&self) -> Result<(), Id> {
        pend(self.plan.pends).await;
        act(&self.ledger, self.plan.enter)
    }

    async fn exited(&self, cause: Cause) -> Result<V, Id> {
        pend(self.plan.pends).await;
        act(&self.ledger, self.plan.exit)?;
        let verdict = self.plan.verdict.unwrap_or_default();
        let suppresses = match verdict {
            Verdict::Propagate => false,
            Verdict::Suppress => matches!(cause, Cause::Failed(_)),
            Verdict::SuppressPanic => matches!(cause, Cause::Failed(_) | Cause::Panicked),
        };
        let mut ledger = lock(&self.ledger);
        ledger.suppressed += usize::from(suppresses && !ledger.dropped);
        Ok((self.verdict)(verdict))
    }

    fn inspected(&self) {
        // A hook can only panic.
        if self.plan.inspect == Act::Panic {
            let _ = act(&self.ledger, Act::Panic);
        }
    }
}

impl<V: ExitVerdict> AsyncContextManager for Random<V, false> {
    type Resource = ();
    type Error = Id;
    type Exit = V;

    async fn enter(&mut self) -> Result<(), Id> {
        self.entered().await
    }

    async fn exit(self, (): (), cause: Cause) -> Result<V, Id> {
        self.exited(cause).await
    }

    fn inspect(&mut self, (): &mut (), _: Raised<'_>) {
        self.inspected();
    }
}

impl<V: ExitVerdict> ScopedAsyncContextManager for Random<V, true> {
    type Resource = ();
    type Error = Id;
    type Exit = V;

    async fn enter(&mut self) -> Result<(), Id> {
        self.entered().await
    }

    async fn exit(self, (): (), cause: Cause) -> Result<V, Id> {
        self.exited(cause).await
    }

    fn inspect(&mut self, (): &mut (), _: Raised<'_>) {
        self.inspected();
    }
}

type Running<'a> = Pin<Box<dyn Future<Output = Result<(), Id>> + 'a>>;

fn run<'a>(program: &'a Program, ledger: &'a SharedLedger) -> Running<'a> {
    Box::pin(async move {
        match program {
            Program::Do(step) => act(ledger, *step)?,
            Program::Pend => pend(1).await,
            Program::Sequence(programs) => {
                for program in programs {
                    run(program, ledger).await?;
                }
            }
            Program::Handle(program) => {
                if let Err(id) = run(program, ledger).await {
                    lock(ledger).handled.push(id);
                }
            }
            Program::Block(plan, body) => block(*plan, body, ledger).await?,
        }
        Ok(())
    })
}

async fn block(plan: Plan, body: &Program, ledger: &SharedLedger) -> Result<(), Id> {
    let shared = Arc::clone(ledger);
    macro_rules! with {
        ($scoped:literal, $verdict:expr) => {
            async_with! { Random::<_, $scoped> { plan, ledger: shared, verdict: $verdict } => {
                run(body, ledger).await?;
            }}
        };
    }
    match (plan.scoped, plan.verdict) {
        (false, None) => with!(false, |_| ()),
        (false, Some(_)) => with!(false, |verdict| verdict),
        (true, None) => with!(true, |_| ()),
        (true, Some(_)) => with!(true, |verdict| verdict),
    }
    Ok(())
}

/// How a program ended: with one of its own errors or panics, or with none.
async fn ended(
    program: &Program,
    fate: Fate,
    ledger: &SharedLedger,
) -> Result<Result<(), Option<Id>>, Box<dyn Any + Send>> {
    async fn cancelled(
        program: &Program,
        ledger: &SharedLedger,
        polls: usize,
    ) -> Result<(), Option<Id>> {
        struct Ended(Option<Id>);
        impl From<async_with::Cancelled> for Ended {
            fn from(_: async_with::Cancelled) -> Self {
                Ended(None)
            }
        }
        impl Debug for Ended {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self {
                    Ended(Some(id)) => id.fmt(f),
                    Ended(None) => f.write_str("Cancelled"),
                }
            }
        }
        async fn block(
            program: &Program,
            ledger: &SharedLedger,
            polls: usize,
        ) -> Result<(), Ended> {
            let token = CancellationToken::new();
            async_with! { cancellable(token.clone()) => {
                let mut program = run(program, ledger);
                let mut polled = 0;
                let result = std::future::poll_fn(|cx| {
                    if polled == polls {
                        token.cancel();
                    }
                    polled += 1;
                    program.as_mut().poll(cx)
                });
                result.await.map_err(|id| Ended(Some(id)))
            }}
        }
        block(program, ledger, polls).await.map_err(|ended| ended.0)
    }
    match fate {
        Fate::Undisturbed => {
            let running = AssertUnwindSafe(run(program, ledger)).catch_unwind();
            Ok(running.await?.map_err(Some))
        }
        Fate::Cancelled(polls) => {
            AssertUnwindSafe(cancelled(program, ledger, polls))
                .catch_unwind()
                .await
        }
        Fate::Dropped(polls) => {
            let mut running = AssertUnwindSafe(run(program, ledger)).catch_unwind();
            for _ in 0..polls {
                if let Poll::Ready(result) = futures::poll!(&mut running) {
                    return Ok(result?.map_err(Some));
                }
            }
            lock(ledger).dropped = true;
            drop(running);
            drain().await;
            Ok(Ok(()))
        }
    }
}

/// The identity in the text of an error or a panic.
fn id_in(text: &str) -> Option<Id> {
    let number = text.strip_prefix("Id(")?.strip_suffix(')')?;
    Some(Id(number.parse().ok()?))
}

fn check(program: &Program, fate: Fate) {
    let ledger = SharedLedger::default();
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    let (result, entries) = runtime.block_on(report::collect(ended(program, fate, &ledger)));
    let mut accounted: Vec<Id> = entries
        .iter()
        .filter_map(|entry| match &entry.incident {
            Incident::Error { debug, .. } => id_in(debug),
            Incident::Panicked(message) => id_in(message),
            _ => None,
        })
        .collect();
    match result {
        Ok(Ok(()) | Err(None)) => {}
        Ok(Err(Some(id))) => accounted.push(id),
        Err(payload) => {
            let message = payload.downcast::<String>().expect("a message of ours");
            accounted.extend(id_in(&message));
        }
    }
    let ledger = std::mem::take(&mut *lock(&ledger));
    accounted.extend(ledger.handled);
    accounted.sort();
    let mut once = accounted.clone();
    once.dedup();
    // Nothing twice, nothing that did not happen, and what is missing was suppressed.
    assert_eq!(accounted, once, "{entries:?}");
    assert!(
        accounted.iter().all(|id| ledger.happened.contains(id)),
        "{entries:?}"
    );
    assert_eq!(
        accounted.len() + ledger.suppressed,
        ledger.happened.len(),
        "raised, reported or handled: {accounted:?}; reported: {entries:?}"
    );
}

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![3 => Just(Act::Succeed), 1 => Just(Act::Fail), 1 => Just(Act::Panic)]
}

fn any_plan() -> impl Strategy<Value = Plan> {
    let rarely = prop_oneof![8 => Just(Act::Succeed), 1 => Just(Act::Fail), 1 => Just(Act::Panic)];
    let verdict = prop_oneof![
        3 => Just(None),
        1 => Just(Some(Verdict::Propagate)),
        1 => Just(Some(Verdict::Suppress)),
        1 => Just(Some(Verdict::SuppressPanic)),
    ];
    (
        any::<bool>(),
        rarely.clone(),
        any_act(),
        rarely,
        verdict,
        0..3_usize,
    )
        .prop_map(|(scoped, enter, exit, inspect, verdict, pends)| Plan {
            scoped,
            enter,
            exit,
            inspect,
            verdict,
            pends,
        })
}

fn any_program() -> impl Strategy<Value = Program> {
    let leaf = prop_oneof![3 => any_act().prop_map(Program::Do), 1 => Just(Program::Pend)];
    leaf.prop_recursive(5, 24, 3, |inner| {
        prop_oneof![
            4 => (any_plan(), inner.clone()).prop_map(|(plan, body)| Program::Block(plan, Box::new(body))),
            1 => prop::collection::vec(inner.clone(), 1..3).prop_map(Program::Sequence),
            1 => inner.prop_map(|inner| Program::Handle(Box::new(inner))),
        ]
    })
}

fn any_fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        Just(Fate::Undisturbed),
        (0..12_usize).prop_map(Fate::Dropped),
        (0..12_usize).prop_map(Fate::Cancelled),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// ERR-3, ERR-4, ERR-5, PAN-2: in any program, dropped and cancelled ones included, the errors and panics that
    /// happened are those that were raised, reported and suppressed, each in one way.
    #[test]
    fn no_error_and_no_panic_is_lost(program in any_program(), fate in any_fate()) {
        check(&program, fate);
    }
}
