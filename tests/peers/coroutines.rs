//! The tests of `async with` in CPython's `Lib/test/test_coroutines.py`.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_with::{prelude::*, report};
use async_with_tests::{Boom, Log, pend};
use futures::{FutureExt, StreamExt, stream};

use super::{happened, outcome, python, raising, witness};

/// `test_with_1`: ORD-2, SUP-2. Enters and exits that are suspended, and an inner manager that suppresses.
#[tokio::test]
async fn test_with_1() {
    struct Suspended(Log, &'static str);

    #[async_context_manager]
    impl AsyncContextManager for Suspended {
        async fn enter(&mut self) -> Result<&'static str, Infallible> {
            for step in [1, 2] {
                self.0.write(format!("enter-{step}-{}", self.1));
                pend(1).await;
            }
            Ok(self.1)
        }

        async fn exit(self, _: &'static str, _: Cause) -> Result<Verdict, Infallible> {
            for step in [1, 2] {
                self.0.write(format!("exit-{step}-{}", self.1));
                pend(1).await;
            }
            Ok(match self.1 {
                "B" => Verdict::Suppress,
                _ => Verdict::Propagate,
            })
        }
    }
    async fn run(log: &Log, name: &'static str) -> Result<(), Boom> {
        async_with! { Suspended(log.clone(), "A") as a, Suspended(log.clone(), name) as b => {
            log.write(format!("managers {a} {b}"));
            pend(1).await;
            Err(Boom("ZeroDivision"))?;
        }}
        Ok(())
    }
    let log = Log::new();
    outcome(&log, run(&log, "B")).await;
    outcome(&log, run(&log, "C")).await;
    let expected = [
        "enter-1-A",
        "enter-2-A",
        "enter-1-B",
        "enter-2-B",
        "managers A B",
        "exit-1-B",
        "exit-2-B",
        "exit-1-A",
        "exit-2-A",
        "enter-1-A",
        "enter-2-A",
        "enter-1-C",
        "enter-2-C",
        "managers A C",
        "exit-1-C",
        "exit-2-C",
        "exit-1-A",
        "exit-2-A",
        "raised ZeroDivision",
    ];
    python::same("test_with_1", &log, &expected);
}

/// `test_with_5`: PAN-1. A failed assertion passes through the block.
#[tokio::test]
async fn test_with_5() {
    #[async_context_manager]
    async fn nothing(log: Log) -> Result<(), Infallible> {
        yield_!();
        log.write("exit");
    }
    let log = Log::new();
    let block = async {
        async_with! { nothing(log.clone()) => {
            assert!(log.events().is_empty() && log.events().len() > 1, "as it must");
        }}
    };
    let panic = AssertUnwindSafe(block).catch_unwind().await;
    let message = panic.map_err(|payload| payload.downcast_ref::<&str>().copied());
    assert_eq!(message, Err(Some("as it must")));
    log.write("the assertion failed");
    python::same("test_with_5", &log, &["exit", "the assertion failed"]);
}

/// `test_with_8`: FLO-6. The exit fails, whichever way the body completed. (In the original it fails because what it
/// returns cannot be awaited, which is a compile error here.)
#[tokio::test]
async fn test_with_8() {
    async fn falls_through(log: &Log) -> Result<(), Boom> {
        async_with! { witness(log, "a").exit_fails("Exit") => {
            log.write("body");
        }}
        Ok(())
    }
    #[allow(clippy::never_loop)]
    async fn breaks(log: &Log) -> Result<(), Boom> {
        for _ in 0..2 {
            async_with! { witness(log, "a").exit_fails("Exit") => {
                log.write("body");
                break;
            }}
        }
        Ok(())
    }
    async fn continues(log: &Log) -> Result<(), Boom> {
        for _ in 0..2 {
            async_with! { witness(log, "a").exit_fails("Exit") => {
                log.write("body");
                continue;
            }}
        }
        Ok(())
    }
    async fn returns(log: &Log) -> Result<(), Boom> {
        async_with! { witness(log, "a").exit_fails("Exit") => {
            log.write("body");
            return Ok(());
        }}
    }
    let log = Log::new();
    outcome(&log, falls_through(&log)).await;
    outcome(&log, breaks(&log)).await;
    outcome(&log, continues(&log)).await;
    outcome(&log, returns(&log)).await;
    let each = ["enter a", "body", "exit a: completed", "raised Exit"];
    python::same("test_with_8", &log, &[each; 4].concat());
}

/// `test_with_9`: FLO-6, ERR-1.
#[tokio::test]
async fn test_with_9() {
    async fn run(log: &Log) -> Result<(), Boom> {
        async_with! { witness(log, "a").exit_fails("ZeroDivision") => {
            log.write("body");
        }}
        Ok(())
    }
    let log = Log::new();
    outcome(&log, run(&log)).await;
    let expected = [
        "enter a",
        "body",
        "exit a: completed",
        "raised ZeroDivision",
    ];
    python::same("test_with_9", &log, &expected);
}

/// `test_with_10`: ERR-3, ERR-5. The body and both exits fail; the first error is raised, and the others are reported.
#[tokio::test]
async fn test_with_10() {
    async fn run(log: &Log) -> Result<(), Boom> {
        async_with! { raising(log, "outer") => {
            async_with! { raising(log, "inner") => {
                Err(Boom("Runtime"))?;
            }}
        }}
        Ok(())
    }
    let log = Log::new();
    let (result, entries) = report::collect(run(&log)).await;
    assert_eq!(result, Err(Boom("Runtime")));
    happened(&log, result, &entries);
    let expected = [
        "raise inner",
        "raise outer",
        "happened: Runtime inner outer",
    ];
    python::same("test_with_10", &log, &expected);
}

/// `test_with_11`: EXI-1, EXI-2. Enter fails; the body and the exit do not run.
#[tokio::test]
async fn test_with_11() {
    async fn run(log: &Log) -> Result<(), Boom> {
        async_with! { witness(log, "a").enter_fails("NotImplemented").exit_fails("ZeroDivision") => {
            log.write("body");
            return Err(Boom("Runtime"));
        }}
    }
    let log = Log::new();
    let ((), entries) = report::collect(outcome(&log, run(&log))).await;
    assert_eq!(entries, []);
    python::same("test_with_11", &log, &["enter a", "raised NotImplemented"]);
}

/// `test_with_12`: SUP-2.
#[tokio::test]
async fn test_with_12() {
    async fn run(log: &Log) -> Result<(), Boom> {
        async_with! { witness(log, "a").suppressing() as name => {
            log.write(format!("body of {name}"));
            Err(Boom("Runtime"))?;
        }}
        log.write("after");
        Ok(())
    }
    let log = Log::new();
    outcome(&log, run(&log)).await;
    let expected = ["enter a", "body of a", "exit a: Runtime", "after"];
    python::same("test_with_12", &log, &expected);
}

/// `test_with_13`: EXI-2, SUP-4. A manager that suppresses does not suppress that its own enter failed.
#[tokio::test]
async fn test_with_13() {
    async fn run(log: &Log) -> Result<(), Boom> {
        log.write("before");
        async_with! { witness(log, "a").enter_fails("ZeroDivision").suppressing() => {
            log.write("body");
        }}
        log.write("after");
        Ok(())
    }
    let log = Log::new();
    outcome(&log, run(&log)).await;
    let expected = ["before", "enter a", "raised ZeroDivision"];
    python::same("test_with_13", &log, &expected);
}

/// `test_for_6`: EXI-1. A loop over a stream in the body, twice; what the manager held is released.
#[tokio::test]
async fn test_for_6() {
    async fn run(log: &Log, held: &Arc<()>) -> Result<(), Boom> {
        async_with! { witness(log, "a"), held_for(held.clone()) => {
            let mut numbers = stream::iter(0..3).then(async |number| { pend(1).await; number }).boxed();
            while let Some(number) = numbers.next().await {
                log.write(number.to_string());
            }
            log.write("no more");
        }}
        Ok(())
    }
    #[async_context_manager]
    async fn held_for(held: Arc<()>) -> Result<Arc<()>, Infallible> {
        yield_!(held);
    }
    let log = Log::new();
    let held = Arc::new(());
    outcome(&log, run(&log, &held)).await;
    outcome(&log, run(&log, &held)).await;
    assert_eq!(Arc::strong_count(&held), 1);
    let each = ["enter a", "0", "1", "2", "no more", "exit a: completed"];
    python::same("test_for_6", &log, &[each; 2].concat());
}

/// `CoroAsyncIOCompatTest.test_asyncio_1`: EXI-1, ERR-2. On a runtime, with its clock.
#[tokio::test(start_paused = true)]
async fn test_asyncio_1() {
    struct Sleeps(Log, Option<Boom>);

    #[async_context_manager]
    impl AsyncContextManager for Sleeps {
        async fn enter(&mut self) -> Result<(), Infallible> {
            self.0.write("1");
            tokio::time::sleep(Duration::from_millis(10)).await;
            self.0.write("2");
            Ok(())
        }

        async fn exit(self, (): (), _: Cause) -> Result<(), Infallible> {
            tokio::time::sleep(Duration::from_millis(10)).await;
            self.0.write(self.1.map_or("completed", |error| error.0));
            Ok(())
        }

        fn inspect(&mut self, (): &mut (), raised: Raised<'_>) {
            self.1 = raised.downcast_ref().copied();
        }
    }
    async fn run(log: &Log) -> Result<(), Boom> {
        async_with! { Sleeps(log.clone(), None) => {
            tokio::time::sleep(Duration::from_millis(10)).await;
            Err(Boom("My"))?;
        }}
        log.write("unreachable");
        Ok(())
    }
    let log = Log::new();
    outcome(&log, run(&log)).await;
    python::same("test_asyncio_1", &log, &["1", "2", "My", "raised My"]);
}
