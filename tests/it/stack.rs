//! STK: a dynamic number of managers.

use std::any::{Any, type_name};
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use async_with::report::{self, Entry, Phase};
use async_with::{
    AsyncContextManager, AsyncContextManagerExt as _, AsyncExitStack, Cause, Closed, Elapsed,
    Interruption, Verdict, async_with, drain, exit_within, move_on_after, timeout,
};
use async_with_tests::{Boom, Gate, Log, Logged, pend, short};
use futures::FutureExt;
use proptest::prelude::*;
use tokio::runtime::Builder;

/// STK-0: a stack of managers that never suppress keeps the type of its block; the error is the function's.
#[tokio::test]
async fn a_stack_keeps_the_type_of_its_block() {
    async fn sum(log: &Log) -> Result<u64, Boom> {
        async_with! { AsyncExitStack::new() as stack => {
            let mut all = Vec::new();
            for name in ["a", "b"] {
                all.push(stack.enter(log.fallible(name)).await?);
            }
            all.push(stack.enter(log.manager("never fails")).await.unwrap());
            for (number, resource) in (1..).zip(&mut all) {
                resource.value += number;
            }
            Ok(all.iter().map(|resource| resource.value).sum())
        }}
    }
    let log = Log::new();
    assert_eq!(sum(&log).await, Ok(6));
    let expected = [
        "enter a",
        "enter b",
        "enter never fails",
        "exit never fails: completed",
        "exit b: completed",
        "exit a: completed",
    ];
    assert_eq!(log.take(), expected);

    // Nothing in it can fail, and the function returns no `Result`.
    async fn plain(log: &Log) -> usize {
        async_with! { AsyncExitStack::new() as stack => {
            let Ok(a) = stack.enter(log.manager("a")).await;
            stack.callback(async || {});
            a.name.len() + stack.len()
        }}
    }
    assert_eq!(plain(&log).await, 3);
    assert_eq!(log.take(), ["enter a", "exit a: completed"]);

    // The same, with an error that is written.
    async fn unit(log: &Log) {
        async_with! { AsyncExitStack::<Infallible>::new() as stack => {
            stack.enter_infallible(log.manager("a")).await.note();
        }}
    }
    unit(&log).await;
    assert_eq!(log.take(), ["enter a", "use a", "exit a: completed"]);

    // Errors of different types are converted as `?` does.
    async fn different(log: &Log) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        async_with! { AsyncExitStack::new() as stack => {
            stack.enter(log.fallible("a").exit_fails()).await?;
            stack.push(async |_: Cause| Ok::<(), io::Error>(()));
        }}
        Ok(())
    }
    let error = different(&log).await.expect_err("the exit of a fails");
    assert!(error.is::<Boom>());
}

/// STK-2, ERR-1: an error object of any kind is the stack's, also with managers and closures that cannot fail.
#[tokio::test]
async fn a_stack_raises_error_objects() {
    async fn boxed(log: &Log) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        async_with! { AsyncExitStack::new() as stack => {
            stack.enter_infallible(log.manager("a")).await.note();
            stack.enter(log.fallible("b").exit_fails()).await?;
            stack.push(async |_: Cause| {});
            stack.adopt(1, async |_, _: Cause| Ok::<(), io::Error>(()));
        }}
        Ok(())
    }
    async fn anyhow(log: &Log) -> anyhow::Result<()> {
        async_with! { AsyncExitStack::suppressing() as stack => {
            stack.enter_infallible(log.suppressing("a")).await;
            stack.enter(log.fallible("b").exit_fails()).await?;
            stack.push(async |_: Cause| Verdict::Propagate);
        }}
        Ok(())
    }
    let log = Log::new();
    let error = boxed(&log).await.expect_err("the exit of b fails");
    assert!(error.is::<Boom>());
    anyhow(&log).await.expect("a suppresses it");
    let events = log.take();
    assert!(
        events.contains(&"exit a: failed Error".to_owned()),
        "{events:?}"
    );
}

/// STK-0, SUP-3: a stack that takes managers which suppress needs an `else` or `()`.
#[tokio::test]
async fn a_suppressing_stack_goes_on_after_the_block() {
    let log = Log::new();
    let value = async {
        let value = async_with! { AsyncExitStack::suppressing() as stack => {
            stack.enter(log.manager("a")).await.unwrap();
            stack.enter(log.suppressing("b")).await.unwrap();
            Err(Boom("body"))?;
            1
        } else { 2 }};
        Ok::<_, Boom>(value)
    };
    assert_eq!(value.await, Ok(2));
    let expected = [
        "enter a",
        "enter b",
        "inspect b: Boom(\"body\")",
        "exit b: failed Boom",
        "exit a: completed",
    ];
    assert_eq!(log.take(), expected);
}

/// STK-1: what a future of these blocks was seen to do.
#[derive(Debug, PartialEq)]
struct Seen {
    outcome: Option<Result<Result<u8, Boom>, String>>,
    events: Vec<String>,
    reported: Vec<(&'static str, String)>,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Value,
    Return,
    Fail,
    ReturnFailure,
    Panic,
    Interrupt,
}

#[derive(Clone, Debug)]
struct Script {
    managers: [Traits; 3],
    /// The item that has a deadline beside it, for `End::Interrupt`.
    deadline: usize,
    raises: bool,
    pends: usize,
    end: End,
    dropped_after: Option<usize>,
}

#[derive(Clone, Copy, Debug)]
struct Traits {
    enter: Act,
    exit: Act,
    inspect_panics: bool,
    verdict: Verdict,
    pends: usize,
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Succeed,
    Fail,
    Panic,
}

fn script() -> impl Strategy<Value = Script> {
    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![6 => Just(Act::Succeed), 2 => Just(Act::Fail), 1 => Just(Act::Panic)]
    }
    let verdict = prop_oneof![
        Just(Verdict::Propagate),
        Just(Verdict::Suppress),
        Just(Verdict::SuppressPanic)
    ];
    let enter = prop_oneof![12 => Just(Act::Succeed), 1 => Just(Act::Fail), 1 => Just(Act::Panic)];
    let traits = (enter, act(), prop::bool::weighted(0.1), verdict, 0..3usize).prop_map(
        |(enter, exit, inspect_panics, verdict, pends)| Traits {
            enter,
            exit,
            inspect_panics,
            verdict,
            pends,
        },
    );
    let end = prop_oneof![
        Just(End::Value),
        Just(End::Return),
        Just(End::Fail),
        Just(End::ReturnFailure),
        Just(End::Panic),
        Just(End::Interrupt),
    ];
    (
        prop::array::uniform3(traits),
        0..3usize,
        any::<bool>(),
        0..3usize,
        end,
        prop::option::weighted(0.5, 0..12usize),
    )
        .prop_map(
            |(managers, deadline, raises, pends, end, dropped_after)| Script {
                managers,
                deadline,
                raises,
                pends,
                end,
                dropped_after,
            },
        )
}

impl Script {
    fn manager(&self, log: &Log, number: usize) -> Logged<Boom, Verdict> {
        let Traits {
            enter,
            exit,
            inspect_panics,
            verdict,
            pends,
        } = self.managers[number];
        let mut manager = log
            .any(["a", "b", "c"][number])
            .pending(pends)
            .verdict(verdict);
        manager = match enter {
            Act::Succeed => manager,
            Act::Fail => manager.enter_fails(),
            Act::Panic => manager.enter_panics(),
        };
        manager = match exit {
            Act::Succeed => manager,
            Act::Fail => manager.exit_fails(),
            Act::Panic => manager.exit_panics(),
        };
        if inspect_panics {
            manager = manager.inspect_panics();
        }
        manager
    }

    /// A manager that interrupts when the gate opens: one for each item, of which one counts.
    fn interrupter(&self, number: usize, gate: &Gate) -> Interrupter {
        Interrupter {
            gate: (number == self.deadline).then(|| gate.clone()),
            raises: self.raises,
        }
    }

    async fn body(&self, log: &Log, gate: &Gate) -> Result<Option<u8>, Boom> {
        log.write("body");
        pend(self.pends).await;
        match self.end {
            End::Value => Ok(None),
            End::Return => Ok(Some(7)),
            End::Fail | End::ReturnFailure => Err(Boom("body")),
            End::Panic => std::panic::panic_any("body"),
            End::Interrupt => {
                gate.open();
                std::future::pending().await
            }
        }
    }
}

/// Interrupts with an error, or goes on after it.
struct Interrupter {
    gate: Option<Gate>,
    raises: bool,
}

impl AsyncContextManager for Interrupter {
    type Resource = ();
    type Error = Boom;
    type Exit = Verdict;

    async fn enter(&mut self) -> Result<(), Boom> {
        Ok(())
    }

    async fn exit(self, (): (), cause: Cause) -> Result<Verdict, Boom> {
        Ok(if cause == Cause::Cancelled && !self.raises {
            Verdict::Suppress
        } else {
            Verdict::Propagate
        })
    }

    fn interrupt(&self, (): &()) -> impl Interruption<Boom> + Send + use<> {
        let gate = self.gate.clone();
        async move {
            match gate {
                Some(gate) => gate.opened().await,
                None => std::future::pending().await,
            }
            Boom("interrupt")
        }
    }
}

async fn listed(script: &Script, log: &Log) -> Result<u8, Boom> {
    let gate = Gate::new();
    async_with! {
        script.interrupter(0, &gate), script.manager(log, 0),
        script.interrupter(1, &gate), script.manager(log, 1),
        script.interrupter(2, &gate), script.manager(log, 2) => {
            if let Some(value) = script.body(log, &gate).await? {
                return Ok(value);
            }
        }
    }
    log.write("after");
    Ok(0)
}

async fn nested(script: &Script, log: &Log) -> Result<u8, Boom> {
    let gate = Gate::new();
    async_with! { script.interrupter(0, &gate) => {
        async_with! { script.manager(log, 0) => {
            async_with! { script.interrupter(1, &gate) => {
                async_with! { script.manager(log, 1) => {
                    async_with! { script.interrupter(2, &gate) => {
                        async_with! { script.manager(log, 2) => {
                            match script.body(log, &gate).await {
                                Ok(Some(value)) => return Ok(value),
                                Ok(None) => {}
                                Err(boom) => return Err(boom),
                            }
                        }}
                    }}
                }}
            }}
        }}
    }}
    log.write("after");
    Ok(0)
}

async fn stacked(script: &Script, log: &Log) -> Result<u8, Boom> {
    let gate = Gate::new();
    async_with! { AsyncExitStack::suppressing() as stack => {
        for number in 0..3 {
            stack.enter(script.interrupter(number, &gate)).await?;
            stack.enter(script.manager(log, number)).await?;
        }
        if let Some(value) = script.body(log, &gate).await? {
            return Ok(value);
        }
    }}
    log.write("after");
    Ok(0)
}

fn see<'a, F: Future<Output = Result<u8, Boom>>>(
    script: &'a Script,
    run: impl FnOnce(&'a Script, &'a Log) -> F,
    log: &'a Log,
) -> Seen {
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    let (outcome, entries) = runtime.block_on(report::collect(async {
        let outcome = {
            let mut future = pin!(AssertUnwindSafe(run(script, log)).catch_unwind());
            let mut polls = 0;
            std::future::poll_fn(|cx| {
                if Some(polls) == script.dropped_after {
                    return Poll::Ready(None);
                }
                polls += 1;
                future.as_mut().poll(cx).map(Some)
            })
            .await
        };
        drain().await;
        outcome.map(|outcome| outcome.map_err(message))
    }));
    let told = |entry: &Entry| {
        let Entry {
            phase,
            cause,
            incident,
            ..
        } = entry;
        (
            entry.manager,
            format!("{phase} {} {incident}", short(*cause)),
        )
    };
    Seen {
        outcome,
        events: log.take(),
        reported: entries.iter().map(told).collect(),
    }
}

fn message(payload: Box<dyn Any + Send>) -> String {
    payload
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .unwrap_or_default()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// STK-1: a stack, nested blocks and one block with several items do the same.
    #[test]
    fn a_stack_means_nested_blocks(script in script()) {
        let log = Log::new();
        let one = see(&script, nested, &log);
        prop_assert_eq!(&see(&script, listed, &log), &one);
        prop_assert_eq!(&see(&script, stacked, &log), &one);
    }
}

/// STK-3: a stack knows how much it holds, and shows what.
#[tokio::test]
async fn a_stack_shows_what_it_holds() {
    let log = Log::new();
    let mut stack = AsyncExitStack::<Boom>::new();
    assert!(stack.is_empty());
    stack.enter(log.fallible("a")).await.unwrap();
    stack.keep(1_u8);
    assert!(!stack.is_empty());
    assert_eq!(stack.len(), 2);
    let names = [type_name::<Logged<Boom>>(), "u8"];
    assert_eq!(format!("{stack:?}"), format!("{names:?}"));
    assert_eq!(stack.close().await, Ok(()));
    assert_eq!(format!("{stack:?}"), "[]");
}

/// STK-2: a failed enter registers nothing, and those before it are exited, told of the failure.
#[tokio::test]
async fn a_failed_enter_registers_nothing() {
    async fn run(log: &Log) -> Result<(), Boom> {
        async_with! { AsyncExitStack::new() as stack => {
            stack.enter(log.fallible("a")).await?;
            stack.enter(log.fallible("b").enter_fails()).await?;
        }}
        Ok(())
    }
    let log = Log::new();
    assert_eq!(run(&log).await, Err(Boom("b")));
    let expected = [
        "enter a",
        "enter b",
        "inspect a: Boom(\"b\")",
        "exit a: failed Boom",
    ];
    assert_eq!(log.take(), expected);
}

/// STK-2, TYP-1: the future of a block with a stack is `Send`, also while it holds resources across an await.
#[test]
fn the_future_is_send() {
    fn is_send<F: Future + Send + 'static>(_: F) {}
    is_send(async {
        let log = Log::new();
        async_with! { AsyncExitStack::new() as stack => {
            let Ok(a) = stack.enter(log.manager("a")).await;
            // `Cell` is `Send`, and not `Sync`.
            let cell = stack.keep(std::cell::Cell::new(1));
            pend(1).await;
            a.value += cell.get();
        }}
    });
}

/// STK-3: adopted resources, exits with and without a cause, and values, all in reverse order.
#[tokio::test]
async fn everything_that_a_stack_takes_is_exited_in_order() {
    struct Noisy(Log);
    impl Drop for Noisy {
        fn drop(&mut self) {
            self.0.write("drop");
        }
    }
    async fn run(log: &Log) -> Result<(), Boom> {
        async_with! { AsyncExitStack::suppressing() as stack => {
            let (one, two, three) = (log.clone(), log.clone(), log.clone());
            stack.enter(log.manager("a")).await.unwrap();
            stack.push(move |cause| async move {
                one.write(format!("push: {}", short(cause)));
                Verdict::Suppress
            });
            stack.keep(Noisy(log.clone()));
            let list = stack.adopt(vec![1], async move |list, cause| {
                two.write(format!("adopt {list:?}: {}", short(cause)));
                Err::<(), _>(Boom("adopt"))
            });
            stack.callback(move || async move { three.write("callback") });
            list.push(2);
            Err(Boom("body"))?;
        }}
        log.write("after");
        Ok(())
    }
    let log = Log::new();
    let (result, entries) = report::collect(run(&log)).await;
    assert_eq!(result, Ok(()));
    let expected = [
        "enter a",
        "callback",
        "adopt [1, 2]: failed Boom",
        "drop",
        "push: failed Boom",
        "exit a: completed",
        "after",
    ];
    assert_eq!(log.take(), expected);
    assert_eq!(entries[0].incident.to_string(), "failed: Boom(\"adopt\")");
    assert_eq!(entries.len(), 1);
}

/// STK-4: all-or-nothing construction.
#[tokio::test]
async fn pop_all_moves_everything_to_a_new_stack() {
    async fn open_all(log: &Log, fails: bool) -> Result<AsyncExitStack<Boom>, Boom> {
        async_with! { AsyncExitStack::new() as stack => {
            stack.enter(log.fallible("a")).await?;
            let mut b = log.fallible("b");
            if fails {
                b = b.enter_fails();
            }
            stack.enter(b).await?;
            Ok(stack.pop_all())
        }}
    }
    let log = Log::new();
    assert_eq!(open_all(&log, true).await.err(), Some(Boom("b")));
    let expected = [
        "enter a",
        "enter b",
        "inspect a: Boom(\"b\")",
        "exit a: failed Boom",
    ];
    assert_eq!(log.take(), expected);

    let mut all = open_all(&log, false).await.expect("nothing fails");
    assert_eq!(log.take(), ["enter a", "enter b"]);
    all.close().await.expect("nothing fails");
    assert_eq!(log.take(), ["exit b: completed", "exit a: completed"]);
    all.close().await.expect("there is nothing to close");

    // It can be the manager of another block.
    let all = open_all(&log, false).await.expect("nothing fails");
    let _ = log.take();
    let value = async {
        async_with! { all as stack => {
            stack.enter(log.fallible("c")).await?;
            stack.len()
        }}
        .map_ok()
    };
    assert_eq!(value.await, Ok(3));
    let expected = [
        "enter c",
        "exit c: completed",
        "exit b: completed",
        "exit a: completed",
    ];
    assert_eq!(log.take(), expected);
}

trait MapOk: Sized {
    fn map_ok(self) -> Result<Self, Boom> {
        Ok(self)
    }
}
impl MapOk for usize {}

/// STK-4: `close` raises as a block does, and reports the rest.
#[tokio::test]
async fn close_raises_the_first_error() {
    let log = Log::new();
    let mut stack = AsyncExitStack::<Boom>::new();
    stack.enter(log.fallible("a").exit_fails()).await.unwrap();
    stack.enter(log.fallible("b").exit_fails()).await.unwrap();
    let (closed, entries) = report::collect(stack.close()).await;
    assert_eq!(closed, Err(Boom("b")));
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].incident.to_string(), "failed: Boom(\"a\")");
}

/// STK-4: a `close` that is dropped half-way goes on, and the next one waits for it.
#[tokio::test]
async fn a_second_close_waits_for_the_first() {
    let log = Log::new();
    let gate = Gate::new();
    let mut stack = AsyncExitStack::<Boom>::new();
    stack.enter(log.manager("a")).await.unwrap();
    stack
        .enter(log.manager("b").exit_waits_for(&gate))
        .await
        .unwrap();
    let _ = log.take();
    {
        let mut close = pin!(stack.close());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(close.as_mut().poll(&mut cx).is_pending());
    }
    assert_eq!(log.take(), ["exit b: completed"]);
    let mut close = pin!(stack.close());
    assert_eq!(futures::poll!(&mut close), Poll::Pending);
    gate.open();
    assert_eq!(close.await, Ok(()));
    assert_eq!(log.take(), ["exited b", "exit a: dropped"]);
}

/// STK-4: the block of a stack whose `close` was dropped half-way waits for it as well, before its own exits.
#[tokio::test]
async fn a_block_waits_for_a_close_that_was_dropped() {
    async fn run(stack: AsyncExitStack<Boom>, log: &Log) -> Result<(), Boom> {
        async_with! { stack as stack => { stack.enter_infallible(log.manager("b")).await; } }
        Ok(())
    }
    let (log, gate) = (Log::new(), Gate::new());
    let mut stack = AsyncExitStack::new();
    stack
        .enter_infallible(log.manager("a").exit_waits_for(&gate))
        .await;
    assert!(stack.close().now_or_never().is_none());
    let mut block = pin!(run(stack, &log));
    assert!(futures::poll!(&mut block).is_pending());
    gate.open();
    assert_eq!(block.await, Ok(()));
    assert_eq!(
        log.take(),
        [
            "enter a",
            "exit a: completed",
            "enter b",
            "exited a",
            "exit b: completed"
        ]
    );
}

/// CAN-1, STK-4: a stack that is dropped outside of a block lets its exits go on, in order.
#[tokio::test]
async fn a_dropped_stack_exits_on_its_own() {
    let log = Log::new();
    let stack = AsyncExitStack::<Boom>::new();
    stack.enter(log.manager("a").pending(1)).await.unwrap();
    stack.enter(log.manager("b").pending(1)).await.unwrap();
    let _ = log.take();
    drop(stack);
    drain().await;
    let expected = ["exit b: dropped", "exited b", "exit a: dropped", "exited a"];
    assert_eq!(log.take(), expected);
    // An empty one owes nothing.
    drop(AsyncExitStack::<Boom>::new());
    assert_eq!(async_with::pending_exits(), []);
}

/// STK-5: 100,000 entries exit, and are dropped, without recursion.
#[tokio::test]
async fn a_hundred_thousand_entries_exit() {
    const ENTRIES: usize = 100_000;
    let count = Arc::new(AtomicUsize::new(0));
    let fill = |stack: &AsyncExitStack<Boom>| {
        for _ in 0..ENTRIES {
            let count = Arc::clone(&count);
            stack.callback(async move || {
                count.fetch_add(1, Ordering::Relaxed);
            });
        }
    };
    let mut stack = AsyncExitStack::new();
    fill(&stack);
    stack.close().await.expect("callbacks cannot fail");
    assert_eq!(Arc::strong_count(&count), 1);
    fill(&stack);
    drop(stack);
    drain().await;
    assert_eq!(count.load(Ordering::Relaxed), 2 * ENTRIES);
}

/// STK-5: what an exit pushes while the stack unwinds is run; a closed stack runs it at once, and says so.
#[tokio::test]
async fn exits_can_be_registered_while_the_stack_unwinds() {
    async fn run(log: &Log, gate: &Gate) -> Result<async_with::Registrar<Boom>, Boom> {
        async_with! { AsyncExitStack::new() as stack => {
            let registrar = stack.registrar();
            let write = |event: &'static str| {
                let log = log.clone();
                move || async move { log.write(event) }
            };
            stack.callback(write("first"));
            let (late, inner) = (registrar.clone(), write("pushed by second"));
            stack.callback(async move || late.callback(inner).await.expect("it unwinds"));
            registrar.callback(write("third")).await.expect("it is open");
            stack.callback(write("fourth"));
            assert_eq!(stack.len(), 4);
            gate.opened().await;
            Ok(registrar)
        }}
    }
    let (log, gate) = (Log::new(), Gate::new());
    let expected = ["fourth", "third", "pushed by second", "first"];
    // Also when the block is dropped.
    let dropped = async {
        assert!(run(&log, &gate).now_or_never().is_none());
        drain().await;
    };
    assert_eq!(report::collect(dropped).await, ((), vec![]));
    assert_eq!(log.take(), expected);
    gate.open();
    let registrar = run(&log, &gate).await.expect("nothing fails");
    assert_eq!(log.take(), expected);
    let late = log.clone();
    let registered = registrar.callback(async move || late.write("late")).await;
    assert!(matches!(registered, Err(Closed { .. })));
    let closed = registered.unwrap_err();
    assert_eq!(closed.to_string(), "the exit stack is closed");
    assert_eq!(log.take(), ["late"]);
}

/// STK-3: a handle lends its resource after the stack was moved, and releases it before its turn.
#[tokio::test]
async fn a_handle_outlives_the_borrow_of_the_stack() {
    let log = Log::new();
    let mut stack = AsyncExitStack::<Boom>::new();
    let mut a = stack.enter_owned(log.fallible("a")).await.unwrap();
    let mut b = stack.enter_owned(log.fallible("b")).await.unwrap();
    let mut moved = stack.pop_all();
    a.borrow().expect("it is open").note();
    b.borrow().expect("it is open").note();
    assert_eq!(a.release().await, Ok(()));
    let expected = ["enter a", "enter b", "use a", "use b", "exit a: completed"];
    assert_eq!(log.take(), expected);

    // The exit waits for a resource that is lent.
    let mut close = Box::pin(moved.close());
    let mut loan = b.borrow().expect("it is open");
    assert_eq!(futures::poll!(&mut close), Poll::Pending);
    loan.note();
    drop(loan);
    assert_eq!(close.await, Ok(()));
    assert!(b.borrow().is_none());
    assert_eq!(b.release().await, Ok(()));
    assert_eq!(log.take(), ["use b", "exit b: completed"]);
}

/// STK-1, ERR-6: a manager whose resource is lent by a handle sees the error before its exit.
#[tokio::test]
async fn a_manager_with_a_handle_sees_the_error() {
    async fn run(log: &Log) -> Result<(), Boom> {
        async_with! { AsyncExitStack::new() as stack => {
            let mut a = stack.enter_owned(log.fallible("a")).await?;
            a.borrow().expect("it is open").note();
            Err(Boom("body"))?;
        }}
        Ok(())
    }
    let log = Log::new();
    assert_eq!(run(&log).await, Err(Boom("body")));
    let expected = [
        "enter a",
        "use a",
        "inspect a: Boom(\"body\")",
        "exit a: failed Boom",
    ];
    assert_eq!(log.take(), expected);
}

/// STK-1, ORD-6: a manager that may interrupt is asked when, and for that the block is polled once more after the enter.
/// It is not for one that never interrupts.
#[tokio::test]
async fn only_a_manager_that_may_interrupt_wakes_the_block() {
    #[derive(Default)]
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let log = Log::new();
    for (may_interrupt, expected) in [(false, 1), (true, 2)] {
        let count = Arc::new(Count::default());
        let (gate, waker) = (Gate::new(), Waker::from(Arc::clone(&count)));
        let mut cx = Context::from_waker(&waker);
        {
            let mut block = pin!(async {
                async_with! { AsyncExitStack::suppressing() as stack => {
                    gate.opened().await;
                    if may_interrupt {
                        let (gate, raises) = (Some(Gate::new()), true);
                        stack.enter(Interrupter { gate, raises }).await?;
                    } else {
                        stack.enter(log.fallible("a")).await?;
                    }
                    std::future::pending::<()>().await;
                }}
                Ok::<(), Boom>(())
            });
            assert!(block.as_mut().poll(&mut cx).is_pending());
            gate.open();
            assert!(block.as_mut().poll(&mut cx).is_pending());
            assert_eq!(count.0.load(Ordering::Relaxed), expected);
        }
        drain().await;
    }
}

/// STK-1, CAN-6: a deadline that was entered through a stack interrupts its body.
#[tokio::test(start_paused = true)]
async fn a_deadline_in_a_stack_interrupts() {
    async fn raised(log: &Log) -> Result<(), Elapsed> {
        async_with! { AsyncExitStack::new() as stack => {
            stack.enter(log.manager("a")).await.unwrap();
            stack.enter(timeout(Duration::from_secs(1))).await?;
            stack.enter(log.manager("b")).await.unwrap();
            async_with! { log.scoped("c") => { std::future::pending::<()>().await } }
        }}
        Ok(())
    }
    let log = Log::new();
    assert!(matches!(raised(&log).await, Err(Elapsed { .. })));
    let expected = [
        "enter a",
        "enter b",
        "enter c",
        "exit c: cancelled",
        "exit b: cancelled",
        "inspect a: Elapsed",
        "exit a: failed Elapsed",
    ];
    assert_eq!(log.take(), expected);
    let as_manager = async {
        async_with! { AsyncExitStack::suppressing().into_manager() as stack => {
            stack.enter(timeout(Duration::from_secs(1))).await?;
            stack.enter_infallible(log.suppressing("a")).await;
            std::future::pending::<()>().await;
        }}
        Ok::<(), Elapsed>(())
    };
    assert!(as_manager.await.is_err());
    assert_eq!(log.take(), ["enter a", "exit a: cancelled"]);

    async_with! { AsyncExitStack::suppressing() as stack => {
        stack.enter(log.manager("a")).await.unwrap();
        stack.enter(move_on_after(Duration::from_secs(1))).await.unwrap();
        std::future::pending::<()>().await;
    }}
    assert_eq!(log.take(), ["enter a", "exit a: completed"]);
}

/// Opens the gate when the deadlines of the test have passed.
fn opened_late(gate: &Gate) {
    let gate = gate.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(5)).await;
        gate.open();
    });
}

/// STK-1, CAN-6: the deadline of an entry covers the exits inside of it, as that of a block does.
#[tokio::test(start_paused = true)]
async fn a_deadline_in_a_stack_covers_the_exits_inside() {
    async fn nested(log: &Log, gate: &Gate) -> Result<(), Elapsed> {
        async_with! {
            log.manager("a"), timeout(Duration::from_secs(1)),
            log.manager("b"), log.manager("c").exit_waits_for(gate) => {}
        }
        Ok(())
    }
    async fn stacked(log: &Log, gate: &Gate) -> Result<(), Elapsed> {
        async_with! { AsyncExitStack::new() as stack => {
            stack.enter_infallible(log.manager("a")).await;
            stack.enter(timeout(Duration::from_secs(1))).await?;
            stack.enter_infallible(log.manager("b")).await;
            stack.enter_infallible(log.manager("c").exit_waits_for(gate)).await;
        }}
        Ok(())
    }
    let (one, other) = (Log::new(), Log::new());
    let gate = Gate::new();
    opened_late(&gate);
    assert!(nested(&one, &gate).await.is_err());
    let gate = Gate::new();
    opened_late(&gate);
    assert!(stacked(&other, &gate).await.is_err());
    let events = one.take();
    assert!(
        events.contains(&"exit b: cancelled".to_owned()),
        "{events:?}"
    );
    assert_eq!(other.take(), events);
}

/// STK-1, CAN-6: a deadline outside of a stack that passes during its exits reaches those that are to come.
#[tokio::test(start_paused = true)]
async fn a_deadline_outside_of_a_stack_reaches_its_exits() {
    // `anyhow` may print a backtrace where errors are compared.
    type AnyError = Box<dyn std::error::Error + Send + Sync>;
    async fn nested(log: &Log, gate: &Gate, how: u8) -> Result<(), AnyError> {
        async_with! {
            timeout(Duration::from_secs(1)), log.any("a"), log.any("b"),
            log.any("c").exit_waits_for(gate) => {
                if how == 1 { Err(Boom("body"))?; }
            }
        }
        Ok(())
    }
    async fn stacked(log: &Log, gate: &Gate, how: u8) -> Result<(), AnyError> {
        async_with! { timeout(Duration::from_secs(1)) => {
            async_with! { AsyncExitStack::suppressing() as stack => {
                stack.enter(log.any("a")).await?;
                stack.enter(log.any("b")).await?;
                stack.enter(log.any("c").exit_waits_for(gate)).await?;
                if how == 1 { Err(Boom("body"))?; }
            }}
        }}
        Ok(())
    }
    for how in [0, 1] {
        let (one, other) = (Log::new(), Log::new());
        let gate = Gate::new();
        opened_late(&gate);
        let (result, reported) = report::collect(nested(&one, &gate, how)).await;
        assert!(result.is_err_and(|error| error.is::<Elapsed>()));
        let gate = Gate::new();
        opened_late(&gate);
        let (result, stack_reported) = report::collect(stacked(&other, &gate, how)).await;
        assert!(result.is_err_and(|error| error.is::<Elapsed>()));
        let events = one.take();
        assert!(
            events.contains(&"exit b: cancelled".to_owned()),
            "{events:?}"
        );
        assert_eq!(other.take(), events);
        assert_eq!(stack_reported, reported);
    }
}

/// STK-1, CAN-6: several deadlines pass while an exit of the stack runs, the inner ones first. Each cancels the exits
/// between it and the one before, the outermost is raised, and those that it overtook are reported.
#[tokio::test(start_paused = true)]
async fn deadlines_of_a_stack_pass_one_after_the_other_during_an_exit() {
    let after = |seconds| timeout(Duration::from_secs(seconds));
    async fn nested(log: &Log, gate: &Gate) -> Result<(), Elapsed> {
        let after = |seconds| timeout(Duration::from_secs(seconds));
        async_with! {
            log.manager("a"), after(4), log.manager("b"), after(3), log.manager("c"), after(2),
            log.manager("d").exit_waits_for(gate) => {}
        }
        Ok(())
    }
    let (one, other) = (Log::new(), Log::new());
    let gate = Gate::new();
    opened_late(&gate);
    let (result, reported) = report::collect(nested(&one, &gate)).await;
    assert!(result.is_err());
    let gate = Gate::new();
    opened_late(&gate);
    let stacked = async {
        async_with! { AsyncExitStack::new() as stack => {
            stack.enter_infallible(other.manager("a")).await;
            stack.enter(after(4)).await?;
            stack.enter_infallible(other.manager("b")).await;
            stack.enter(after(3)).await?;
            stack.enter_infallible(other.manager("c")).await;
            stack.enter(after(2)).await?;
            stack.enter_infallible(other.manager("d").exit_waits_for(&gate)).await;
        }}
        Ok::<(), Elapsed>(())
    };
    let (result, stack_reported) = report::collect(stacked).await;
    assert!(result.is_err());
    let events = one.take();
    let told = [
        "exit c: cancelled",
        "exit b: cancelled",
        "exit a: failed Elapsed",
    ];
    for told in told {
        assert!(events.iter().any(|event| event == told), "{events:?}");
    }
    assert_eq!(other.take(), events);
    let incidents = |entries: Vec<Entry>| -> Vec<_> {
        let incident = |entry: Entry| (entry.phase, entry.cause, entry.incident);
        entries.into_iter().map(incident).collect()
    };
    let reported = incidents(reported);
    assert_eq!(reported.len(), 2, "{reported:?}");
    assert_eq!(incidents(stack_reported), reported);
}

/// STK-1, CAN-6: what an entry interrupts is its body and the exits inside of it, not its own exit: what that fails with is
/// raised.
#[tokio::test(start_paused = true)]
async fn an_entry_does_not_interrupt_its_own_exit() {
    struct Alarm;
    impl AsyncContextManager for Alarm {
        type Resource = ();
        type Error = Boom;
        type Exit = ();

        async fn enter(&mut self) -> Result<(), Boom> {
            Ok(())
        }

        async fn exit(self, (): (), cause: Cause) -> Result<(), Boom> {
            assert_eq!(cause, Cause::Completed);
            tokio::time::sleep(Duration::from_secs(2)).await;
            Err(Boom("exit"))
        }

        fn interrupt(&self, (): &()) -> impl Interruption<Boom> + Send + use<> {
            async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Boom("alarm")
            }
        }
    }
    let log = Log::new();
    let stacked = async {
        async_with! { AsyncExitStack::new() as stack => {
            stack.enter(log.fallible("a")).await?;
            stack.enter(Alarm).await?;
        }}
        Ok::<(), Boom>(())
    };
    let (result, reported) = report::collect(stacked).await;
    assert_eq!(result, Err(Boom("exit")));
    assert!(reported.is_empty(), "{reported:?}");
    let expected = [
        "enter a",
        "inspect a: Boom(\"exit\")",
        "exit a: failed Boom",
    ];
    assert_eq!(log.take(), expected);
}

/// STK-4, CAN-6, ERR-5: two entries interrupt one after the other while a block inside ends, and then leave the stack. The
/// outer one's error is raised, the other's is reported, and where they are now they interrupt no more.
#[tokio::test(start_paused = true)]
async fn entries_that_interrupted_leave_the_stack() {
    async fn stacked(
        log: &Log,
        gate: &Gate,
        kept: &mut Option<AsyncExitStack<Boom>>,
    ) -> Result<(), Boom> {
        async_with! { AsyncExitStack::new() as stack => {
            stack.enter(alarm("outer", 2)).await?;
            stack.enter(alarm("inner", 1)).await?;
            let inside = async {
                async_with! { log.manager("a").exit_waits_for(gate) => {} }
            };
            // They leave in the very poll after the one in which the outer entry interrupts.
            let both_passed = async {
                tokio::time::sleep(Duration::from_secs(2)).await;
                pend(1).await;
            };
            tokio::select! {
                () = inside => {}
                () = both_passed => {}
            }
            *kept = Some(stack.pop_all());
            std::future::pending::<()>().await;
        }}
        Ok(())
    }
    fn alarm(
        what: &'static str,
        seconds: u64,
    ) -> impl AsyncContextManager<Error = Boom, Exit = ()> {
        let elapsed = move |_| Boom(what);
        timeout(Duration::from_secs(seconds)).map_err(elapsed)
    }
    let (log, gate, mut kept) = (Log::new(), Gate::new(), None);
    opened_late(&gate);
    let (result, reported) = report::collect(stacked(&log, &gate, &mut kept)).await;
    assert_eq!(result, Err(Boom("outer")));
    let [entry] = &reported[..] else {
        panic!("{reported:?}")
    };
    assert_eq!(
        (entry.phase, entry.cause),
        (Phase::Interrupt, Cause::Cancelled)
    );
    assert_eq!(entry.incident.to_string(), "failed: Boom(\"inner\")");
    let kept = kept.expect("the entries were moved out");
    let entered = async {
        async_with! { kept => { tokio::time::sleep(Duration::from_secs(9)).await; } }
        Ok::<(), Boom>(())
    };
    assert_eq!(entered.await, Ok(()));
}

/// STK-1, CAN-6: a stack that is a manager is interrupted from outside. Its entries are not asked any more during the exits
/// that follow.
#[tokio::test(start_paused = true)]
async fn a_stack_that_is_a_manager_is_interrupted_from_outside() {
    let after = |seconds| timeout(Duration::from_secs(seconds));
    let (one, other) = (Log::new(), Log::new());
    let (first, second) = (Gate::new(), Gate::new());
    let nested = async {
        async_with! {
            after(1), one.manager("a"), after(2), one.manager("b").exit_waits_for(&first) => {
                std::future::pending::<()>().await;
            }
        }
        Ok::<(), Elapsed>(())
    };
    opened_late(&first);
    assert!(nested.await.is_err());
    let stacked = async {
        async_with! { after(1), AsyncExitStack::<Elapsed>::new().into_manager() as stack => {
            stack.enter_infallible(other.manager("a")).await;
            stack.enter(after(2)).await?;
            stack.enter_infallible(other.manager("b").exit_waits_for(&second)).await;
            std::future::pending::<()>().await;
        }}
        Ok::<(), Elapsed>(())
    };
    opened_late(&second);
    let (result, reported) = report::collect(stacked).await;
    assert!(result.is_err());
    assert!(reported.is_empty(), "{reported:?}");
    let events = [
        "enter a",
        "enter b",
        "exit b: cancelled",
        "exited b",
        "exit a: cancelled",
    ];
    assert_eq!(one.take(), events);
    assert_eq!(other.take(), events);
}

/// STK-1, SUP-2, SUP-4: a stack that is a manager suppresses what its entries do; a panic too, also when an entry further
/// out then suppresses an error.
#[tokio::test]
async fn a_stack_that_is_a_manager_suppresses() {
    async fn run(log: &Log, end: End) -> Result<u8, Boom> {
        let stack = AsyncExitStack::<Boom, Verdict>::suppressing();
        Ok(async_with! { stack.into_manager() as stack => {
            stack.enter(log.any("a").verdict(Verdict::Suppress)).await?;
            stack.enter(log.any("b").exit_fails()).await?;
            stack.enter(log.any("c").verdict(Verdict::SuppressPanic)).await?;
            if let End::Panic = end {
                std::panic::panic_any("body");
            }
            Err(Boom("body"))?;
            1
        } else { 2 }})
    }
    for (end, told) in [(End::Fail, "failed Boom"), (End::Panic, "panicked")] {
        let log = Log::new();
        assert_eq!(run(&log, end).await, Ok(2));
        let exits = log.take();
        let exits: Vec<_> = exits.iter().filter(|it| it.starts_with("exit")).collect();
        let exit_c = format!("exit c: {told}");
        let expected = [&*exit_c, "exit b: completed", "exit a: failed Boom"];
        assert_eq!(exits, expected);
    }
}

/// STK-1, CAN-6, ERR-5: a deadline outside of a stack that passes after an entry has interrupted the body, while a block
/// inside still exits, is raised in place of the entry's error, which is reported.
#[tokio::test(start_paused = true)]
async fn a_deadline_outside_of_a_stack_overtakes_that_of_an_entry() {
    const SECOND: Duration = Duration::from_secs(1);
    async fn nested(log: &Log, gate: &Gate) -> Result<(), Elapsed> {
        async_with! {
            timeout(2 * SECOND), log.manager("a"), timeout(SECOND), log.manager("b"),
            log.manager("c").exit_waits_for(gate) => { std::future::pending::<()>().await }
        }
        Ok(())
    }
    async fn stacked(log: &Log, gate: &Gate) -> Result<(), Elapsed> {
        async_with! { timeout(2 * SECOND), AsyncExitStack::new() as stack => {
            stack.enter_infallible(log.manager("a")).await;
            stack.enter(timeout(SECOND)).await?;
            stack.enter_infallible(log.manager("b")).await;
            async_with! { log.manager("c").exit_waits_for(gate) => {
                std::future::pending::<()>().await;
            }}
        }}
        Ok(())
    }
    let log = Log::new();
    let gate = Gate::new();
    opened_late(&gate);
    let (result, reported) = report::collect(nested(&log, &gate)).await;
    assert!(result.is_err());
    let events = log.take();
    let overtaken: Vec<_> = reported.iter().map(|entry| entry.phase).collect();
    assert_eq!(overtaken, [Phase::Interrupt]);
    let gate = Gate::new();
    opened_late(&gate);
    let (result, stack_reported) = report::collect(stacked(&log, &gate)).await;
    assert!(result.is_err());
    assert_eq!(log.take(), events);
    assert_eq!(stack_reported, reported);
}

/// STK-1, ERR-1: what a stack fails with is shown as the error that it is.
#[tokio::test]
async fn the_error_of_a_stack_is_that_of_its_entry() {
    let log = Log::new();
    let mut manager = AsyncExitStack::<Boom>::new().into_manager();
    let stack = manager.enter().await.expect("it is empty");
    let failing = stack.enter(log.fallible("a").exit_fails()).await;
    assert!(failing.is_ok());
    let error = manager
        .exit(stack, Cause::Completed)
        .await
        .expect_err("a fails");
    assert_eq!(format!("{error:?}"), r#"Boom("a")"#);
    assert_eq!(error.into_inner(), Some(Boom("a")));
}

/// STK-1: a stack is a manager like any other, also in an adaptor and in another stack.
#[tokio::test]
async fn a_stack_works_in_an_adaptor() {
    async fn run(log: &Log) -> Result<(), Boom> {
        async_with! { exit_within(Duration::from_secs(9), AsyncExitStack::new().into_manager()) as stack => {
            stack.enter(log.fallible("a")).await?;
            stack.enter(log.fallible("b").exit_fails()).await?;
        }}
        Ok(())
    }
    let log = Log::new();
    assert_eq!(run(&log).await, Err(Boom("b")));
    let expected = [
        "enter a",
        "enter b",
        "exit b: completed",
        "inspect a: Boom(\"b\")",
        "exit a: failed Boom",
    ];
    assert_eq!(log.take(), expected);
}

/// STK-1: what moves on after an interruption is entered as what cannot fail, whatever the error of the stack is.
#[tokio::test(start_paused = true)]
async fn what_moves_on_is_entered_in_a_stack_of_any_error() {
    async fn wait() -> anyhow::Result<bool> {
        let mut expired = None;
        async_with! { AsyncExitStack::suppressing() as stack => {
            let deadline = stack.enter_infallible(move_on_after(Duration::from_secs(1))).await;
            expired = Some(deadline.clone());
            std::future::pending::<()>().await;
        }}
        Ok(expired.is_some_and(|deadline| deadline.expired()))
    }
    assert!(wait().await.expect("nothing fails"));
}
