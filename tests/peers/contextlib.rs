//! The part of CPython's `Lib/test/test_contextlib.py` that its `AsyncExitStack` is held to: `TestBaseExitStack`.

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_with::{AsyncExitStack, prelude::*, report};
use async_with_tests::{Boom, Log, short};

use super::{happened, outcome, python, raises, raising, reported, suppresses};

/// An exit that runs at once, in the stead of Python's functions that are not async.
fn writes(
    log: &Log,
    event: &'static str,
) -> impl FnOnce() -> std::future::Ready<()> + Send + use<> {
    let log = log.clone();
    move || ready(log.write(event))
}

/// `test_no_resources`: STK-1.
#[tokio::test]
async fn test_no_resources() {
    let log = Log::new();
    async_with! { AsyncExitStack::new() as stack => {
        assert!(stack.is_empty());
        log.write("body");
    }}
    python::same("test_no_resources", &log, &["body"]);
}

/// `test_callback`: STK-3. A closure holds the arguments, and a callback that is not async is ready at once.
#[tokio::test]
async fn test_callback() {
    let log = Log::new();
    async_with! { AsyncExitStack::new() as stack => {
        for arguments in [vec![], vec![1], vec![1, 2]] {
            let log = log.clone();
            stack.callback(move || ready(log.write(format!("{arguments:?}"))));
        }
    }}
    python::same("test_callback", &log, &["[1, 2]", "[1]", "[]"]);
}

/// `test_push`: STK-3, EXI-5, SUP-2. Which error it is, a closure is not told.
#[tokio::test]
async fn test_push() {
    async fn run(log: &Log) -> Result<(), Boom> {
        let told = |name: &'static str| {
            let log = log.clone();
            move |cause: Cause| {
                let told = match cause {
                    Cause::Failed(error) if error.is::<Boom>() => "ZeroDivision".to_owned(),
                    cause => short(cause),
                };
                ready(log.write(format!("{name}: {told}")))
            }
        };
        async_with! { AsyncExitStack::suppressing() as stack => {
            stack.push(told("outer"));
            stack.push(|_| ready(Verdict::Suppress));
            stack.push(told("inner"));
            stack.push(told("inmost"));
            Err(Boom("ZeroDivision"))?;
        }}
        log.write("after");
        Ok(())
    }
    let log = Log::new();
    outcome(&log, run(&log)).await;
    let expected = [
        "inmost: ZeroDivision",
        "inner: ZeroDivision",
        "outer: completed",
        "after",
    ];
    python::same("test_push", &log, &expected);
}

/// `test_enter_context`: STK-3. What is not async is a guard, and is kept.
#[tokio::test]
async fn test_enter_context() {
    struct Guard(Log);
    impl Guard {
        fn new(log: &Log) -> Self {
            log.write("enter guard");
            Self(log.clone())
        }
    }
    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.write("exit guard");
        }
    }
    let log = Log::new();
    async_with! { AsyncExitStack::new() as stack => {
        stack.callback(writes(&log, "callback"));
        stack.keep(Guard::new(&log));
        log.write("body");
    }}
    let expected = ["enter guard", "body", "exit guard", "callback"];
    python::same("test_enter_context", &log, &expected);
}

/// `test_close`: STK-4.
#[tokio::test]
async fn test_close() {
    async fn run(log: &Log) -> Result<(), Boom> {
        async_with! { AsyncExitStack::new() as stack => {
            stack.callback(writes(log, "callback"));
            stack.close().await?;
            log.write("body");
        }}
        Ok(())
    }
    let log = Log::new();
    outcome(&log, run(&log)).await;
    python::same("test_close", &log, &["callback", "body"]);
}

/// `test_pop_all`: STK-4.
#[tokio::test]
async fn test_pop_all() {
    async fn run(log: &Log) -> Result<(), Boom> {
        let mut moved = async_with! { AsyncExitStack::<Boom>::new() as stack => {
            stack.callback(writes(log, "callback"));
            let moved = stack.pop_all();
            log.write("body");
            moved
        }};
        log.write("after");
        moved.close().await
    }
    let log = Log::new();
    outcome(&log, run(&log)).await;
    python::same("test_pop_all", &log, &["body", "after", "callback"]);
}

/// `test_exit_raise`: STK-3, ERR-2.
#[tokio::test]
async fn test_exit_raise() {
    async fn run() -> Result<(), Boom> {
        async_with! { AsyncExitStack::suppressing() as stack => {
            stack.push(|_| ready(Verdict::Propagate));
            Err(Boom("ZeroDivision"))?;
        }}
        Ok(())
    }
    let log = Log::new();
    outcome(&log, run()).await;
    python::same("test_exit_raise", &log, &["raised ZeroDivision"]);
}

/// `test_exit_suppress`: STK-3, SUP-2.
#[tokio::test]
async fn test_exit_suppress() {
    async fn run(log: &Log) -> Result<(), Boom> {
        async_with! { AsyncExitStack::suppressing() as stack => {
            stack.push(|_| ready(Verdict::Suppress));
            Err(Boom("ZeroDivision"))?;
        }}
        log.write("after");
        Ok(())
    }
    let log = Log::new();
    outcome(&log, run(&log)).await;
    python::same("test_exit_suppress", &log, &["after"]);
}

/// `test_exit_exception_chaining_reference`: ERR-3, ERR-5, STK-1. Nested blocks, for comparison with the next test.
#[tokio::test]
async fn test_exit_exception_chaining_reference() {
    async fn run(log: &Log) -> Result<(), Boom> {
        async_with! {
            raising(log, "Index"), raising(log, "Key"), raising(log, "Attribute"), Keeps(log.clone()) => {
                async_with! { raising(log, "Value") => {
                    Err(Boom("ZeroDivision"))?;
                }}
            }
        }
        Ok(())
    }
    struct Keeps(Log);

    #[async_context_manager]
    impl AsyncContextManager for Keeps {
        async fn enter(&mut self) -> Result<(), Boom> {
            Ok(())
        }

        async fn exit(self, (): (), cause: Cause) -> Result<Verdict, Boom> {
            Ok(suppresses(&self.0)(cause).await)
        }
    }
    let log = Log::new();
    super::chained("test_exit_exception_chaining_reference", &log, run(&log)).await;
}

/// `test_exit_exception_chaining`: ERR-3, ERR-5, STK-1. The managers of the test above, in a stack.
#[tokio::test]
async fn test_exit_exception_chaining() {
    async fn run(log: &Log) -> Result<(), Boom> {
        async_with! { AsyncExitStack::suppressing() as stack => {
            stack.enter(raising(log, "Index")).await?;
            stack.enter(raising(log, "Key")).await?;
            stack.enter(raising(log, "Attribute")).await?;
            stack.push(suppresses(log));
            stack.enter(raising(log, "Value")).await?;
            Err(Boom("ZeroDivision"))?;
        }}
        Ok(())
    }
    let log = Log::new();
    super::chained("test_exit_exception_chaining", &log, run(&log)).await;
}

/// `test_exit_exception_non_suppressing`: FLO-6, SUP-2, ERR-1.
#[tokio::test]
async fn test_exit_exception_non_suppressing() {
    async fn callback_raises(log: &Log) -> Result<(), Boom> {
        async_with! { AsyncExitStack::new() as stack => {
            stack.callback(writes(log, "callback"));
            stack.push(raises(log, "Index"));
        }}
        Ok(())
    }
    async fn suppressed_between(log: &Log) -> Result<(), Boom> {
        async_with! { AsyncExitStack::suppressing() as stack => {
            stack.push(raises(log, "Key"));
            stack.push(suppresses(log));
            stack.push(raises(log, "Index"));
        }}
        Ok(())
    }
    let log = Log::new();
    outcome(&log, callback_raises(&log)).await;
    outcome(&log, suppressed_between(&log)).await;
    let expected = [
        "raise Index",
        "callback",
        "raised Index",
        "raise Index",
        "suppress",
        "raise Key",
        "raised Key",
    ];
    python::same("test_exit_exception_non_suppressing", &log, &expected);
}

/// `test_exit_exception_with_correct_context`: ERR-3, ERR-5. The four errors, in the order in which they happened.
#[tokio::test]
async fn test_exit_exception_with_correct_context() {
    #[async_context_manager]
    async fn fails(name: &'static str) -> Result<(), Boom> {
        yield_!();
        Err(Boom(name))
    }
    async fn run() -> Result<(), Boom> {
        async_with! { AsyncExitStack::new() as stack => {
            for name in ["4", "3", "2"] {
                stack.enter(fails(name)).await?;
            }
            Err(Boom("1"))?;
        }}
        Ok(())
    }
    let log = Log::new();
    let (result, entries) = report::collect(run()).await;
    assert_eq!(result, Err(Boom("1")));
    happened(&log, result, &entries);
    let expected = ["happened: 1 2 3 4"];
    python::same("test_exit_exception_with_correct_context", &log, &expected);
}

/// `test_exit_exception_with_existing_context`: ERR-2, ERR-5. An error that has another one as its source keeps it, in
/// the report too.
#[tokio::test]
async fn test_exit_exception_with_existing_context() {
    #[derive(Debug)]
    #[allow(dead_code)] // Shown by `Debug`.
    struct Nested(Boom, Option<Boom>);

    async fn run() -> Result<(), Nested> {
        async_with! { AsyncExitStack::new() as stack => {
            stack.push(async |_| Err::<(), _>(Nested(Boom("5"), Some(Boom("4")))));
            stack.push(async |_| Err::<(), _>(Nested(Boom("3"), Some(Boom("2")))));
            return Err(Nested(Boom("1"), None));
        }}
        #[allow(unreachable_code)]
        Ok(())
    }
    let (result, entries) = report::collect(run()).await;
    assert!(matches!(result, Err(Nested(Boom("1"), None))));
    let reported: Vec<_> = entries
        .iter()
        .map(|entry| entry.incident.to_string())
        .collect();
    let expected = [
        r#"failed: Nested(Boom("3"), Some(Boom("2")))"#,
        r#"failed: Nested(Boom("5"), Some(Boom("4")))"#,
    ];
    assert_eq!(reported, expected);
    let expected = ["happened: 1 2 3 4 5"];
    python::logs("test_exit_exception_with_existing_context", &expected);
}

/// `test_body_exception_suppress`: SUP-2.
#[tokio::test]
async fn test_body_exception_suppress() {
    async fn run(log: &Log) -> Result<(), Boom> {
        async_with! { AsyncExitStack::suppressing() as stack => {
            stack.push(suppresses(log));
            Err(Boom("ZeroDivision"))?;
        }}
        log.write("after");
        Ok(())
    }
    let log = Log::new();
    outcome(&log, run(&log)).await;
    python::same("test_body_exception_suppress", &log, &["suppress", "after"]);
}

/// `test_exit_exception_chaining_suppress`: SUP-2, ERR-5. What failed in the exits before is suppressed by the last one,
/// and reported.
#[tokio::test]
async fn test_exit_exception_chaining_suppress() {
    async fn run(log: &Log) -> Result<(), Boom> {
        async_with! { AsyncExitStack::suppressing() as stack => {
            stack.push(suppresses(log));
            stack.push(raises(log, "ZeroDivision again"));
            stack.push(raises(log, "Key"));
            Err(Boom("ZeroDivision"))?;
        }}
        log.write("after");
        Ok(())
    }
    let log = Log::new();
    let (result, entries) = report::collect(run(&log)).await;
    assert_eq!(result, Ok(()));
    assert_eq!(reported(&entries), ["Key", "ZeroDivision again"]);
    let expected = ["raise Key", "raise ZeroDivision again", "suppress", "after"];
    python::same("test_exit_exception_chaining_suppress", &log, &expected);
}

/// `test_excessive_nesting`: STK-5.
#[tokio::test]
async fn test_excessive_nesting() {
    let log = Log::new();
    let ran = Arc::new(AtomicUsize::new(0));
    async_with! { AsyncExitStack::new() as stack => {
        for _ in 0..10_000 {
            let ran = Arc::clone(&ran);
            stack.callback(async move || { ran.fetch_add(1, Ordering::Relaxed); });
        }
    }}
    log.write(ran.load(Ordering::Relaxed).to_string());
    python::same("test_excessive_nesting", &log, &["10000"]);
}

/// `test_dont_reraise_RuntimeError`: ERR-3, ERR-5. The original asks that the inner manager, which raises the error that
/// it is told, does not send the outer one, which raises another, round in circles. Here the first passes it on, and the
/// second's error is reported.
#[tokio::test]
async fn test_dont_reraise_runtime_error() {
    #[async_context_manager]
    async fn translates() -> Result<(), Boom> {
        let ((), cause) = yield_!();
        match cause {
            Cause::Failed(_) => Err(Boom("Unique")),
            _ => Ok(()),
        }
    }
    #[async_context_manager]
    async fn passes_on() -> Result<(), Boom> {
        let ((), _) = yield_!();
        Verdict::Propagate
    }
    async fn run() -> Result<(), Boom> {
        async_with! { AsyncExitStack::suppressing() as stack => {
            stack.enter(translates()).await?;
            stack.enter(passes_on()).await?;
            Err(Boom("Runtime"))?;
        }}
        Ok(())
    }
    let log = Log::new();
    let (result, entries) = report::collect(run()).await;
    assert_eq!(result, Err(Boom("Runtime")));
    happened(&log, result, &entries);
    let expected = ["happened: Runtime Unique"];
    python::same("test_dont_reraise_RuntimeError", &log, &expected);
}
