//! CAN-4: which block a clean-up belongs to, when tasks, runtimes and threads are mixed.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use async_with::{
    Cause, ScopedAsyncContextManager, async_with, drain, move_on_when_cancelled, pending_exits,
};
use async_with_tests::{Gate, Log, pend};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::runtime::Runtime;
use tokio::task::{LocalSet, block_in_place, yield_now};
use tokio_util::sync::CancellationToken;

use crate::runtimes::{on_each_runtime, runtimes, until, within_reason};

type Block = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A block whose body never ends, and whose exit waits for the gate.
fn slow_block(log: &Log, name: &'static str, gate: &Gate) -> Block {
    let (log, gate) = (log.clone(), gate.clone());
    Box::pin(async move {
        async_with! { log.manager(name).exit_waits_for(&gate) => { pending::<()>().await } }
    })
}

/// Opens the gate when the event was written, and time has passed for others to go on too early.
fn opens_after(event: &'static str, log: &Log, gate: &Gate) {
    let (log, gate) = (log.clone(), gate.clone());
    tokio::spawn(async move {
        until(&log, event).await;
        for _ in 0..20 {
            yield_now().await;
        }
        log.write("opened");
        gate.open();
    });
}

fn exits(log: &Log) -> Vec<String> {
    let mut events = log.take();
    events.retain(|event| event.starts_with("exit") || event == "opened");
    events
}

/// CAN-4: a task of a `LocalSet` that is polled inside a body is a root of its own.
#[tokio::test]
async fn a_local_task_is_not_charged_to_the_body_that_polls_it() {
    let (log, gate) = (Log::new(), Gate::new());
    let local = LocalSet::new();
    let block = slow_block(&log, "other", &gate);
    let task = local.spawn_local(block);
    let outer = async {
        async_with! { log.manager("outer") => {
            local.run_until(until(&log, "enter other")).await;
            task.abort();
            let aborted = local.run_until(task).await;
            assert!(aborted.unwrap_err().is_cancelled());
        }}
    };
    within_reason(outer).await;
    log.write("opened");
    gate.open();
    drain().await;
    assert_eq!(
        exits(&log)
            .into_iter()
            .filter(|event| event != "exit other: dropped")
            .collect::<Vec<_>>(),
        ["exit outer: completed", "opened", "exited other"]
    );
}

/// Its exit polls the other tasks of a `LocalSet`.
struct Polls<'a> {
    local: &'a LocalSet,
    log: &'a Log,
    until: &'static str,
}

impl ScopedAsyncContextManager for Polls<'_> {
    type Resource = ();
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    async fn exit(self, (): (), _: Cause) -> Result<(), Infallible> {
        self.local.run_until(until(self.log, self.until)).await;
        self.log.write("exited");
        Ok(())
    }
}

/// CAN-5: `drain` in a task that is polled inside an exit waits for the block which exits: that does not enclose it.
#[tokio::test]
async fn a_local_task_is_not_enclosed_by_the_exit_that_polls_it() {
    let log = Log::new();
    let local = LocalSet::new();
    let inside = log.clone();
    let task = local.spawn_local(async move {
        let drains = async {
            drain().await;
            inside.write("drained");
        };
        let looks = async { inside.write("looked") };
        futures::join!(drains, looks);
    });
    async_with! { Polls { local: &local, log: &log, until: "looked" } => {} }
    within_reason(local.run_until(task))
        .await
        .expect("it does not panic");
    assert_eq!(log.take(), ["looked", "exited", "drained"]);
}

/// CAN-4: what the future of `run_until` drops itself belongs to the body.
#[tokio::test]
async fn the_future_of_run_until_is_inside_the_body() {
    let (log, gate) = (Log::new(), Gate::new());
    opens_after("enter inner", &log, &gate);
    let local = LocalSet::new();
    async_with! { log.manager("outer") => {
        local.run_until(async {
            let mut inner = slow_block(&log, "inner", &gate);
            assert!(futures::poll!(&mut inner).is_pending());
        }).await;
    }}
    assert_eq!(
        exits(&log),
        [
            "exit inner: dropped",
            "opened",
            "exited inner",
            "exit outer: completed"
        ]
    );
}

/// CAN-6: a task of a `LocalSet` that is polled inside an interrupted body is not interrupted.
#[tokio::test]
async fn a_local_task_is_not_interrupted_with_the_body_that_polls_it() {
    let (log, gate) = (Log::new(), Gate::new());
    let local = LocalSet::new();
    let task = {
        let (log, gate) = (log.clone(), gate.clone());
        local.spawn_local(async move {
            async_with! { log.manager("other") => { gate.opened().await } }
        })
    };
    async_with! { move_on_when_cancelled(CancellationToken::new()) as token => {
        local.run_until(until(&log, "enter other")).await;
        token.cancel();
        local.run_until(pending::<()>()).await;
    }}
    gate.open();
    local.run_until(task).await.expect("it does not panic");
    assert_eq!(log.take(), ["enter other", "exit other: completed"]);
}

/// Drops a block on a nested runtime that is driven inside a body: in a task there, or in the future that it is driven
/// with. The exit runs where nobody drives it any more.
fn drop_a_block_on_a_nested_runtime(in_a_task: bool) {
    async fn outer(log: Log, gate: Gate, nested: Arc<Runtime>, in_a_task: bool) {
        let drop_a_block = async {
            let mut block = slow_block(&log, "nested", &gate);
            if in_a_task {
                let task = tokio::spawn(block);
                until(&log, "enter nested").await;
                task.abort();
                assert!(task.await.is_err());
            } else {
                assert!(futures::poll!(&mut block).is_pending());
                drop(block);
            }
        };
        async_with! { log.manager("outer") => { block_in_place(|| nested.block_on(drop_a_block)) } }
        log.write("after");
        gate.open();
    }
    for outer_in_a_task in [true, false] {
        let (log, gate) = (Log::new(), Gate::new());
        let [nested, runtime] = runtimes();
        let nested = Arc::new(nested);
        let outer = outer(log.clone(), gate, Arc::clone(&nested), in_a_task);
        if outer_in_a_task {
            let outer = runtime.spawn(within_reason(outer));
            runtime.block_on(outer).expect("it does not panic");
        } else {
            runtime.block_on(within_reason(outer));
        }
        nested.block_on(within_reason(drain()));
        let mut events = log.take();
        events.retain(|event| event != "exit nested: dropped");
        assert_eq!(
            events,
            [
                "enter outer",
                "enter nested",
                "exit outer: completed",
                "after",
                "exited nested"
            ]
        );
    }
}

/// CAN-4: the tasks of a nested runtime are roots of their own.
#[test]
fn a_task_of_a_nested_runtime_is_not_charged_to_the_body_that_drives_it() {
    drop_a_block_on_a_nested_runtime(true);
}

/// CAN-4: so is the future that a nested runtime is driven with.
#[test]
fn the_future_of_a_nested_runtime_is_not_charged_to_the_body_that_drives_it() {
    drop_a_block_on_a_nested_runtime(false);
}

/// CAN-5: the open blocks of a nested runtime are its own.
#[test]
fn the_blocks_of_a_nested_runtime_are_its_own() {
    let log = Log::new();
    let [nested, runtime] = runtimes();
    runtime.block_on(async {
        async_with! { log.manager("outer") => {
            block_in_place(|| nested.block_on(async {
                assert_eq!(pending_exits(), []);
                async_with! { log.manager("inner") => { assert_eq!(pending_exits().len(), 1) } }
            }));
            assert_eq!(pending_exits().len(), 1);
        }}
    });
}

/// CAN-4: a block that goes on on another runtime than it was entered on, or on one at last, awaits what is dropped
/// inside it there.
#[test]
fn a_block_may_go_on_on_another_runtime() {
    for entered_on_a_runtime in [true, false] {
        let (log, gate) = (Log::new(), Gate::new());
        let [one, other] = runtimes();
        let mut block = Box::pin(async {
            async_with! { log.manager("outer") => {
                pend(1).await;
                let mut inner = slow_block(&log, "inner", &gate);
                assert!(futures::poll!(&mut inner).is_pending());
                drop(inner);
                log.write("dropped");
            }}
        });
        let first = async { assert!(futures::poll!(&mut block).is_pending()) };
        if entered_on_a_runtime {
            one.block_on(first);
        } else {
            futures::executor::block_on(first);
        }
        other.block_on(within_reason(async {
            opens_after("dropped", &log, &gate);
            block.await;
        }));
        let mut events = exits(&log);
        events.retain(|event| event != "exit inner: dropped");
        assert_eq!(
            events,
            ["opened", "exited inner", "exit outer: completed"],
            "entered on a runtime: {entered_on_a_runtime}"
        );
    }
}

/// CAN-3: a tree that is dropped on another runtime than it was entered on keeps its order, there.
#[test]
fn a_tree_may_be_dropped_on_another_runtime() {
    let (log, gate) = (Log::new(), Gate::new());
    let [one, other] = runtimes();
    let (inside, waits) = (log.clone(), gate.clone());
    let mut tree: Block = Box::pin(async move {
        async_with! { inside.manager("outer"), inside.manager("inner").exit_waits_for(&waits) => {
            pending::<()>().await;
        }}
    });
    one.block_on(async { assert!(futures::poll!(&mut tree).is_pending()) });
    other.block_on(within_reason(async {
        drop(tree);
        opens_after("exit inner: dropped", &log, &gate);
        drain().await;
    }));
    assert_eq!(
        exits(&log),
        [
            "exit inner: dropped",
            "opened",
            "exited inner",
            "exit outer: dropped"
        ]
    );
}

/// CAN-4: a future that was polled in one block and is dropped in another belongs to where it is dropped.
#[test]
fn a_block_belongs_to_where_it_is_dropped() {
    on_each_runtime(|| async {
        let (log, gate) = (Log::new(), Gate::new());
        opens_after("dropped", &log, &gate);
        let mut moved = slow_block(&log, "moved", &gate);
        async_with! { log.manager("one") => {
            assert!(futures::poll!(&mut moved).is_pending());
        }}
        async_with! { log.manager("other") => {
            drop(moved);
            log.write("dropped");
        }}
        assert_eq!(
            exits(&log),
            [
                "exit one: completed",
                "exit moved: dropped",
                "opened",
                "exited moved",
                "exit other: completed"
            ]
        );
    });
}

/// CAN-5: a block whose first enclosing block is gone is owed still.
#[tokio::test]
async fn a_block_that_was_moved_out_is_owed() {
    let (log, gate) = (Log::new(), Gate::new());
    gate.open();
    let mut moved = slow_block(&log, "moved", &gate);
    async_with! { log.manager("one") => {
        assert!(futures::poll!(&mut moved).is_pending());
    }}
    assert_eq!(pending_exits().len(), 1);
    let mut drained = Box::pin(drain());
    assert!(futures::poll!(&mut drained).is_pending());
    drop(moved);
    within_reason(drained).await;
    assert_eq!(
        exits(&log),
        ["exit one: completed", "exit moved: dropped", "exited moved"]
    );
}

/// CAN-1, CAN-4: it knows its runtime when it is dropped on a thread outside.
#[test]
fn a_block_that_was_moved_out_knows_its_runtime() {
    for runtime in runtimes() {
        let (log, gate) = (Log::new(), Gate::new());
        gate.open();
        let mut moved = slow_block(&log, "moved", &gate);
        runtime.block_on(async {
            async_with! { log.manager("one") => {
                assert!(futures::poll!(&mut moved).is_pending());
            }}
        });
        std::thread::spawn(move || drop(moved))
            .join()
            .expect("it does not panic");
        runtime.block_on(within_reason(drain()));
        assert_eq!(
            exits(&log),
            ["exit one: completed", "exit moved: dropped", "exited moved"]
        );
    }
}

/// CAN-5: `drain` in a block that was moved does not wait for the block that it was moved into, in a task or outside.
#[tokio::test(start_paused = true)]
async fn drain_in_a_block_that_was_moved_does_not_wait_for_its_new_place() {
    move_and_drain().await;
    tokio::spawn(move_and_drain())
        .await
        .expect("it does not panic");
}

async fn move_and_drain() {
    let (log, gate) = (Log::new(), Gate::new());
    let mut moved = Box::pin(async {
        async_with! { log.manager("moved") => {
            gate.opened().await;
            drain().await;
            log.write("drained");
        }}
    });
    async_with! { log.manager("one") => {
        assert!(futures::poll!(&mut moved).is_pending());
    }}
    gate.open();
    let other = async {
        async_with! { log.manager("other") => { moved.await } }
    };
    within_reason(other).await;
    assert_eq!(
        log.take(),
        [
            "enter one",
            "enter moved",
            "exit one: completed",
            "enter other",
            "drained",
            "exit moved: completed",
            "exit other: completed"
        ]
    );
}

/// CAN-6: a block that was moved into an interrupting one is interrupted with it, wherever it was before.
#[tokio::test]
async fn a_block_that_was_moved_in_is_interrupted() {
    for from_an_interrupting_one in [false, true] {
        move_in(from_an_interrupting_one).await;
    }
}

async fn move_in(from_an_interrupting_one: bool) {
    let log = Log::new();
    let mut moved = Box::pin(async {
        async_with! { log.scoped("moved").exit_pending(1) => { pending::<()>().await } }
    });
    if from_an_interrupting_one {
        async_with! { move_on_when_cancelled(CancellationToken::new()) => {
            assert!(futures::poll!(&mut moved).is_pending());
        }}
    } else {
        async_with! { log.manager("one") => {
            assert!(futures::poll!(&mut moved).is_pending());
        }}
    }
    let _ = log.take();
    async_with! { move_on_when_cancelled(CancellationToken::new()) as token => {
        assert!(futures::poll!(&mut moved).is_pending());
        token.cancel();
        moved.await;
    }}
    assert_eq!(exits(&log), ["exit moved: cancelled", "exited moved"]);
}

/// CAN-4: of blocks that run side by side, each waits for what was dropped inside it, and for nothing else.
#[test]
fn blocks_side_by_side_do_not_wait_for_each_other() {
    async fn waits(log: &Log, gate: &Gate) {
        async_with! { log.manager("waits") => {
            let mut inner = slow_block(log, "inner", gate);
            assert!(futures::poll!(&mut inner).is_pending());
            drop(inner);
            log.write("dropped");
            pend(3).await;
        }}
    }
    async fn goes_on(log: &Log, gate: &Gate) {
        async_with! { log.manager("goes on") => { until(log, "dropped").await } }
        log.write("opened");
        gate.open();
    }
    on_each_runtime(|| async {
        for way in ["join", "select", "set"] {
            let (log, gate) = (Log::new(), Gate::new());
            match way {
                "join" => {
                    futures::join!(waits(&log, &gate), goes_on(&log, &gate));
                }
                "select" => {
                    let mut waits = Box::pin(waits(&log, &gate));
                    let mut goes_on = Box::pin(goes_on(&log, &gate));
                    tokio::select! {
                        () = &mut waits => unreachable!("it waits for the gate"),
                        () = &mut goes_on => {}
                    }
                    waits.await;
                }
                _ => {
                    let mut set = FuturesUnordered::new();
                    set.push(waits(&log, &gate).boxed());
                    set.push(goes_on(&log, &gate).boxed());
                    while set.next().await.is_some() {}
                }
            }
            let mut events = exits(&log);
            events.retain(|event| event != "exit inner: dropped");
            assert_eq!(
                events,
                [
                    "exit goes on: completed",
                    "opened",
                    "exited inner",
                    "exit waits: completed"
                ],
                "{way}"
            );
        }
    });
}

/// PAN-3, CAN-4: a panic while a body is dropped, from outside and in place, leaves nothing behind that would be charged
/// to others.
#[tokio::test]
async fn a_panic_in_the_drop_of_a_body_leaves_the_frames_in_order() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                resume_unwind(Box::new("bomb"));
            }
        }
    }
    let (log, gate) = (Log::new(), Gate::new());
    let collected = async_with::report::collect(async {
        async_with! { log.manager("outer") => {
            let mut block = Box::pin(async {
                async_with! { log.manager("a") => { let _bomb = Bomb; pending::<()>().await } }
            });
            assert!(futures::poll!(&mut block).is_pending());
            drop(block);
            let bomb = Bomb;
            let block = AssertUnwindSafe(async {
                async_with! { log.manager("b") => { let _bomb = &bomb; drop(bomb); } }
            });
            assert!(block.catch_unwind().await.is_err());
        }}
        assert_eq!(pending_exits(), []);
        // This one has nobody around it.
        let mut block = slow_block(&log, "root", &gate);
        assert!(futures::poll!(&mut block).is_pending());
        drop(block);
        async_with! { log.manager("last") => {} }
    });
    let ((), entries) = within_reason(collected).await;
    gate.open();
    drain().await;
    assert_eq!(entries.len(), 1, "{entries:?}");
    let mut events = exits(&log);
    events.retain(|event| event != "exit root: dropped");
    assert_eq!(
        events,
        [
            "exit b: panicked",
            "exit a: dropped",
            "exit outer: completed",
            "exit last: completed",
            "exited root"
        ]
    );
}

thread_local! {
    static HELD: RefCell<Option<Block>> = const { RefCell::new(None) };
}

/// CAN-1: a future that a thread-local holds when its thread ends is dropped like any other, whichever thread-locals are
/// gone by then: the exits run on the runtime where it was entered. Which of them is first is not promised, because the
/// thread-local that knows the enclosing block may be gone too.
#[test]
fn a_future_in_a_thread_local_exits_when_its_thread_ends() {
    for runtime in runtimes() {
        for touched_first in [true, false] {
            let log = Log::new();
            let inside = log.clone();
            let mut block: Block = Box::pin(async move {
                async_with! { inside.manager("a").exit_pending(1), inside.manager("b").exit_pending(1) => {
                    pending::<()>().await;
                }}
            });
            let handle = runtime.handle().clone();
            let thread = std::thread::spawn(move || {
                // Thread-locals are destroyed in the reverse of the order in which they were first used.
                if touched_first {
                    HELD.with_borrow_mut(|held| *held = None);
                }
                let mut context = Context::from_waker(Waker::noop());
                let _guard = handle.enter();
                assert!(block.as_mut().poll(&mut context).is_pending());
                HELD.with_borrow_mut(|held| *held = Some(block));
            });
            thread.join().expect("it does not panic");
            runtime.block_on(within_reason(drain()));
            // The runtime goes on for a moment, should nobody have been waited for.
            runtime.block_on(async {
                let exited = until(&log, "exited a");
                let _ = tokio::time::timeout(Duration::from_millis(500), exited).await;
            });
            let mut events = log.take();
            events.sort();
            assert_eq!(
                events,
                [
                    "enter a",
                    "enter b",
                    "exit a: dropped",
                    "exit b: dropped",
                    "exited a",
                    "exited b"
                ],
                "thread-local used first: {touched_first}"
            );
        }
    }
}
