//! SUP: who swallows what.

use std::panic::AssertUnwindSafe;

use async_with::{AsyncContextManager, Verdict, async_with};
use async_with_tests::{Boom, Log};
use futures::FutureExt;

/// SUP-1: the type says whether a manager can suppress; the verdict is ignored when the body completed.
#[tokio::test]
async fn a_verdict_counts_only_after_a_failure() {
    async fn run(log: &Log, good: bool) -> Result<u64, Boom> {
        async_with! { log.suppressing("a") as a => { return a.check(good); } }
        Ok(9)
    }
    let log = Log::new();
    assert_eq!(run(&log, true).await, Ok(0));
    assert_eq!(run(&log, false).await, Ok(9));
}

/// SUP-2: execution goes on after the whole block; outer exits see completion.
#[tokio::test]
async fn suppressed_means_that_execution_goes_on() {
    async fn run(log: &Log) -> Result<u8, Boom> {
        async_with! { log.manager("a"), log.suppressing("b"), log.manager("c") as c => {
            c.check(false)?;
            log.write("not here");
        }}
        log.write("after");
        Ok(1)
    }
    let log = Log::new();
    assert_eq!(run(&log).await, Ok(1));
    let mut events = log.take();
    events.retain(|event| !event.starts_with("enter") && !event.starts_with("inspect"));
    assert_eq!(
        events,
        [
            "exit c: failed Boom",
            "exit b: failed Boom",
            "exit a: completed",
            "after"
        ]
    );
}

/// SUP-3: a block of managers that never suppress has the body's type; with one that may, `()` or an `else`. Generic
/// managers need no bound in a `()` block.
#[tokio::test]
async fn the_type_of_the_block_follows_its_managers() {
    async fn generic<M: AsyncContextManager<Error = Boom>>(manager: M) -> Result<(), Boom> {
        async_with! { manager => { Err(Boom("generic"))?; } }
        Ok(())
    }
    async fn with_else<M: AsyncContextManager<Error = Boom>>(manager: M) -> Result<u8, Boom> {
        let n = async_with! { manager => { Err(Boom("generic"))? } else { 2 } };
        Ok(n)
    }
    let log = Log::new();
    assert_eq!(generic(log.fallible("a")).await, Err(Boom("generic")));
    assert_eq!(with_else(log.fallible("a")).await, Err(Boom("generic")));
    let typed: &str = async_with! { log.manager("a"), log.manager("b") => { "body" } };
    assert_eq!(typed, "body");
}

/// SUP-4: `Suppress` swallows an error and no panic; a panic needs the verdict that names it.
#[tokio::test]
async fn only_the_verdict_that_names_it_swallows_a_panic() {
    async fn run(log: &Log, verdict: Verdict, panics: bool) -> Result<u8, Boom> {
        async_with! { log.suppressing("a").verdict(verdict) as a => {
            assert!(!panics, "assertion");
            a.check(false)?;
        }}
        Ok(1)
    }
    let table = [
        (Verdict::Propagate, false, Some(Err(Boom("check")))),
        (Verdict::Suppress, false, Some(Ok(1))),
        (Verdict::SuppressPanic, false, Some(Ok(1))),
        (Verdict::Propagate, true, None),
        (Verdict::Suppress, true, None),
        (Verdict::SuppressPanic, true, Some(Ok(1))),
    ];
    for (verdict, panics, expected) in table {
        let log = Log::new();
        let end = AssertUnwindSafe(run(&log, verdict, panics))
            .catch_unwind()
            .await
            .ok();
        assert_eq!(end, expected, "{verdict:?} {panics}");
        assert_eq!(
            log.take()
                .iter()
                .filter(|event| event.starts_with("exit"))
                .count(),
            1
        );
    }
}

/// SUP-4: nobody swallows a drop: the exit is told, and nothing goes on.
#[tokio::test]
async fn a_drop_is_not_swallowed() {
    let log = Log::new();
    let mut block = Box::pin(async {
        async_with! { log.manager("a"), log.suppressing("b").verdict(Verdict::SuppressPanic) => {
            std::future::pending::<()>().await;
        }}
        log.write("after");
    });
    assert!(futures::poll!(&mut block).is_pending());
    drop(block);
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        log.take(),
        ["enter a", "enter b", "exit b: dropped", "exit a: dropped"]
    );
}
