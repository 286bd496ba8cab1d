//! Without the feature `tokio`, and without a spawner: everything works but what would have to be detached.

// The bodies under test are written to be seen through, not to please.
#![allow(clippy::pedantic)]

use std::convert::Infallible;
use std::future::pending;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_with::report::{self, Incident};
use async_with::{
    AsyncContextManager, Cause, Interruption, Verdict, async_with, detach, drain, pending_exits,
};
use async_with_tests::{Boom, Gate, Log, pend, short};
use smol::future::{FutureExt, block_on, poll_once};

/// All blocks of the process count together, so the tests that count run one after the other.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// ORD-1, ORD-2, EXI-1: blocks of both kinds of manager run on any executor.
#[test]
fn blocks_run_on_any_executor() {
    let _alone = alone();
    let log = Log::new();
    let value = block_on(async {
        async_with! { log.manager("a").pending(2), log.scoped("b").pending(2) as b => {
            b.note();
            pend(3).await;
            assert_eq!(pending_exits().len(), 2);
            1
        }}
    });
    assert_eq!(value, 1);
    assert_eq!(
        log.take(),
        [
            "enter a",
            "enter b",
            "use b",
            "exit b: completed",
            "exited b",
            "exit a: completed",
            "exited a"
        ]
    );
    assert_eq!(pending_exits(), []);
}

/// FLO-1, ERR-3, ERR-5, SUP-2, PAN-1: errors, suppression and panics are as with it.
#[test]
fn errors_and_panics_are_as_with_a_runtime() {
    async fn fails(log: &Log) -> Result<u8, Boom> {
        async_with! { log.fallible("a").exit_fails(), log.manager("b") as b => { b.check(false)?; } }
        Ok(1)
    }
    async fn suppresses(log: &Log) -> Result<u8, Boom> {
        async_with! { log.suppressing("a"), log.fallible("b").enter_fails() => { Ok(1) } else { Ok(2) } }
    }
    async fn panics(log: &Log) {
        async_with! { log.manager("a"), log.scoped("b") => { resume_unwind(Box::new("body")); } }
    }
    let _alone = alone();
    let log = Log::new();
    let (result, entries) = block_on(report::collect(fails(&log)));
    assert_eq!(result, Err(Boom("check")));
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!(entries[0].incident.to_string(), "failed: Boom(\"a\")");
    let _ = log.take();
    assert_eq!(block_on(suppresses(&log)), Ok(2));
    assert_eq!(log.take()[3..], ["exit a: failed Boom"]);
    let panicked = block_on(AssertUnwindSafe(panics(&log)).catch_unwind());
    assert_eq!(
        panicked.expect_err("it panics").downcast_ref::<&str>(),
        Some(&"body")
    );
    assert_eq!(log.take()[2..], ["exit b: panicked", "exit a: panicked"]);
}

/// A manager that interrupts when its gate is open.
struct Interrupts(Gate);

impl AsyncContextManager for Interrupts {
    type Resource = ();
    type Error = Boom;
    type Exit = Verdict;

    async fn enter(&mut self) -> Result<(), Boom> {
        Ok(())
    }

    async fn exit(self, (): (), cause: Cause) -> Result<Verdict, Boom> {
        assert_eq!(short(cause), "cancelled");
        Ok(Verdict::Suppress)
    }

    fn interrupt(&self, (): &()) -> impl Interruption<Boom> + Send + use<> {
        let gate = self.0.clone();
        async move {
            gate.opened().await;
            Boom("interrupted")
        }
    }
}

/// CAN-6: interruption is cooperative, in place.
#[test]
fn interruption_is_cooperative() {
    let _alone = alone();
    let log = Log::new();
    let gate = Gate::new();
    let run = async {
        async_with! { Interrupts(gate.clone()), log.manager("a").exit_pending(1), log.scoped("b").exit_pending(1) => {
            gate.open();
            pending::<()>().await;
        }}
        Ok::<_, Boom>(())
    };
    assert_eq!(block_on(run), Ok(()));
    assert_eq!(
        log.take()[2..],
        [
            "exit b: cancelled",
            "exited b",
            "exit a: cancelled",
            "exited a"
        ]
    );
}

/// CAN-5: what nobody can run is reported by name, and not owed; `drain` does not wait for it.
#[test]
fn what_is_detached_is_reported() {
    let _alone = alone();
    let log = Log::new();
    let collected = report::collect(async {
        let mut block = Box::pin(async {
            async_with! { log.manager("a"), log.scoped("b") => { pending::<()>().await } }
        });
        assert!(poll_once(&mut block).await.is_none());
        drop(block);
        detach("handed over", async {});
        drain().await;
    });
    let ((), entries) = block_on(collected);
    assert_eq!(log.take(), ["enter a", "enter b", "abandon b"]);
    let entries: Vec<_> = entries
        .iter()
        .map(|entry| (entry.manager, entry.cause, &entry.incident))
        .collect();
    assert_eq!(
        entries,
        [
            (
                std::any::type_name::<async_with_tests::Logged<Infallible>>(),
                Cause::Dropped,
                &Incident::Unfinished
            ),
            ("handed over", Cause::Dropped, &Incident::Unfinished)
        ]
    );
    assert_eq!(pending_exits(), []);
}
