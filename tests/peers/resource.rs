//! The tests of cats-effect's `Resource` on order, errors and cancellation.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use async_with::{AsyncExitStack, drain, exit_within, move_on_when_cancelled, prelude::*, report};
use async_with_tests::{Boom, Log, short};
use proptest::prelude::{any, prop_assert_eq, proptest};
use tokio::runtime::Builder;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{reported, witness};

type Stack = AsyncExitStack<Boom>;

/// Takes its time to enter and to exit, and writes down when each begins and ends.
struct Slow {
    log: Log,
    enter: Duration,
    exit: Duration,
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn slow(log: &Log, enter: Duration, exit: Duration) -> Slow {
    let log = log.clone();
    Slow { log, enter, exit }
}

#[async_context_manager]
impl AsyncContextManager for Slow {
    async fn enter(&mut self) -> Result<(), Infallible> {
        /// Notices that it is dropped before it is told to be still.
        struct Interrupted(Option<Log>);
        impl Drop for Interrupted {
            fn drop(&mut self) {
                if let Some(log) = &self.0 {
                    log.write("enter interrupted");
                }
            }
        }
        let mut interrupted = Interrupted(Some(self.log.clone()));
        sleep(self.enter).await;
        interrupted.0 = None;
        self.log.write("entered");
        Ok(())
    }

    async fn exit(self, (): (), cause: Cause) -> Result<(), Infallible> {
        self.log.write(format!("exit: {}", short(cause)));
        sleep(self.exit).await;
        self.log.write("exited");
        Ok(())
    }
}

/// A stack of resources of which some fail to be released, and what is written when they are.
fn several(log: &Log, fail: &[bool]) -> (Stack, Vec<String>) {
    let stack = Stack::new();
    for (number, &fails) in fail.iter().enumerate() {
        let log = log.clone();
        stack.adopt(number, async move |number, _| {
            log.write(number.to_string());
            if fails { Err(Boom("release")) } else { Ok(()) }
        });
    }
    let order = (0..fail.len()).rev().map(|number| number.to_string());
    (stack, order.collect())
}

/// Cancels the block that it is given the token of, and waits for that.
async fn cancel(token: &CancellationToken) {
    token.cancel();
    std::future::pending().await
}

fn run<F: Future>(future: F) -> F::Output {
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(future)
}

proptest! {
    /// "releases resources in reverse order of acquisition": ORD-2, EXI-1. Each, also when others fail to be released.
    #[test]
    fn releases_resources_in_reverse_order_of_acquisition(fail: Vec<bool>) {
        let log = Log::new();
        let (stack, order) = several(&log, &fail);
        let used = async {
            async_with! { stack => {} }
            Ok::<_, Boom>(())
        };
        let (used, entries) = run(report::collect(used));
        let failures = fail.iter().filter(|fails| **fails).count();
        prop_assert_eq!(usize::from(used.is_err()) + entries.len(), failures);
        prop_assert_eq!(log.take(), order);
    }

    /// "allocated releases resources in reverse order of acquisition": STK-4.
    #[test]
    fn allocated_releases_resources_in_reverse_order_of_acquisition(fail: Vec<bool>) {
        let log = Log::new();
        let (mut stack, order) = several(&log, &fail);
        let (closed, entries) = run(report::collect(stack.close()));
        let failures = fail.iter().filter(|fails| **fails).count();
        prop_assert_eq!(usize::from(closed.is_err()) + entries.len(), failures);
        prop_assert_eq!(log.take(), order);
    }

    /// "allocated produces the same value as the resource": STK-1.
    #[test]
    fn allocated_produces_the_same_value_as_the_resource(value in any::<u32>()) {
        #[async_context_manager]
        async fn lent(value: u32) -> Result<u32, Boom> {
            yield_!(value);
        }
        let used = run(async {
            let used = async_with! { lent(value) as value => { *value } };
            Ok::<_, Boom>(used)
        });
        let allocated: Result<u32, Boom> = run(async {
            let mut stack = Stack::new();
            let allocated = **stack.enter(lent(value)).await?;
            stack.close().await?;
            Ok(allocated)
        });
        prop_assert_eq!((used, allocated), (Ok(value), Ok(value)));
    }
}

/// "makes acquires non interruptible" and "overriding uncancelable": CAN-7. An enter is dropped with its block, and must
/// be drop-safe; nothing is owed then.
#[tokio::test(start_paused = true)]
async fn makes_acquires_non_interruptible() {
    let log = Log::new();
    let block = async {
        async_with! { slow(&log, seconds(5), seconds(0)) => { log.write("body") } }
    };
    assert!(timeout(seconds(1), block).await.is_err());
    drain().await;
    assert_eq!(log.take(), ["enter interrupted"]);
}

/// "releases resource if interruption happens during use": CAN-1, CAN-6.
#[tokio::test(start_paused = true)]
async fn releases_resource_if_interruption_happens_during_use() {
    let log = Log::new();
    let block = async {
        async_with! { slow(&log, seconds(1), seconds(0)) => { sleep(seconds(5)).await } }
    };
    assert!(timeout(seconds(3), block).await.is_err());
    drain().await;
    assert_eq!(log.take(), ["entered", "exit: dropped", "exited"]);

    // The same with a deadline that awaits the release.
    async_with! { async_with::move_on_after(seconds(3)), slow(&log, seconds(1), seconds(0)) => {
        sleep(seconds(5)).await;
    }}
    assert_eq!(log.take(), ["entered", "exit: cancelled", "exited"]);
}

/// "supports interruptible acquires": CAN-6, CAN-7. With a deadline of our own too.
#[tokio::test(start_paused = true)]
async fn supports_interruptible_acquires() {
    let log = Log::new();
    async_with! { async_with::move_on_after(seconds(1)), slow(&log, seconds(5), seconds(0)) => {
        log.write("body");
    }}
    assert_eq!(log.take(), ["enter interrupted"]);
}

/// "supports interruptible acquires, respecting uncancelable": CAN-7. A part of an enter that must not be cut short is a
/// task of its own.
#[tokio::test(start_paused = true)]
async fn supports_interruptible_acquires_respecting_uncancelable() {
    #[async_context_manager]
    async fn partly(log: Log) -> Result<(), Infallible> {
        let finished = log.clone();
        let part = tokio::spawn(async move {
            sleep(seconds(1)).await;
            finished.write("first part finished");
        });
        part.await.expect("it does not panic");
        log.write("second part");
        yield_!();
        log.write("exit");
    }
    let log = Log::new();
    async_with! { async_with::move_on_after(Duration::from_millis(500)), partly(log.clone()) => {
        log.write("body");
    }}
    assert_eq!(log.take(), Vec::<String>::new());
    sleep(seconds(1)).await;
    assert_eq!(log.take(), ["first part finished"]);
}

/// "release is always uninterruptible": CAN-2, CAN-5.
#[tokio::test(start_paused = true)]
async fn release_is_always_uninterruptible() {
    let log = Log::new();
    let block = async {
        async_with! { slow(&log, seconds(0), seconds(1)) => {} }
    };
    assert!(timeout(Duration::from_millis(500), block).await.is_err());
    assert_eq!(log.take(), ["entered", "exit: completed"]);
    drain().await;
    assert_eq!(log.take(), ["exited"]);
}

/// "eval - interruption": CAN-1, CAN-3. Cancelled while what comes after the first resource is being acquired.
#[tokio::test(start_paused = true)]
async fn eval_interruption() {
    let log = Log::new();
    let first = slow(&log, seconds(0), seconds(0));
    let never = slow(&log, Duration::MAX, seconds(0));
    let task = tokio::spawn(async move {
        async_with! { first, never => {} }
    });
    sleep(Duration::from_millis(200)).await;
    task.abort();
    assert!(task.await.is_err_and(|error| error.is_cancelled()));
    drain().await;
    let expected = ["entered", "enter interrupted", "exit: dropped", "exited"];
    assert_eq!(log.take(), expected);
}

/// "evalMap with error fails during use" and "evalTap with error fails during use": EXI-2. What is awaited between two
/// resources fails.
#[tokio::test]
async fn eval_map_with_error_fails_during_use() {
    async fn map(_: &mut &'static str) -> Result<&'static str, Boom> {
        Err(Boom("foo"))
    }
    async fn run(log: &Log) -> Result<(), Boom> {
        async_with! { witness(log, "a") as a, witness(log, map(a).await?) => {
            log.write("body");
        }}
        Ok(())
    }
    let log = Log::new();
    assert_eq!(run(&log).await, Err(Boom("foo")));
    assert_eq!(log.take(), ["enter a", "exit a: foo"]);
}

/// "allocated releases two resources" and "allocated does not release until close is invoked": STK-4.
#[tokio::test]
async fn allocated_releases_two_resources() {
    async fn allocated(log: &Log) -> Result<Stack, Boom> {
        async_with! { AsyncExitStack::new() as stack => {
            stack.enter(witness(log, "a")).await?;
            stack.enter(witness(log, "b")).await?;
            Ok(stack.pop_all())
        }}
    }
    let log = Log::new();
    let mut stack = allocated(&log).await.expect("nothing fails");
    assert_eq!(log.take(), ["enter a", "enter b"]);
    assert_eq!(stack.close().await, Ok(()));
    assert_eq!(log.take(), ["exit b: completed", "exit a: completed"]);
}

/// "mapK should preserve ExitCode-specific behaviour": EXI-4. An adaptor is told what the manager in it would be told.
#[tokio::test]
async fn map_k_should_preserve_exit_code_specific_behaviour() {
    async fn run(log: &Log, fails: bool) -> Result<(), Boom> {
        async_with! { exit_within(seconds(9), witness(log, "adapted")) => {
            async_with! { witness(log, "plain") => {
                if fails {
                    Err(Boom("oh no"))?;
                }
            }}
        }}
        Ok(())
    }
    let log = Log::new();
    assert_eq!(run(&log, false).await, Ok(()));
    let exits = log.take().split_off(2);
    assert_eq!(exits, ["exit plain: completed", "exit adapted: completed"]);
    assert_eq!(run(&log, true).await, Err(Boom("oh no")));
    let exits = log.take().split_off(2);
    assert_eq!(exits, ["exit plain: oh no", "exit adapted: oh no"]);
}

/// "mapK respects interruptible acquires": CAN-7. An adaptor's enter is interrupted like the one in it.
#[tokio::test(start_paused = true)]
async fn map_k_respects_interruptible_acquires() {
    let log = Log::new();
    let adapted = exit_within(seconds(9), slow(&log, seconds(5), seconds(0)));
    async_with! { async_with::move_on_after(seconds(1)), adapted => { log.write("body") } }
    assert_eq!(log.take(), ["enter interrupted"]);
}

/// "use is stack-safe over binds": STK-5.
#[tokio::test]
async fn use_is_stack_safe_over_binds() {
    async fn run(log: &Log, binds: usize) -> Result<usize, Boom> {
        let entered = async_with! { AsyncExitStack::new() as stack => {
            for _ in 0..binds {
                stack.enter(witness(log, "a")).await?;
            }
            stack.len()
        }};
        Ok(entered)
    }
    let log = Log::new();
    assert_eq!(run(&log, 10_000).await, Ok(10_000));
    assert_eq!(log.take().len(), 20_000);
}

/// "allocatedCase", "is stack-safe over binds": STK-5.
#[tokio::test]
async fn allocated_case_is_stack_safe_over_binds() {
    let log = Log::new();
    let mut stack = Stack::new();
    for _ in 0..50_000 {
        stack
            .enter(witness(&log, "a"))
            .await
            .expect("it does not fail");
    }
    assert_eq!(stack.close().await, Ok(()));
    assert_eq!(log.take().len(), 100_000);
}

/// "safe attempt suspended resource": ERR-2. What enter fails with is raised as it is.
#[tokio::test]
async fn safe_attempt_suspended_resource() {
    async fn run(log: &Log) -> Result<(), Boom> {
        async_with! { witness(log, "a").enter_fails("boom!") => { log.write("body") } }
        Ok(())
    }
    let log = Log::new();
    assert_eq!(run(&log).await, Err(Boom("boom!")));
    assert_eq!(log.take(), ["enter a"]);
}

/// "both", "propagate the exit case": EXI-2, EXI-4, CAN-6. Each of two managers is told how the body ended, or that the
/// other could not be entered. (The one on the right is not entered after the one on the left has failed.)
#[tokio::test]
async fn both_propagate_the_exit_case() {
    async fn run(log: &Log, how: &str) -> Result<(), Boom> {
        let (mut left, mut right) = (witness(log, "left"), witness(log, "right"));
        if how == "left errored" {
            left = left.enter_fails("error");
        }
        if how == "right errored" {
            right = right.enter_fails("error");
        }
        let token = CancellationToken::new();
        async_with! { move_on_when_cancelled(token.clone()), left, right => {
            match how {
                "use errored" => return Err(Boom("error")),
                "use canceled" => cancel(&token).await,
                _ => {}
            }
        }}
        Ok(())
    }
    let table = [
        (
            "use successfully",
            Ok(()),
            vec!["exit right: completed", "exit left: completed"],
        ),
        (
            "use errored",
            Err(Boom("error")),
            vec!["exit right: error", "exit left: error"],
        ),
        (
            "use canceled",
            Ok(()),
            vec!["exit right: cancelled", "exit left: cancelled"],
        ),
        ("left errored", Err(Boom("error")), vec![]),
        (
            "right errored",
            Err(Boom("error")),
            vec!["exit left: error"],
        ),
    ];
    for (how, outcome, expected) in table {
        let log = Log::new();
        assert_eq!(run(&log, how).await, outcome, "{how}");
        let mut events = log.take();
        events.retain(|event| event.starts_with("exit"));
        assert_eq!(events, expected, "{how}");
    }
}

/// "both", "right canceled, test left" and "left canceled, test right": CAN-6. The cancellation comes while the one on
/// the right is entered.
#[tokio::test]
async fn both_right_canceled_test_left() {
    #[async_context_manager]
    async fn cancels(token: CancellationToken) -> Result<(), Infallible> {
        token.cancel();
        std::future::pending::<()>().await;
        yield_!();
    }
    let log = Log::new();
    let token = CancellationToken::new();
    let block = async {
        async_with! { move_on_when_cancelled(token.clone()), witness(&log, "left"), cancels(token.clone()) => {} }
        Ok::<_, Boom>(())
    };
    assert_eq!(block.await, Ok(()));
    assert_eq!(log.take(), ["enter left", "exit left: cancelled"]);
}

/// "combineK", "propagate the exit case", "left errored, use errored, test right" and its neighbors: EXI-1, EXI-4. The
/// alternative to a resource that cannot be acquired is told how the body ended.
#[tokio::test]
async fn combine_k_left_errored_use_errored_test_right() {
    async fn run(log: &Log, fails: bool) -> Result<(), Boom> {
        async_with! { AsyncExitStack::new() as stack => {
            let used = match stack.enter(witness(log, "left").enter_fails("left")).await {
                Ok(used) => used,
                Err(_) => stack.enter(witness(log, "right")).await?,
            };
            log.write(format!("use {used}"));
            if fails {
                Err(Boom("use"))?;
            }
        }}
        Ok(())
    }
    let log = Log::new();
    assert_eq!(run(&log, true).await, Err(Boom("use")));
    let expected = ["enter left", "enter right", "use right", "exit right: use"];
    assert_eq!(log.take(), expected);
    assert_eq!(run(&log, false).await, Ok(()));
    assert_eq!(
        log.take().last().map(String::as_str),
        Some("exit right: completed")
    );
}

/// "surround", "wrap an effect in a usage and ignore the value produced by resource": SYN-2, SYN-7.
#[tokio::test]
async fn surround_wrap_an_effect_in_a_usage_and_ignore_the_value_produced_by_resource() {
    async fn run(log: &Log) -> Result<&'static str, Boom> {
        Ok(async_with! { witness(log, "a") => { "hello" } })
    }
    assert_eq!(run(&Log::new()).await, Ok("hello"));
}

/// "forceR", "closes left scope": ORD-2. One block after another.
#[tokio::test]
async fn force_r_closes_left_scope() {
    async fn run(log: &Log) -> Result<(), Boom> {
        async_with! { witness(log, "left") => {} }
        async_with! { witness(log, "right") => {} }
        Ok(())
    }
    let log = Log::new();
    assert_eq!(run(&log).await, Ok(()));
    let expected = [
        "enter left",
        "exit left: completed",
        "enter right",
        "exit right: completed",
    ];
    assert_eq!(log.take(), expected);
}

/// "onCancel", "catches inner cancelation": CAN-6. The managers of the block are told, and what follows is not acquired.
#[tokio::test]
async fn on_cancel_catches_inner_cancelation() {
    async fn run(log: &Log, token: &CancellationToken) -> Result<(), Boom> {
        async_with! { move_on_when_cancelled(token.clone()) => {
            async_with! { witness(log, "on cancel"), witness(log, "inner") => { cancel(token).await } }
            async_with! { witness(log, "outer") => {} }
        }}
        Ok(())
    }
    let log = Log::new();
    assert_eq!(run(&log, &CancellationToken::new()).await, Ok(()));
    let expected = [
        "enter on cancel",
        "enter inner",
        "exit inner: cancelled",
        "exit on cancel: cancelled",
    ];
    assert_eq!(log.take(), expected);
}

/// "onCancel", "does not extend across the region": CAN-6, STK-4. A manager whose block is over is not told of what
/// comes later; what was moved out of the block is.
#[tokio::test]
async fn on_cancel_does_not_extend_across_the_region() {
    async fn run(log: &Log, token: &CancellationToken) -> Result<(), Boom> {
        async_with! { move_on_when_cancelled(token.clone()) => {
            async_with! { AsyncExitStack::new() as scope => {
                async_with! { witness(log, "on cancel") => { scope.enter(witness(log, "inner")).await?; } }
                scope.enter(witness(log, "outer")).await?;
                cancel(token).await;
            }}
        }}
        Ok(())
    }
    let log = Log::new();
    assert_eq!(run(&log, &CancellationToken::new()).await, Ok(()));
    let expected = [
        "enter on cancel",
        "enter inner",
        "exit on cancel: completed",
        "enter outer",
        "exit outer: cancelled",
        "exit inner: cancelled",
    ];
    assert_eq!(log.take(), expected);
}

/// "race", "two acquisitions, closing the loser and maintaining the winner": CAN-1, STK-4. (And "closes the loser
/// eagerly": it is closed while the winner is in use.)
#[tokio::test(start_paused = true)]
async fn race_two_acquisitions_closing_the_loser_and_maintaining_the_winner() {
    async fn acquired(log: &Log, name: &'static str, patience: u64) -> Result<Stack, Boom> {
        async_with! { AsyncExitStack::new() as stack => {
            stack.enter(witness(log, name)).await?;
            sleep(Duration::from_millis(patience)).await;
            Ok(stack.pop_all())
        }}
    }
    let log = Log::new();
    let mut winner = tokio::select! {
        biased;
        slower = acquired(&log, "loser", 200) => slower,
        faster = acquired(&log, "winner", 100) => faster,
    }
    .expect("nothing fails");
    // In the time that `drain` would wait for, if the winner were not open.
    sleep(Duration::from_millis(1)).await;
    let expected = ["enter loser", "enter winner", "exit loser: dropped"];
    assert_eq!(log.take(), expected);
    assert_eq!(winner.close().await, Ok(()));
    assert_eq!(log.take(), ["exit winner: completed"]);
}

/// "start", "run finalizers once when canceled": CAN-1, EXI-1.
#[tokio::test(start_paused = true)]
async fn start_run_finalizers_once_when_canceled() {
    let log = Log::new();
    let manager = slow(&log, seconds(0), seconds(0));
    let fork = tokio::spawn(async move {
        async_with! { manager => { sleep(seconds(2)).await } }
    });
    sleep(seconds(1)).await;
    fork.abort();
    drain().await;
    assert_eq!(log.take(), ["entered", "exit: dropped", "exited"]);
    sleep(seconds(2)).await;
    assert_eq!(log.take(), Vec::<String>::new());
}

/// "uncancelable", "does not suppress errors within use": EXI-4, ERR-2.
#[tokio::test]
async fn uncancelable_does_not_suppress_errors_within_use() {
    async fn run(log: &Log) -> Result<(), Boom> {
        async_with! { witness(log, "a") => { Err(Boom("test")) } }
    }
    let log = Log::new();
    let (result, entries) = report::collect(run(&log)).await;
    assert_eq!(result, Err(Boom("test")));
    assert_eq!(reported(&entries), Vec::<String>::new());
    assert_eq!(log.take(), ["enter a", "exit a: test"]);
}

/// "Resource[Resource[IO, *], *]", "flatten with finalizers inside-out": GEN-6. A manager that opens another one in its
/// enter, and exits it before its own exit goes on.
#[tokio::test]
async fn flatten_with_finalizers_inside_out() {
    #[async_context_manager]
    async fn outer(log: Log) -> Result<u32, Boom> {
        async_with! { witness(&log, "a") => {
            yield_!(42);
        }}
        log.write("b");
    }
    let log = Log::new();
    let value = async {
        let value = async_with! { outer(log.clone()) as value => { *value } };
        Ok::<_, Boom>(value)
    };
    assert_eq!(value.await, Ok(42));
    assert_eq!(log.take(), ["enter a", "exit a: completed", "b"]);
}
