//! What random programs have shown to be wrong, as small as it gets.

use async_with::{drain, prelude::*};
use async_with_tests::{Boom, Log};
use futures::FutureExt;

/// ATT-2: the forms inside of an attributed function are on in the bodies of `async_with!` too. rustc did not know the
/// attribute `with` there.
#[tokio::test]
async fn marked_statements_in_the_body_of_a_macro() {
    #[async_with]
    async fn forms(log: &Log, good: bool) -> Result<u64, Boom> {
        let value = async_with! { log.suppressing("a") => {
            #[with]
            let b = log.fallible("b");
            b.note();
            async_with!(log.manager("c"), {
                #[with(log.manager("d") as d)]
                {
                    d.check(good)?;
                }
            });
            b.value
        } else {
            #[with]
            let e = log.manager("e");
            e.value
        }};
        Ok(value)
    }
    let log = Log::new();
    assert_eq!(forms(&log, true).await, Ok(1));
    let expected = [
        "enter a",
        "enter b",
        "use b",
        "enter c",
        "enter d",
        "exit d: completed",
        "exit c: completed",
        "exit b: completed",
        "exit a: completed",
    ];
    assert_eq!(log.take(), expected);
    assert_eq!(forms(&log, false).await, Ok(0));
    let events = log.take();
    assert_eq!(
        events[events.len() - 3..],
        ["exit a: failed Boom", "enter e", "exit e: completed"]
    );
}

/// STK-1, EXI-7: what is entered through a stack sees the error before the block waits for what was detached in it, as in
/// a block of its own. It saw the error afterwards.
#[tokio::test]
async fn a_stack_shows_the_error_before_it_waits() {
    async fn fail(log: &Log) -> Result<(), Boom> {
        let lost = async {
            async_with::async_with! { log.manager("lost") => { std::future::pending::<()>().await; } }
        };
        assert!(lost.now_or_never().is_none());
        Err(Boom("body"))
    }
    async fn nested(log: &Log) -> Result<(), Boom> {
        async_with::async_with! { log.fallible("a") => { fail(log).await? } }
        Ok(())
    }
    async fn stacked(log: &Log) -> Result<(), Boom> {
        async_with::async_with! { AsyncExitStack::new() as stack => {
            stack.enter(log.fallible("a")).await?;
            fail(log).await?;
        }}
        Ok(())
    }
    let log = Log::new();
    let expected = [
        "enter a",
        "enter lost",
        "inspect a: Boom(\"body\")",
        "exit lost: dropped",
        "exit a: failed Boom",
    ];
    assert_eq!(nested(&log).await, Err(Boom("body")));
    assert_eq!(log.take(), expected);
    assert_eq!(stacked(&log).await, Err(Boom("body")));
    assert_eq!(log.take(), expected);
}

/// STK-1, CAN-2: dropped while the block of a stack waits for what was detached in it, the innermost manager is told how
/// the body ended, as in a block of its own, and those further out of the drop. It was told of the drop.
#[tokio::test]
async fn a_stack_that_is_dropped_while_it_waits() {
    async fn lose(log: &Log) {
        let lost = async {
            async_with::async_with! { log.manager("lost") => { std::future::pending::<()>().await; } }
        };
        assert!(lost.now_or_never().is_none());
    }
    let log = Log::new();
    let nested = async {
        async_with::async_with! { log.manager("a"), log.manager("b") => { lose(&log).await } }
    };
    let stacked = async {
        async_with::async_with! { AsyncExitStack::new() as stack => {
            let Ok(_) = stack.enter(log.manager("a")).await;
            let Ok(_) = stack.enter(log.manager("b")).await;
            lose(&log).await;
        }}
    };
    let expected = [
        "enter a",
        "enter b",
        "enter lost",
        "exit lost: dropped",
        "exit b: completed",
        "exit a: dropped",
    ];
    assert!(nested.now_or_never().is_none());
    drain().await;
    assert_eq!(log.take(), expected);
    assert!(stacked.now_or_never().is_none());
    drain().await;
    assert_eq!(log.take(), expected);
}

/// ATT-2: functions with attributes of their own, in each other: the innermost has the forms. Where the one around it has
/// managers, they were taken for misplaced ones.
#[tokio::test]
async fn attributed_functions_in_each_other() {
    #[async_with]
    async fn outermost(log: &Log) -> Result<(), Boom> {
        #[async_with(log.fallible("a"))]
        async fn outer(log: &Log) -> Result<(), Boom> {
            #[async_with]
            async fn inner(log: &Log) -> Result<(), Boom> {
                #[with(log.fallible("b"))]
                {
                    log.write("body");
                }
                Ok(())
            }
            inner(log).await
        }
        outer(log).await
    }
    let log = Log::new();
    assert_eq!(outermost(&log).await, Ok(()));
    let expected = [
        "enter a",
        "enter b",
        "body",
        "exit b: completed",
        "exit a: completed",
    ];
    assert_eq!(log.take(), expected);
}
