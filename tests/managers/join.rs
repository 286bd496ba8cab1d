//! `join`: several managers at once.

use std::future::pending;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::pin;

use async_with::report::{self, Entry, Incident};
use async_with::{
    AsyncContextManager, Cancelled, Cause, Verdict, cancellable, drain, join, pending_exits,
    prelude::*,
};
use async_with_tests::{Boom, Gate, Log, pend};
use futures::FutureExt;
use tokio_util::sync::CancellationToken;

use crate::runtimes::{on_each_runtime, within_reason};

/// The managers of the entries, without their paths, and what happened.
fn summary(entries: &[Entry]) -> Vec<String> {
    let line = |entry: &Entry| {
        let incident = match &entry.incident {
            Incident::Error { debug, .. } => debug.clone(),
            incident => incident.to_string(),
        };
        let kind = entry.manager.split('<').next().unwrap_or_default();
        let kind = kind.rsplit("::").next().unwrap_or_default();
        format!("{} of {kind}: {incident}", entry.phase)
    };
    entries.iter().map(line).collect()
}

/// ORD-2 does not hold between them: all enter at once, and exit at once.
#[tokio::test]
async fn joined_managers_enter_and_exit_together() {
    let log = Log::new();
    let sum = async_with! {
        join((log.manager("a").pending(1), log.manager("b").pending(3), log.manager("c").pending(2)))
            as (a, b, c) =>
    {
        for resource in [&mut *a, &mut *b, &mut *c] {
            resource.note();
        }
        a.value + b.value + c.value
    }};
    assert_eq!(sum, 3);
    let expected = [
        "enter a",
        "enter c",
        "enter b",
        "use a",
        "use b",
        "use c",
        "exit c: completed",
        "exit b: completed",
        "exit a: completed",
        "exited a",
        "exited c",
        "exited b",
    ];
    assert_eq!(log.take(), expected);
}

/// From two to eight.
#[tokio::test]
async fn up_to_eight_can_be_joined() {
    let log = Log::new();
    let m = |name| log.manager(name);
    async_with! { join((m("a"), m("b"))) as (a, b) => { assert_eq!((a.name, b.name), ("a", "b")); } }
    async_with! { join((m("a"), m("b"), m("c"), m("d"))) as (.., d) => { assert_eq!(d.name, "d"); } }
    async_with! { join((m("a"), m("b"), m("c"), m("d"), m("e"))) as (.., e) => { assert_eq!(e.name, "e"); } }
    async_with! {
        join((m("a"), m("b"), m("c"), m("d"), m("e"), m("f"))) as (.., f) => { assert_eq!(f.name, "f"); }
    }
    async_with! {
        join((m("a"), m("b"), m("c"), m("d"), m("e"), m("f"), m("g"))) as (.., g) => { assert_eq!(g.name, "g"); }
    }
    let _ = log.take();
    async_with! {
        join((m("a"), m("b"), m("c"), m("d"), m("e"), m("f"), m("g"), m("h"))) as (a, .., h) => {
            assert_eq!((a.name, h.name), ("a", "h"));
        }
    }
    assert_eq!(log.take().len(), 16);
}

/// EXI-2, EXI-7: when an enter fails, those that run still are dropped, those that succeeded are shown the error and
/// exited, told of it, before it is raised. Their errors are reported (ERR-3).
#[tokio::test]
async fn a_failed_enter_exits_the_others() {
    async fn block(log: &Log) -> Result<(), Boom> {
        async_with! {
            join((
                log.fallible("slow").enter_pending(9),
                log.fallible("a").exit_pending(1).exit_fails(),
                log.fallible("bad").enter_pending(1).enter_fails(),
                log.fallible("b").exit_pending(1),
            )) =>
        {
            log.write("body");
        }}
        Ok(())
    }
    let log = Log::new();
    let (result, entries) = report::collect(block(&log)).await;
    assert_eq!(result, Err(Boom("bad")));
    let expected = [
        "enter a",
        "enter b",
        "enter bad",
        "inspect b: Boom(\"bad\")",
        "inspect a: Boom(\"bad\")",
        "exit b: failed Boom",
        "exit a: failed Boom",
        "exited b",
        "exited a",
    ];
    assert_eq!(log.take(), expected);
    assert_eq!(summary(&entries), ["exit of Logged: Boom(\"a\")"]);
    assert!(pending_exits().is_empty());
}

/// PAN-1: a panic in an enter exits the others too, and is resumed; an error of theirs is reported (ERR-4).
#[tokio::test]
async fn a_panic_in_an_enter_exits_the_others() {
    let log = Log::new();
    let block = async {
        async_with! { join((
            log.fallible("a").exit_pending(1).exit_fails(),
            log.fallible("bad").enter_pending(1).enter_panics(),
        )) => {}}
        Ok::<_, Boom>(())
    };
    let (result, entries) = report::collect(AssertUnwindSafe(block).catch_unwind()).await;
    let payload = result.unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"bad"));
    assert_eq!(
        log.take(),
        ["enter a", "enter bad", "exit a: panicked", "exited a"]
    );
    assert_eq!(summary(&entries), ["exit of Logged: Boom(\"a\")"]);
}

/// PAN-2, PAN-3: after a failed enter, a panic in an exit or in an `inspect` takes the place of the error, which is
/// reported; a second panic is too.
#[tokio::test]
async fn a_panic_takes_the_place_of_a_failed_enter() {
    for inspect in [false, true] {
        let log = Log::new();
        let block = async {
            let a = log.fallible("a").exit_panics();
            let a = if inspect { a.inspect_panics() } else { a };
            let bad = log.fallible("bad").enter_pending(1).enter_fails();
            async_with! { join((a, bad)) => {} }
            Ok::<_, Boom>(())
        };
        let (result, entries) = report::collect(AssertUnwindSafe(block).catch_unwind()).await;
        assert_eq!(result.unwrap_err().downcast_ref(), Some(&"a"));
        let exit = if inspect {
            "exit a: panicked"
        } else {
            "exit a: failed Boom"
        };
        assert_eq!(
            log.take(),
            ["enter a", "enter bad", "inspect a: Boom(\"bad\")", exit]
        );
        let mut reported = vec!["body of Join: Boom(\"bad\")"];
        if inspect {
            reported.push("exit of Logged: panicked: a");
        }
        assert_eq!(summary(&entries), reported);
    }
}

/// ERR-3, ERR-5: of several exits that fail, the first is raised if the body completed, and no other.
#[tokio::test]
async fn of_several_failed_exits_the_first_is_raised() {
    async fn block(log: &Log, good: bool) -> Result<(), Boom> {
        async_with! {
            join((
                log.fallible("a").exit_fails(),
                log.fallible("b").exit_pending(2).exit_fails(),
                log.fallible("c").exit_pending(1),
                log.fallible("d").exit_pending(1).exit_fails(),
            )) as (a, ..) =>
        {
            a.check(good)?;
        }}
        Ok(())
    }
    let log = Log::new();
    let (result, entries) = report::collect(block(&log, true)).await;
    assert_eq!(result, Err(Boom("a")));
    assert_eq!(
        summary(&entries),
        ["exit of Logged: Boom(\"d\")", "exit of Logged: Boom(\"b\")"]
    );
    let _ = log.take();
    let (result, entries) = report::collect(block(&log, false)).await;
    assert_eq!(result, Err(Boom("check")));
    let of_the_exits = [
        "exit of Logged: Boom(\"a\")",
        "exit of Logged: Boom(\"d\")",
        "exit of Logged: Boom(\"b\")",
    ];
    assert_eq!(summary(&entries), of_the_exits);
    let expected = [
        "enter a",
        "enter b",
        "enter c",
        "enter d",
        "inspect d: Boom(\"check\")",
        "inspect c: Boom(\"check\")",
        "inspect b: Boom(\"check\")",
        "inspect a: Boom(\"check\")",
        "exit d: failed Boom",
        "exit c: failed Boom",
        "exit b: failed Boom",
        "exit a: failed Boom",
        "exited d",
        "exited c",
        "exited b",
    ];
    assert_eq!(log.take(), expected);
}

/// PAN-2: a panic in an exit lets the others finish, and is resumed; errors and later panics are reported.
#[tokio::test]
async fn a_panic_in_an_exit_lets_the_others_finish() {
    let log = Log::new();
    let block = async {
        async_with! { join((
            log.fallible("a").exit_pending(3),
            log.fallible("b").exit_pending(2).exit_panics(),
            log.fallible("c").exit_pending(1).exit_panics(),
            log.fallible("d").exit_fails(),
        )) => {}}
        Ok::<_, Boom>(())
    };
    let (result, entries) = report::collect(AssertUnwindSafe(block).catch_unwind()).await;
    assert_eq!(result.unwrap_err().downcast_ref(), Some(&"c"));
    assert_eq!(
        summary(&entries),
        ["exit of Logged: Boom(\"d\")", "exit of Logged: panicked: b"]
    );
    assert!(log.take().contains(&"exited a".to_owned()));
}

/// SUP-1, SUP-4: one that suppresses is enough; a panic needs the verdict that names it.
#[tokio::test]
async fn one_verdict_is_enough() {
    async fn block(log: &Log, verdict: Verdict, panics: bool) -> Result<&'static str, Boom> {
        let judge = log.suppressing("b").verdict(verdict);
        let went_on = async_with! { join((log.manager("a"), judge, log.manager("c"))) as (a, ..) => {
            if panics {
                resume_unwind(Box::new("panic"));
            }
            a.check(false)?;
            "completed"
        } else {
            "suppressed"
        }};
        Ok(went_on)
    }
    let log = Log::new();
    assert_eq!(
        block(&log, Verdict::Propagate, false).await,
        Err(Boom("check"))
    );
    for verdict in [Verdict::Suppress, Verdict::SuppressPanic] {
        assert_eq!(block(&log, verdict, false).await, Ok("suppressed"));
    }
    let panics = |verdict| AssertUnwindSafe(block(&log, verdict, true)).catch_unwind();
    assert!(panics(Verdict::Suppress).await.is_err());
    let suppressed = panics(Verdict::SuppressPanic).await;
    assert!(matches!(suppressed, Ok(Ok("suppressed"))));
}

/// CAN-6: each of them can interrupt; all are told.
#[tokio::test]
async fn each_of_them_can_interrupt() {
    async fn block(tokens: [CancellationToken; 2], log: &Log) -> Result<(), Cancelled> {
        let [first, second] = tokens.map(cancellable);
        async_with! { join((first, second)), log.manager("inner") => { pending::<()>().await } }
        Ok(())
    }
    for which in [0, 1] {
        let log = Log::new();
        let tokens = [CancellationToken::new(), CancellationToken::new()];
        let cancel = tokens[which].clone();
        let (result, ()) = futures::join!(block(tokens, &log), async { cancel.cancel() });
        assert!(result.is_err());
        assert_eq!(log.take(), ["enter inner", "exit inner: cancelled"]);
    }
}

/// SUP-4: an interruption is suppressed by the one that asked for it, and by no other.
#[tokio::test]
async fn who_interrupts_may_suppress_that() {
    struct Interrupts(CancellationToken, Verdict);
    impl AsyncContextManager for Interrupts {
        type Resource = ();
        type Error = Boom;
        type Exit = Verdict;

        async fn enter(&mut self) -> Result<(), Boom> {
            Ok(())
        }

        async fn exit(self, (): (), cause: Cause) -> Result<Verdict, Boom> {
            assert_eq!(cause, Cause::Cancelled);
            Ok(self.1)
        }

        fn interrupt(&self, (): &()) -> impl Interruption<Boom> + Send + use<> {
            let token = self.0.clone();
            async move {
                token.cancelled().await;
                Boom("interrupted")
            }
        }
    }
    async fn block(which: usize) -> Result<(), Boom> {
        let tokens = [CancellationToken::new(), CancellationToken::new()];
        let suppresses = Interrupts(tokens[0].clone(), Verdict::Suppress);
        let propagates = Interrupts(tokens[1].clone(), Verdict::Propagate);
        async_with! { join((suppresses, propagates)) => {
            tokens[which].cancel();
            pending::<()>().await;
        }}
        Ok(())
    }
    assert_eq!(block(0).await, Ok(()));
    assert_eq!(block(1).await, Err(Boom("interrupted")));
}

/// EXI-6: the guards of all are held around each poll, and dropped in reverse.
#[tokio::test]
async fn the_guards_of_all_are_held() {
    struct Guarded(Log, &'static str);
    struct Guard<'a>(&'a Guarded);
    impl Drop for Guard<'_> {
        fn drop(&mut self) {
            self.0.0.write(format!("drop {}", self.0.1));
        }
    }
    impl AsyncContextManager for Guarded {
        type Resource = ();
        type Error = Boom;
        type Exit = ();

        async fn enter(&mut self) -> Result<(), Boom> {
            Ok(())
        }

        async fn exit(self, (): (), _: Cause) -> Result<(), Boom> {
            Ok(())
        }

        fn around_poll(&self) -> impl Sized {
            self.0.write(format!("guard {}", self.1));
            Guard(self)
        }
    }
    async fn block(log: &Log) -> Result<(), Boom> {
        let guarded = |name| Guarded(log.clone(), name);
        async_with! { join((guarded("a"), guarded("b"), guarded("c"))) => { log.write("body") } }
        Ok(())
    }
    let log = Log::new();
    assert_eq!(block(&log).await, Ok(()));
    // Once for the poll, once for the drop of the body.
    let events = log.take();
    let (first, second) = events.split_at(7);
    assert_eq!(
        first,
        [
            "guard a", "guard b", "guard c", "body", "drop c", "drop b", "drop a"
        ]
    );
    assert_eq!(second.len(), 6);
}

/// CAN-1, CAN-2, CAN-7, EXI-1: dropped after any number of polls, everyone who was entered is exited once.
#[test]
fn dropped_anywhere_everyone_who_was_entered_is_exited_once() {
    on_each_runtime(|| async {
        let mut polls_needed = 0;
        for polls in 0..99 {
            let log = Log::new();
            let mut block = Box::pin(async {
                async_with! { log.manager("outer"), join((
                    log.manager("a").pending(4),
                    log.manager("b").enter_pending(1),
                    log.manager("c").pending(2),
                )) => {
                    log.write("body");
                    pend(2).await;
                }}
            });
            let mut ended = false;
            for _ in 0..polls {
                ended = ended || futures::poll!(&mut block).is_ready();
            }
            drop(block);
            drain().await;
            let events = log.take();
            for name in ["a", "b", "c", "outer"] {
                let count = |event: &str| {
                    let event = format!("{event} {name}");
                    let of = |written: &&String| written.split(':').next() == Some(&event);
                    events.iter().filter(of).count()
                };
                assert_eq!(count("enter"), count("exit"), "{name} {polls} {events:?}");
                if ["a", "c"].contains(&name) {
                    assert_eq!(count("exit"), count("exited"), "{name} {polls} {events:?}");
                }
            }
            // CAN-3: the block outside comes last.
            if polls > 0 {
                let last = events.last().map(String::as_str);
                assert!(
                    last.is_some_and(|last| last.starts_with("exit outer")),
                    "{events:?}"
                );
            }
            let body = events.iter().position(|event| event == "body");
            let cause = if ended || events.iter().any(|event| event.contains("completed")) {
                "completed"
            } else {
                "dropped"
            };
            if body.is_some() {
                assert!(events.contains(&format!("exit a: {cause}")), "{events:?}");
            }
            if ended {
                polls_needed = polls;
                break;
            }
        }
        // Enter, body and exit each take some.
        assert_eq!(polls_needed, 4 + 2 + 4 + 1);
    });
}

/// CAN-7: a block that lives on waits for the exits of a join that was dropped during its enter.
#[tokio::test]
async fn a_block_waits_for_a_join_that_was_dropped_during_enter() {
    let (log, gate) = (Log::new(), Gate::new());
    let block = async {
        async_with! { log.manager("outer") => {
            let mut inner = Box::pin(async {
                let a = log.manager("a").exit_waits_for(&gate);
                async_with! { join((a, log.manager("b").enter_pending(9))) => {} }
            });
            assert!(futures::poll!(&mut inner).is_pending());
        }}
    };
    let mut block = pin!(block);
    assert!(futures::poll!(&mut block).is_pending());
    assert_eq!(pending_exits().len(), 2);
    gate.open();
    within_reason(block).await;
    let expected = [
        "enter outer",
        "enter a",
        "exit a: dropped",
        "exited a",
        "exit outer: completed",
    ];
    assert_eq!(log.take(), expected);
}

/// CAN-2: dropped while it exits those that were entered before another failed, it goes on with that.
#[tokio::test]
async fn dropped_after_a_failed_enter_the_exits_go_on() {
    let (log, gate) = (Log::new(), Gate::new());
    let mut block = Box::pin(async {
        let a = log.fallible("a").exit_waits_for(&gate);
        async_with! { join((a, log.fallible("b").enter_fails())) => {} }
        Ok::<_, Boom>(())
    });
    assert!(futures::poll!(&mut block).is_pending());
    drop(block);
    assert_eq!(pending_exits().len(), 1);
    gate.open();
    drain().await;
    assert_eq!(
        log.take(),
        [
            "enter a",
            "enter b",
            "inspect a: Boom(\"b\")",
            "exit a: failed Boom",
            "exited a"
        ]
    );
}

/// ERR-5: what an enter failed with is reported, when the block is dropped or interrupted while the others exit. It was
/// lost.
#[tokio::test(start_paused = true)]
async fn the_failure_of_an_enter_is_reported_when_nobody_waits_for_it() {
    async fn block(log: &Log, panics: bool) -> Result<(), Boom> {
        let bad = log.fallible("bad").enter_pending(1);
        let bad = if panics {
            bad.enter_panics()
        } else {
            bad.enter_fails()
        };
        async_with! { join((log.fallible("a").exit_pending(9), bad)) => {} }
        Ok(())
    }
    for (panics, told, incident) in [
        (false, "failed Boom", "body of Join: Boom(\"bad\")"),
        (true, "panicked", "body of Join: panicked: bad"),
    ] {
        let log = Log::new();
        let expected = format!("exit a: {told}");
        let dropped = async {
            let mut block = Box::pin(block(&log, panics));
            for _ in 0..3 {
                assert!(futures::poll!(&mut block).is_pending());
            }
            assert!(log.events().contains(&expected), "{:?}", log.events());
            drop(block);
            drain().await;
        };
        let ((), entries) = report::collect(dropped).await;
        assert_eq!(summary(&entries), [incident]);
        assert!(log.take().contains(&"exited a".to_owned()));

        let interrupted = async {
            let token = CancellationToken::new();
            async_with! { cancellable(token.clone()).map_err(|_| Boom("cancelled")) => {
                let (result, ()) = futures::join!(block(&log, panics), async {
                    while !log.events().contains(&expected) {
                        pend(1).await;
                    }
                    token.cancel();
                });
                result
            }}
        };
        let (result, entries) = report::collect(interrupted).await;
        assert_eq!(result, Err(Boom("cancelled")));
        assert_eq!(summary(&entries), [incident]);
        assert!(log.take().contains(&"exited a".to_owned()));
    }
}

/// ERR-5: what is reported of a joined manager is reported under its own name. It was that of its type.
#[tokio::test]
async fn joined_managers_are_reported_under_their_names() {
    async fn block(log: &Log, enter_fails: bool) -> Result<(), Boom> {
        let bad = log.fallible("bad").enter_pending(1);
        let bad = if enter_fails { bad.enter_fails() } else { bad };
        async_with! { join((
            log.fallible("a").exit_fails().named("first"),
            log.fallible("b").exit_fails().named("second"),
            bad,
        )) => {}}
        Ok(())
    }
    let log = Log::new();
    for (enter_fails, expected) in [(false, &["first"][..]), (true, &["second", "first"][..])] {
        let (result, entries) = report::collect(block(&log, enter_fails)).await;
        assert!(result.is_err());
        let names: Vec<_> = entries.iter().map(|entry| entry.manager).collect();
        assert_eq!(names, expected);
    }
}

/// Entered again by hand after a failed enter, it says what is wrong.
#[tokio::test]
async fn a_join_that_is_entered_twice_says_so() {
    let log = Log::new();
    let mut joined = join((log.fallible("a"), log.fallible("bad").enter_fails()));
    assert!(joined.enter().await.is_err());
    let again = AssertUnwindSafe(joined.enter()).catch_unwind().await;
    let message = "`join` is entered a second time; call it again for another manager";
    assert_eq!(again.err().unwrap().downcast_ref(), Some(&message));
}
