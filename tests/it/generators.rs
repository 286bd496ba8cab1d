//! GEN: managers that are written as one function.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_with::{
    AsyncContextManager, AsyncExitStack, Cause, Elapsed, Generated, Interruption, Verdict,
    async_context_manager, async_with, drain, move_on_after, pending_exits, report,
};
use async_with_tests::{Boom, Gate, Log, pend, short};
use futures::FutureExt;
use tokio_util::sync::CancellationToken;

use crate::runtimes::within_reason;

/// Lends a list that it keeps, and writes down what comes back.
#[async_context_manager]
async fn lent(log: Log, name: &'static str) -> Result<Vec<u32>, Boom> {
    log.write(format!("set up {name}"));
    let mut list = vec![1];
    pend(1).await;
    let cause = yield_!(&mut list);
    pend(1).await;
    log.write(format!("clean up {name} {list:?}: {}", short(cause)));
    Ok(())
}

/// GEN-1: the code before the yield is enter, the code behind it is exit.
#[tokio::test]
async fn a_function_is_a_manager() {
    async fn run(log: &Log) -> Result<usize, Boom> {
        async_with! { lent(log.clone(), "a") as list => {
            list.push(2);
            log.write("body");
            list.len()
        }}
        .ok()
    }
    let log = Log::new();
    assert_eq!(run(&log).await, Ok(2));
    assert_eq!(
        log.take(),
        ["set up a", "body", "clean up a [1, 2]: completed"]
    );
}

#[async_context_manager]
async fn one_of_two(log: Log, first: bool) -> Result<&'static str, Boom> {
    async_with! { if first { log.manager("first") } else { log.manager("second") } as resource => {
        yield_!(&mut resource.name);
    } }
    Ok(())
}

/// GEN-6: an item of a block around the yield has an `else` of its own.
#[tokio::test]
async fn a_block_around_the_yield_may_have_an_else_in_an_item() {
    let log = Log::new();
    let run = async || {
        for first in [true, false] {
            async_with! { one_of_two(log.clone(), first) as name => { log.write(*name); } }
        }
        Ok::<_, Boom>(())
    };
    assert_eq!(run().await, Ok(()));
    assert_eq!(
        log.take(),
        [
            "enter first",
            "first",
            "exit first: completed",
            "enter second",
            "second",
            "exit second: completed"
        ]
    );
}

trait Fine: Sized {
    fn ok(self) -> Result<Self, Boom> {
        Ok(self)
    }
}
impl Fine for usize {}

#[async_context_manager]
async fn owned(log: Log) -> Result<(String, u32), Boom> {
    let resource = ("text".to_owned(), 1);
    let ((text, number), cause) = yield_!(resource);
    log.write(format!("{text} {number} {}", short(cause)));
}

/// GEN-5: a value that was yielded comes back; the pattern is matched against `&mut R`.
#[tokio::test]
async fn an_owned_resource_comes_back() {
    let log = Log::new();
    async fn run(log: &Log) -> Result<(), Boom> {
        async_with! { owned(log.clone()) as (text, number) => {
            text.push('!');
            *number += 1;
            return Err(Boom("body"));
        }}
        #[allow(unreachable_code)]
        Ok(())
    }
    assert_eq!(run(&log).await, Err(Boom("body")));
    assert_eq!(log.take(), ["text! 2 failed Boom"]);
}

/// GEN-3: the code behind the yield runs on all five causes.
#[tokio::test]
async fn the_clean_up_always_runs() {
    async fn run(log: &Log, how: u8, token: CancellationToken) -> Result<(), Boom> {
        async_with! { async_with::move_on_when_cancelled(token) as token => {
            async_with! { lent(log.clone(), "a") => {
                match how {
                    0 => {}
                    1 => Err(Boom("body"))?,
                    2 => std::panic::panic_any("body"),
                    3 => {
                        token.cancel();
                        std::future::pending().await
                    }
                    _ => std::future::pending().await,
                }
            }}
        }}
        Ok(())
    }
    let log = Log::new();
    let token = CancellationToken::new;
    let expected = |cause: &str| vec!["set up a".to_owned(), format!("clean up a [1]: {cause}")];
    assert_eq!(run(&log, 0, token()).await, Ok(()));
    assert_eq!(log.take(), expected("completed"));
    assert_eq!(run(&log, 1, token()).await, Err(Boom("body")));
    assert_eq!(log.take(), expected("failed Boom"));
    let panicked = std::panic::AssertUnwindSafe(run(&log, 2, token()))
        .catch_unwind()
        .await;
    assert!(panicked.is_err());
    assert_eq!(log.take(), expected("panicked"));
    assert_eq!(run(&log, 3, token()).await, Ok(()));
    assert_eq!(log.take(), expected("cancelled"));
    {
        let mut block = pin!(run(&log, 4, token()));
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..3 {
            assert!(block.as_mut().poll(&mut cx).is_pending());
        }
    }
    drain().await;
    assert_eq!(log.take(), expected("dropped"));
}

#[async_context_manager]
async fn forgiving(log: Log) -> Result<(), Infallible> {
    let ((), cause) = yield_!();
    log.write(short(cause));
    match cause {
        Cause::Failed(error) if error.is::<Boom>() => Verdict::Suppress,
        _ => Verdict::Propagate,
    }
}

/// GEN-3: it decides whether a failure is suppressed.
#[tokio::test]
async fn a_generator_can_suppress() {
    let log = Log::new();
    let value = async {
        let value = async_with! { forgiving(log.clone()) => {
            Err(Boom("body"))?;
            1
        } else { 2 }};
        Ok::<_, Boom>(value)
    };
    assert_eq!(value.await, Ok(2));
    assert_eq!(log.take(), ["failed Boom"]);
}

/// GEN-2, GEN-3: one that may suppress may end with a result that has no verdict: it fails the exit, or propagates.
#[tokio::test]
async fn a_generator_that_may_suppress_can_fail() {
    fn flush(good: bool) -> Result<(), Boom> {
        if good { Ok(()) } else { Err(Boom("flush")) }
    }
    #[async_context_manager(suppresses)]
    async fn flushed(good: bool) -> Result<(), Boom> {
        yield_!();
        flush(good)
    }
    async fn run(good: bool, body: Result<(), Boom>) -> Result<(), Boom> {
        async_with! { flushed(good) => { body? } }
        Ok(())
    }
    assert_eq!(run(true, Ok(())).await, Ok(()));
    assert_eq!(run(false, Ok(())).await, Err(Boom("flush")));
    assert_eq!(run(true, Err(Boom("body"))).await, Err(Boom("body")));
}

#[async_context_manager]
async fn failing(log: Log, before: bool, returns: bool) -> Result<u8, Boom> {
    let _held = log.clone();
    if before {
        if returns {
            return Err(Boom("set-up"));
        }
        Err(Boom("set-up"))?;
    }
    let cause = yield_!(&mut 1);
    if returns {
        return Ok(());
    }
    log.write(short(cause));
    Err(Boom("clean-up"))
}

/// GEN-2: an error before the yield is an enter failure, one behind it an exit failure.
#[tokio::test]
async fn errors_fail_enter_or_exit() {
    async fn run(log: &Log, before: bool, returns: bool) -> Result<(), Boom> {
        async_with! { log.fallible("outer"), failing(log.clone(), before, returns) => {
            log.write("body");
        }}
        Ok(())
    }
    let log = Log::new();
    for returns in [false, true] {
        assert_eq!(run(&log, true, returns).await, Err(Boom("set-up")));
        let expected = [
            "enter outer",
            "inspect outer: Boom(\"set-up\")",
            "exit outer: failed Boom",
        ];
        assert_eq!(log.take(), expected);
    }
    assert_eq!(run(&log, false, false).await, Err(Boom("clean-up")));
    let expected = [
        "enter outer",
        "body",
        "completed",
        "inspect outer: Boom(\"clean-up\")",
        "exit outer: failed Boom",
    ];
    assert_eq!(log.take(), expected);
    assert_eq!(run(&log, false, true).await, Ok(()));
    let _ = log.take();
}

#[async_context_manager]
async fn returning(fails: bool) -> Result<u8, Boom> {
    yield_!(&mut 1);
    if fails {
        return Err(Boom("clean-up"));
    } else {
        return Ok(());
    }
}

#[async_context_manager(suppresses)]
async fn unfinished() -> Result<u8, Boom> {
    yield_!(&mut 1);
    std::panic::panic_any("not yet")
}

#[async_context_manager]
async fn endless() -> Result<u8, Boom> {
    yield_!(&mut 1);
    loop {
        pend(1).await;
    }
}

/// GEN-1: as of any function, the end need not be reached.
#[tokio::test]
async fn a_generator_may_diverge() {
    async fn run(fails: bool) -> Result<u8, Boom> {
        async_with! { returning(fails) as n => { Ok(*n) } }
    }
    assert_eq!(run(false).await, Ok(1));
    assert_eq!(run(true).await, Err(Boom("clean-up")));
    async fn run_unfinished() -> Result<u8, Boom> {
        async_with! { unfinished() as n => { Ok(*n) } else { Ok(2) } }
    }
    let payload = caught(run_unfinished()).await.err();
    let payload = payload.expect("it panics");
    assert_eq!(payload.downcast_ref(), Some(&"not yet"));
    async fn run_endless() -> Result<(), Boom> {
        async_with! { endless() => {} }
        Ok(())
    }
    assert!(futures::poll!(pin!(run_endless())).is_pending());
}

#[async_context_manager]
async fn either_way(log: &Log, first: bool) -> Result<&'static str, Infallible> {
    let cause = if first {
        yield_!(&mut "first")
    } else {
        match log.events().len() {
            0 => yield_!(&mut "empty"),
            _ => yield_!(&mut "full"),
        }
    };
    log.write(short(cause));
}

/// GEN-2, GEN-4: one yield on every path; a borrowed argument makes a scoped manager.
#[tokio::test]
async fn every_path_yields_once() {
    let log = Log::new();
    for (first, expected) in [(true, "first"), (false, "full")] {
        log.write("event");
        async_with! { either_way(&log, first) as name => {
            assert_eq!(*name, expected);
        }}
        assert_eq!(log.take(), ["event", "completed"]);
    }
    // Nothing is left when its block is dropped: it cannot outlive what it borrows.
    {
        let block = async {
            async_with! { either_way(&log, true) => { std::future::pending::<()>().await } }
        };
        assert!(block.now_or_never().is_none());
    }
    drain().await;
    assert_eq!(log.take(), Vec::<String>::new());
}

/// GEN-6: opens two managers, and lends the inner one's resource.
#[async_context_manager]
async fn composed(log: Log) -> Result<async_with_tests::Resource, Boom> {
    async_with! { log.fallible("connection").pending(1) => {
        async_with! { log.fallible("transaction").pending(1) as transaction => {
            let cause = yield_!(transaction);
            log.write(format!("back: {}", short(cause)));
        }}
        log.write("between");
    }}
}

async fn use_composed(log: &Log, how: u8) -> Result<(), Boom> {
    async_with! { log.fallible("outer"), composed(log.clone()) as transaction => {
        transaction.note();
        match how {
            0 => {}
            1 => Err(Boom("body"))?,
            2 => std::panic::panic_any("body"),
            _ => std::future::pending().await,
        }
    }}
    Ok(())
}

fn composed_events(cause: &str) -> Vec<String> {
    let inspect = |name: &str| {
        let is_failed = cause == "failed Boom";
        is_failed.then(|| format!("inspect {name}: Boom(\"body\")"))
    };
    let set_up = [
        "enter outer",
        "enter connection",
        "enter transaction",
        "use transaction",
    ];
    let mut events = set_up.map(ToOwned::to_owned).to_vec();
    events.push(format!("back: {cause}"));
    events.extend(inspect("transaction"));
    events.push(format!("exit transaction: {cause}"));
    events.push("exited transaction".to_owned());
    events.push("between".to_owned());
    events.extend(inspect("connection"));
    events.push(format!("exit connection: {cause}"));
    events.push("exited connection".to_owned());
    events
}

/// GEN-6: the blocks of a generator that enclose its yield are told how the user's block ended, and shown its error.
#[tokio::test]
async fn generators_compose() {
    let log = Log::new();
    assert_eq!(use_composed(&log, 0).await, Ok(()));
    let mut expected = composed_events("completed");
    expected.push("exit outer: completed".into());
    assert_eq!(log.take(), expected);

    assert_eq!(use_composed(&log, 1).await, Err(Boom("body")));
    let mut expected = composed_events("failed Boom");
    expected.push("inspect outer: Boom(\"body\")".into());
    expected.push("exit outer: failed Boom".into());
    assert_eq!(log.take(), expected);

    let panicked = std::panic::AssertUnwindSafe(use_composed(&log, 2))
        .catch_unwind()
        .await;
    assert!(panicked.is_err());
    let mut expected = composed_events("panicked");
    expected.push("exit outer: panicked".into());
    assert_eq!(log.take(), expected);

    // In the middle of everything, the last poll is that of the body.
    let mut cx = Context::from_waker(Waker::noop());
    {
        let mut block = pin!(use_composed(&log, 3));
        for _ in 0..4 {
            assert!(block.as_mut().poll(&mut cx).is_pending());
        }
    }
    drain().await;
    let mut expected = composed_events("dropped");
    expected.push("exit outer: dropped".into());
    assert_eq!(log.take(), expected);
    assert_eq!(pending_exits(), []);
}

/// GEN-6, CAN-1: dropped after every number of polls, what was entered is exited, once, inside first.
#[tokio::test]
async fn generators_can_be_dropped_at_any_point() {
    let log = Log::new();
    let mut cx = Context::from_waker(Waker::noop());
    let mut ready = false;
    let mut polls = 0;
    while !ready {
        {
            let mut block = pin!(use_composed(&log, 0));
            for _ in 0..polls {
                ready = block.as_mut().poll(&mut cx).is_ready();
            }
        }
        drain().await;
        let events = log.take();
        let mut open = Vec::new();
        for event in &events {
            match event.split_once(' ') {
                Some(("enter", name)) => open.push(name.to_owned()),
                Some(("exit", rest)) => {
                    let (name, _) = rest.split_once(':').expect("a cause");
                    assert_eq!(open.pop().as_deref(), Some(name), "{events:?}");
                }
                _ => {}
            }
        }
        assert!(open.is_empty(), "{events:?}");
        polls += 1;
    }
    assert_eq!(polls, 6);
}

#[async_context_manager]
async fn composed_scoped(log: &Log) -> Result<async_with_tests::Resource, Boom> {
    async_with! { log.fallible("connection"), log.fallible("transaction") as transaction => {
        yield_!(transaction);
    }}
}

/// GEN-6, CAN-5: the blocks of a generator enclose the body that it lends to: `drain` does not wait for them.
#[tokio::test(start_paused = true)]
async fn drain_in_the_body_does_not_wait_for_the_generator() {
    let log = Log::new();
    let block = async {
        async_with! { log.fallible("outer"), composed(log.clone()) => {
            drain().await;
            pend(2).await;
            drain().await;
            log.write("drained");
        }}
        Ok::<_, Boom>(())
    };
    block.await.expect("nothing fails");
    assert!(log.take().contains(&"drained".to_owned()));
    let block = async {
        async_with! { log.fallible("outer"), composed_scoped(&log) => {
            drain().await;
            pend(2).await;
            drain().await;
            log.write("drained");
        }}
        Ok::<_, Boom>(())
    };
    within_reason(block).await.expect("nothing fails");
    assert!(log.take().contains(&"drained".to_owned()));
}

/// GEN-6: an inner manager may suppress what the outer ones would be told.
#[tokio::test]
async fn an_inner_manager_ends_the_mark() {
    #[async_context_manager(suppresses)]
    async fn guarded(log: Log) -> Result<(), Boom> {
        async_with! { log.fallible("a") => {
            async_with! { log.fallible("b").exit_fails() => {
                let ((), cause) = yield_!();
                log.write(short(cause));
            }}
        }}
    }
    let log = Log::new();
    let block = async {
        async_with! { guarded(log.clone()) => { Err(Boom("body"))?; } }
        Ok::<_, Boom>(())
    };
    let (result, entries) = report::collect(block).await;
    assert_eq!(result, Err(Boom("body")));
    // The body had failed already: the error of an inner exit does not take its place.
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].incident.to_string(), "failed: Boom(\"b\")");
    let expected = [
        "enter a",
        "enter b",
        "failed Boom",
        "inspect b: Boom(\"body\")",
        "exit b: failed Boom",
        "inspect a: Boom(\"body\")",
        "exit a: failed Boom",
    ];
    assert_eq!(log.take(), expected);
}

struct Pool {
    log: Log,
}

impl Pool {
    /// A connection of this pool.
    #[async_context_manager]
    pub async fn connection(&self, mut names: Vec<&'static str>) -> Result<String, Boom> {
        names.push("c");
        let mut connection = names.concat();
        let cause = yield_!(&mut connection);
        self.log.write(format!("{connection}: {}", short(cause)));
        Ok(())
    }

    #[async_context_manager]
    async fn generic<T: ToString + Send + 'static>(
        log: Log,
        (value, _): (T, u8),
    ) -> Result<T, Infallible> {
        let mut value = value;
        yield_!(&mut value);
        log.write(value.to_string());
    }
}

/// GEN-4: methods, generics, patterns and `mut` in parameters; each call makes a fresh manager; in a function and in
/// the attribute.
#[tokio::test]
async fn signatures_are_kept() {
    let pool = Pool { log: Log::new() };
    let lengths = async {
        let mut lengths = Vec::new();
        for name in ["a", "bb"] {
            async_with! { pool.connection(vec![name]) as connection => {
                connection.push('!');
                lengths.push(connection.len());
            }}
        }
        Ok::<_, Boom>(lengths)
    };
    assert_eq!(lengths.await, Ok(vec![3, 4]));
    assert_eq!(pool.log.take(), ["ac!: completed", "bbc!: completed"]);

    #[async_with::attr::async_with(Pool::generic(log, (7, 0)) as number)]
    async fn attributed(log: Log) -> i32 {
        *number += 1;
        *number
    }
    assert_eq!(attributed(pool.log.clone()).await, 8);
    assert_eq!(pool.log.take(), ["8"]);
}

/// GEN-1: a generator in an exit stack.
#[tokio::test]
async fn generators_in_a_stack() {
    async fn run(log: &Log) -> Result<(), Boom> {
        async_with! { AsyncExitStack::new() as stack => {
            let one = stack.enter(lent(log.clone(), "one")).await?;
            let two = stack.enter(lent(log.clone(), "two")).await?;
            one.push(5);
            assert_eq!(format!("{one:?}"), "[1, 5]");
            two.append(one);
        }}
        Ok(())
    }
    let log = Log::new();
    assert_eq!(run(&log).await, Ok(()));
    let expected = [
        "set up one",
        "set up two",
        "clean up two [1, 1, 5]: completed",
        "clean up one []: completed",
    ];
    assert_eq!(log.take(), expected);
}

#[async_context_manager]
async fn recursive(log: Log, depth: usize) -> Result<usize, Infallible> {
    if depth == 0 {
        let mut innermost = 100;
        yield_!(&mut innermost);
        log.write(format!("end {innermost}"));
    } else {
        let inner: Generated<usize, Infallible> = recursive(log.clone(), depth - 1);
        async_with! { inner as value => {
            *value += 1;
            yield_!(value);
        }}
        log.write(format!("end of {depth}"));
    }
}

/// GEN-1: recursion.
#[tokio::test]
async fn a_generator_can_open_itself() {
    let log = Log::new();
    async_with! { recursive(log.clone(), 3) as value => {
        assert_eq!(*value, 103);
        *value = 7;
    }}
    assert_eq!(log.take(), ["end 7", "end of 1", "end of 2", "end of 3"]);
}

#[async_context_manager]
async fn patient(patience: Duration) -> Result<(), Elapsed> {
    let inner = async_with::timeout(patience);
    let deadline = tokio::time::Instant::now() + patience;
    drop(inner);
    let elapsed = async move {
        tokio::time::sleep_until(deadline).await;
        let late = async {
            async_with! { async_with::timeout(Duration::ZERO) => {
                std::future::pending::<()>().await;
            }};
            Ok::<_, Elapsed>(())
        };
        late.await.expect_err("it has passed")
    };
    let ((), _cause) = yield_!((), interrupt = elapsed);
}

/// GEN-3, CAN-6: a generator interrupts the block, with a future of its own.
#[tokio::test(start_paused = true)]
async fn a_generator_can_interrupt() {
    async fn run(log: &Log) -> Result<(), Elapsed> {
        async_with! { log.manager("outer"), patient(Duration::from_secs(3)), log.scoped("inner") => {
            std::future::pending::<()>().await;
        }}
        Ok(())
    }
    let log = Log::new();
    assert!(run(&log).await.is_err());
    let expected = [
        "enter outer",
        "enter inner",
        "exit inner: cancelled",
        "inspect outer: Elapsed",
        "exit outer: failed Elapsed",
    ];
    assert_eq!(log.take(), expected);
}

/// CAN-4, GEN-6: clean-up that is detached in the code behind the yield is waited for before the outer exit.
#[tokio::test]
async fn what_is_detached_in_a_generator_is_waited_for() {
    #[async_context_manager]
    async fn untidy(log: Log, gate: Gate) -> Result<(), Infallible> {
        let ((), _) = yield_!();
        let lost = async {
            async_with! { log.manager("lost").exit_waits_for(&gate) => {
                std::future::pending::<()>().await;
            }}
        };
        assert!(lost.now_or_never().is_none());
        log.write("end");
        gate.open();
    }
    let log = Log::new();
    async_with! { log.manager("outer"), untidy(log.clone(), Gate::new()) => {} }
    let expected = [
        "enter outer",
        "enter lost",
        "end",
        "exit lost: dropped",
        "exited lost",
        "exit outer: completed",
    ];
    assert_eq!(log.take(), expected);
}

/// TYP-1: the future of a block with generators of either kind is `Send`.
#[test]
fn the_future_is_send() {
    fn is_send<F: Future + Send>(_: F) {}
    let log = Log::new();
    is_send(async {
        async_with! { either_way(&log, true) as name, recursive(log.clone(), 1) as value => {
            pend(1).await;
            *value += name.len();
        }}
    });
}

/// CAN-7: dropped before the yield, the code behind it does not run.
#[tokio::test(start_paused = true)]
async fn dropped_before_the_yield() {
    let log = Log::new();
    async_with! { move_on_after(Duration::from_secs(1)) => {
        #[async_context_manager]
        async fn slow(log: Log) -> Result<(), Infallible> {
            log.write("set up");
            std::future::pending::<()>().await;
            yield_!();
            log.write("clean up");
        }
        async_with! { slow(log.clone()) => {} }
    }}
    drain().await;
    assert_eq!(log.take(), ["set up"]);
}

/// A manager whose `interrupt` panics as soon as it is polled, and whose exit takes its time.
struct PanicsBesideTheYield(Log);

impl AsyncContextManager for PanicsBesideTheYield {
    type Resource = ();
    type Error = Boom;
    type Exit = ();

    async fn enter(&mut self) -> Result<(), Boom> {
        Ok(())
    }

    async fn exit(self, (): (), cause: Cause) -> Result<(), Boom> {
        pend(1).await;
        self.0.write(format!("exit: {}", short(cause)));
        Ok(())
    }

    #[allow(clippy::manual_async_fn)]
    fn interrupt(&self, (): &()) -> impl Interruption<Boom> + Send + use<> {
        async { std::panic::panic_any("interrupt") }
    }
}

/// GEN-5, PAN-3: what is lent by a yield that is dropped in the poll that reached it is not lent any more.
#[tokio::test]
async fn a_yield_that_is_dropped_at_once_lends_nothing() {
    #[async_context_manager]
    async fn nested(log: Log) -> Result<String, Boom> {
        async_with! { PanicsBesideTheYield(log) => {
            let mut text = "lent".repeat(9);
            yield_!(&mut text);
            Ok(())
        }}
    }
    async fn run(log: &Log) -> Result<(), Boom> {
        async_with! { nested(log.clone()) as text => {
            log.write(format!("body: {text}"));
        }}
        Ok(())
    }
    let log = Log::new();
    let panicked = std::panic::AssertUnwindSafe(run(&log)).catch_unwind().await;
    let payload = panicked.expect_err("the interrupt panics");
    assert_eq!(payload.downcast_ref(), Some(&"interrupt"));
    assert_eq!(log.take(), ["exit: panicked"]);
}

/// What a panic says.
fn message(panicked: Result<impl Sized, Box<dyn std::any::Any + Send>>) -> String {
    let payload = panicked.err().expect("it panics");
    *payload.downcast().expect("a formatted message")
}

async fn caught<T>(future: impl Future<Output = T>) -> Result<T, Box<dyn std::any::Any + Send>> {
    std::panic::AssertUnwindSafe(future).catch_unwind().await
}

mod managers {
    use super::{Boom, pend};
    use async_with::async_context_manager;

    #[async_context_manager]
    pub(super) async fn fragile(how: &'static str) -> Result<u32, Boom> {
        match how {
            "fails" => return Err(Boom("set-up")),
            "panics" => std::panic::panic_any("set-up"),
            "is dropped" => pend(1).await,
            _ => {}
        }
        yield_!(&mut 7);
    }

    #[async_context_manager]
    pub(super) async fn fragile_by_reference(how: &str) -> Result<u32, Boom> {
        match how {
            "fails" => return Err(Boom("set-up")),
            "panics" => std::panic::panic_any("set-up"),
            "is dropped" => pend(1).await,
            _ => {}
        }
        yield_!(&mut 7);
    }
}

/// GEN-4: there is one enter in a manager. A second one says so, and which manager it is, whatever became of the first.
#[tokio::test]
async fn a_second_enter_says_so() {
    macro_rules! entered_twice {
        ($manager:expr, $name:literal) => {
            let mut manager = $manager;
            let mut first = Box::pin(caught(manager.enter()));
            let mut cx = Context::from_waker(Waker::noop());
            let polled = first
                .as_mut()
                .poll(&mut cx)
                .map(|caught| caught.map(|entered| entered.map(|it| *it)));
            drop(first);
            assert_eq!(
                message(caught(manager.enter()).await),
                concat!(
                    "`it::generators::managers::",
                    $name,
                    "` is entered a second time; call it again for another manager"
                )
            );
            polled
        };
    }
    fn is_expected(how: &str, polled: &Poll<std::thread::Result<Result<u32, Boom>>>) -> bool {
        match how {
            "succeeds" => matches!(polled, Poll::Ready(Ok(Ok(7)))),
            "fails" => matches!(polled, Poll::Ready(Ok(Err(Boom("set-up"))))),
            "panics" => matches!(polled, Poll::Ready(Err(_))),
            _ => polled.is_pending(),
        }
    }
    for how in ["succeeds", "fails", "panics", "is dropped"] {
        let polled = {
            use async_with::AsyncContextManager;
            entered_twice! { managers::fragile(how), "fragile" }
        };
        assert!(is_expected(how, &polled), "{how}: {polled:?}");
        let polled = {
            use async_with::ScopedAsyncContextManager;
            entered_twice! { managers::fragile_by_reference(how), "fragile_by_reference" }
        };
        assert!(is_expected(how, &polled), "{how}, scoped: {polled:?}");
    }
}

/// GEN-2: where a macro hides a `return`, the check of the paths is not fooled for long.
#[tokio::test]
async fn a_body_that_ends_without_its_yield_says_so() {
    macro_rules! leave {
        () => {
            return Ok(())
        };
    }
    #[async_context_manager]
    async fn hasty(leaves: bool) -> Result<u32, Boom> {
        if leaves {
            leave!();
        }
        yield_!(&mut 7);
        Ok(())
    }
    async fn run(log: &Log) -> Result<(), Boom> {
        async_with! { lent(log.clone(), "outer"), hasty(true) => {
            log.write("body");
        }}
        Ok(())
    }
    let log = Log::new();
    assert_eq!(
        message(caught(run(&log)).await),
        "`it::generators::a_body_that_ends_without_its_yield_says_so::{{closure}}::hasty` ended without its `yield_!`"
    );
    assert_eq!(log.take(), ["set up outer", "clean up outer [1]: panicked"]);
}

/// ERR-5: what stands for a generator in reports is the path of its function.
#[tokio::test]
async fn the_function_is_the_name() {
    async fn run(log: &Log) -> Result<(), Boom> {
        async_with! { lent(log.clone(), "a") => {
            let pending: Vec<_> = pending_exits().iter().map(|exit| exit.manager).collect();
            assert_eq!(pending, ["it::generators::lent"]);
        }}
        async_with! { either_way(log, true) => {
            let pending: Vec<_> = pending_exits().iter().map(|exit| exit.manager).collect();
            assert_eq!(pending, ["it::generators::either_way"]);
        }}
        Ok(())
    }
    assert_eq!(run(&Log::new()).await, Ok(()));
}

/// GEN-4: a lifetime that is left out in the return type is that of the parameter, as in any function.
#[tokio::test]
async fn a_resource_may_borrow_from_a_parameter_by_an_elided_lifetime() {
    #[async_context_manager]
    async fn first_word(text: &str) -> Result<&str, Infallible> {
        let (_word, _cause) = yield_!(text.split(' ').next().unwrap_or_default());
        Ok(())
    }

    struct Page(Vec<String>);

    impl Page {
        #[async_context_manager]
        async fn line(&mut self, number: usize) -> Result<&mut String, Infallible> {
            let (line, _cause) = yield_!(&mut self.0[number]);
            line.push('.');
            Ok(())
        }
    }

    let text = String::from("two words");
    let length = async_with! { first_word(&text) as word => { word.len() } };
    assert_eq!(length, 3);
    let mut page = Page(vec![String::from("first"), String::from("second")]);
    async_with! { page.line(1) as line => { line.push_str(" line"); } }
    assert_eq!(page.0, ["first", "second line."]);
}
