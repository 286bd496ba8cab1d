//! CAN-5: which exits are owed, and what becomes of them when a program or a part of it shuts down.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use async_with::report::{self, Entry, Incident, Phase};
use async_with::{
    AsyncContextManager, Cause, ScopedAsyncContextManager, async_with, detach, drain,
    drain_timeout, move_on_when_cancelled, pending_exits,
};
use async_with_tests::{Boom, Gate, Log, pend, short};
use tokio::runtime::{Handle, Runtime};
use tokio::task::{LocalSet, yield_now};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::runtimes::{on_each_runtime, runtimes, until, within_reason};

type Block = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A block that is open until the gate is.
fn open_block(log: &Log, name: &'static str, gate: &Gate) -> Block {
    let (log, gate) = (log.clone(), gate.clone());
    Box::pin(async move {
        async_with! { log.manager(name) => { gate.opened().await } }
    })
}

/// A block whose body never ends, and whose exit waits for the gate.
fn slow_block(log: &Log, name: &'static str, gate: &Gate) -> Block {
    let (log, gate) = (log.clone(), gate.clone());
    Box::pin(async move {
        async_with! { log.manager(name).exit_waits_for(&gate) => { pending::<()>().await } }
    })
}

/// Polls once, on whatever thread this is.
fn poll_once(future: &mut (impl Future + Unpin)) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    Pin::new(future).poll(&mut context).is_ready()
}

fn unfinished(entries: &[Entry]) -> Vec<(&str, Cause)> {
    let unfinished = entries
        .iter()
        .filter(|entry| entry.incident == Incident::Unfinished && entry.phase == Phase::Exit);
    unfinished
        .map(|entry| {
            let name = entry.manager.split('<').next().unwrap_or_default();
            (name.rsplit("::").next().unwrap_or_default(), entry.cause)
        })
        .collect()
}

/// CAN-5: `drain` right after `abort` misses nothing, although the tasks have not been dropped yet.
#[test]
fn drain_right_after_abort_misses_nothing() {
    on_each_runtime(|| async {
        for _ in 0..20 {
            let log = Log::new();
            let tasks: Vec<_> = (0..50)
                .map(|_| {
                    let log = log.clone();
                    tokio::spawn(async move {
                        async_with! { log.manager("a").exit_pending(2), log.manager("b").exit_pending(1) => {
                            log.write("body");
                            pending::<()>().await;
                        }}
                    })
                })
                .collect();
            while log.events().iter().filter(|event| *event == "body").count() < tasks.len() {
                yield_now().await;
            }
            for task in &tasks {
                task.abort();
            }
            drain().await;
            let events = log.take();
            let exited = events
                .iter()
                .filter(|event| event.starts_with("exited"))
                .count();
            assert_eq!(exited, 100);
        }
    });
}

/// CAN-5: `drain` waits for the blocks of other tasks, for siblings, and for exits that were detached, and goes on when
/// the last is done. It can be dropped and called again.
#[tokio::test]
async fn drain_waits_for_open_blocks_and_for_detached_exits() {
    async fn is_waiting(drained: &mut Pin<Box<impl Future<Output = ()>>>) {
        for _ in 0..20 {
            assert!(futures::poll!(&mut *drained).is_pending());
            yield_now().await;
        }
    }
    let log = Log::new();
    let gates = [Gate::new(), Gate::new(), Gate::new()];
    let task = tokio::spawn(open_block(&log, "task", &gates[0]));
    until(&log, "enter task").await;
    let mut sibling = open_block(&log, "sibling", &gates[1]);
    assert!(futures::poll!(&mut sibling).is_pending());
    let mut dropped = slow_block(&log, "dropped", &gates[2]);
    assert!(futures::poll!(&mut dropped).is_pending());
    drop(dropped);

    let mut drained = Box::pin(drain());
    is_waiting(&mut drained).await;
    gates[0].open();
    task.await.expect("it does not panic");
    is_waiting(&mut drained).await;
    gates[2].open();
    until(&log, "exited dropped").await;
    drop(drained);
    let mut drained = Box::pin(drain());
    is_waiting(&mut drained).await;
    gates[1].open();
    sibling.await;
    within_reason(drained).await;
    // Nothing is owed.
    within_reason(drain()).await;
}

/// CAN-5: a `drain` that is polled often, because it stands in a loop with something else, needs no more memory for it.
#[test]
fn a_drain_that_is_polled_often_does_not_grow() {
    let (log, gate) = (Log::new(), Gate::new());
    let [runtime, _] = runtimes();
    let mut block = open_block(&log, "open", &gate);
    runtime.block_on(async { assert!(!poll_once(&mut block)) });
    let mut drained = Box::pin(drain());
    let guard = runtime.enter();
    assert!(!poll_once(&mut drained));
    let measured = allocation_counter::measure(|| {
        for _ in 0..10_000 {
            assert!(!poll_once(&mut drained));
        }
    });
    drop(guard);
    assert!(measured.bytes_max < 64 * 1024, "{measured:?}");
    gate.open();
    runtime.block_on(block);
    runtime.block_on(within_reason(drained));
}

/// CAN-5: called inside a block, it does not wait for that block, or for those around it.
#[tokio::test]
async fn drain_does_not_wait_for_the_blocks_around_it() {
    async fn inner(log: &Log) {
        async_with! { log.scoped("b"), log.manager("c") => {
            within_reason(drain()).await;
            log.write("drained");
        }}
    }
    let log = Log::new();
    async_with! { log.manager("a") => {
        inner(&log).await;
        within_reason(drain()).await;
    }}
    assert_eq!(log.take()[3], "drained");
}

/// A manager whose exit drains.
struct Drains(Log);

impl AsyncContextManager for Drains {
    type Resource = ();
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    async fn exit(self, (): (), cause: Cause) -> Result<(), Infallible> {
        self.0.write(format!("exit drains: {}", short(cause)));
        drain().await;
        self.0.write("drained");
        Ok(())
    }
}

/// CAN-5: an exit that calls `drain` does not wait for itself, or for what is around it.
#[tokio::test]
async fn drain_in_an_exit_does_not_wait_for_itself() {
    let log = Log::new();
    let block = async {
        async_with! { log.manager("outer"), Drains(log.clone()), log.manager("inner") => {} }
    };
    within_reason(block).await;
    assert_eq!(
        log.take()[2..],
        [
            "exit inner: completed",
            "exit drains: completed",
            "drained",
            "exit outer: completed"
        ]
    );
}

/// CAN-5: neither does a detached one.
#[test]
fn drain_in_a_detached_exit_does_not_wait_for_itself() {
    on_each_runtime(|| async {
        let log = Log::new();
        let mut block = Box::pin(async {
            async_with! { Drains(log.clone()), log.manager("inner").exit_pending(2) => { pending::<()>().await } }
        });
        assert!(futures::poll!(&mut block).is_pending());
        drop(block);
        until(&log, "drained").await;
        assert_eq!(
            log.take(),
            [
                "enter inner",
                "exit inner: dropped",
                "exited inner",
                "exit drains: dropped",
                "drained"
            ]
        );
        drain().await;
    });
}

/// CAN-5: nor for the exits that wait for it, of a tree that was dropped at once.
#[test]
fn drain_in_a_detached_exit_does_not_wait_for_those_who_wait_for_it() {
    on_each_runtime(|| async {
        let log = Log::new();
        let mut block = Box::pin(async {
            async_with! { log.manager("outer"), Drains(log.clone()) => { pending::<()>().await } }
        });
        assert!(futures::poll!(&mut block).is_pending());
        drop(block);
        until(&log, "exit outer: dropped").await;
        assert_eq!(
            log.take(),
            [
                "enter outer",
                "exit drains: dropped",
                "drained",
                "exit outer: dropped"
            ]
        );
    });
}

/// CAN-5: nor for the block that it was detached in and that waits for it.
#[test]
fn drain_in_a_detached_exit_does_not_wait_for_the_block_around_it() {
    on_each_runtime(|| async {
        let log = Log::new();
        async_with! { log.manager("outer") => {
            let mut block = Box::pin(async {
                async_with! { Drains(log.clone()) => { pending::<()>().await } }
            });
            assert!(futures::poll!(&mut block).is_pending());
            drop(block);
        }}
        assert_eq!(
            log.take(),
            [
                "enter outer",
                "exit drains: dropped",
                "drained",
                "exit outer: completed"
            ]
        );
        let inside = log.clone();
        async_with! { log.manager("outer") => {
            detach("drains", async move {
                drain().await;
                inside.write("drained");
            });
        }}
        assert_eq!(
            log.take(),
            ["enter outer", "drained", "exit outer: completed"]
        );
    });
}

/// CAN-5: it counts per runtime.
#[test]
fn drain_counts_per_runtime() {
    let (log, gate) = (Log::new(), Gate::new());
    let [one, other] = runtimes();
    let task = other.spawn(open_block(&log, "other", &gate));
    one.block_on(within_reason(async {
        until(&log, "enter other").await;
        assert_eq!(pending_exits(), []);
        drain().await;
        log.write("drained one");
    }));
    other.block_on(within_reason(async {
        assert_eq!(pending_exits().len(), 1);
        {
            let mut drained = pin!(drain());
            assert!(futures::poll!(&mut drained).is_pending());
            gate.open();
            drained.await;
        }
        task.await.expect("it does not panic");
    }));
    assert_eq!(
        log.take(),
        ["enter other", "drained one", "exit other: completed"]
    );
}

/// CAN-5: a block that goes to another runtime with its future is waited for there, and no longer where it was.
#[test]
fn drain_is_woken_when_a_block_goes_to_another_runtime() {
    struct Woken(AtomicBool);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, SeqCst);
        }
    }
    let (log, gate) = (Log::new(), Gate::new());
    let [one, other] = runtimes();
    let mut block = open_block(&log, "a", &gate);
    let woken = Arc::new(Woken(AtomicBool::new(false)));
    let waker = Waker::from(Arc::clone(&woken));
    let mut drains = Box::pin(drain());
    {
        let _one = one.enter();
        assert!(!poll_once(&mut block));
        assert!(
            drains
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
    }
    {
        let _other = other.enter();
        assert!(!poll_once(&mut block));
        assert_eq!(pending_exits().len(), 1);
        assert!(!poll_once(&mut Box::pin(drain())));
    }
    assert!(
        woken.0.load(SeqCst),
        "nobody wakes the drain of the first runtime"
    );
    let _one = one.enter();
    assert!(poll_once(&mut drains));
    gate.open();
    assert!(poll_once(&mut block));
}

/// CAN-5: so is one that goes from a task of one runtime to a task of another.
#[test]
fn a_block_that_goes_to_a_task_of_another_runtime_is_owed_there() {
    let (log, gate) = (Log::new(), Gate::new());
    let [one, other] = runtimes();
    let block = Arc::new(Mutex::new(open_block(&log, "a", &gate)));
    let poll_in_a_task = |runtime: &Runtime| {
        let block = Arc::clone(&block);
        let task = runtime.spawn(async move { poll_once(&mut *block.lock().unwrap()) });
        assert!(!runtime.block_on(task).expect("it does not panic"));
    };
    poll_in_a_task(&one);
    assert_eq!(one.block_on(async { pending_exits().len() }), 1);
    poll_in_a_task(&other);
    assert_eq!(one.block_on(async { pending_exits() }), []);
    assert_eq!(other.block_on(async { pending_exits().len() }), 1);
    gate.open();
    assert!(poll_once(&mut *block.lock().unwrap()));
}

/// CAN-5: a block belongs to the runtime that it was entered on also when a task is polled on another thread than before.
#[test]
fn what_moves_between_threads_is_counted() {
    let [_, runtime] = runtimes();
    runtime.block_on(within_reason(async {
        let log = Log::new();
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let log = log.clone();
                tokio::spawn(async move {
                    async_with! { log.manager("a").pending(5), log.scoped("b").pending(5) => { pend(20).await } }
                })
            })
            .collect();
        drain().await;
        for task in tasks {
            task.await.expect("it does not panic");
        }
        assert_eq!(pending_exits(), []);
        let events = log.take();
        assert_eq!(
            events
                .iter()
                .filter(|event| event.starts_with("exited"))
                .count(),
            40
        );
    }));
}

/// CAN-5: `drain_timeout` returns what is left when the time is over, with names.
#[tokio::test(start_paused = true)]
async fn drain_timeout_returns_what_is_left() {
    let (log, gate) = (Log::new(), Gate::new());
    let task = tokio::spawn(open_block(&log, "open", &gate));
    until(&log, "enter open").await;
    let mut block = slow_block(&log, "dropped", &gate);
    assert!(futures::poll!(&mut block).is_pending());
    drop(block);
    let waits = gate.clone();
    detach("handed over", async move { waits.opened().await });
    let start = Instant::now();
    let left = drain_timeout(Duration::from_secs(3)).await.unwrap_err();
    assert_eq!(start.elapsed(), Duration::from_secs(3));
    let manager = std::any::type_name::<async_with_tests::Logged>();
    let left: Vec<_> = left
        .iter()
        .map(|exit| (exit.manager, exit.detached))
        .collect();
    assert_eq!(
        left,
        [(manager, false), (manager, true), ("handed over", true)]
    );
    gate.open();
    assert_eq!(drain_timeout(Duration::from_secs(3)).await, Ok(()));
    task.await.expect("it does not panic");
}

/// CAN-5: `pending_exits` lists live and detached exits, oldest first, with names and since when.
#[tokio::test]
async fn pending_exits_are_listed() {
    let (log, gate) = (Log::new(), Gate::new());
    let before = std::time::Instant::now();
    async_with! { log.manager("outer"), log.scoped("inner") => {
        let listed = pending_exits();
        let names: Vec<_> = listed.iter().map(|exit| exit.manager).collect();
        assert_eq!(
            names,
            [
                std::any::type_name::<async_with_tests::Logged>(),
                std::any::type_name::<async_with_tests::Scoped<'_>>(),
            ]
        );
        assert!(listed.iter().all(|exit| !exit.detached));
        assert!(listed.is_sorted_by_key(|exit| exit.since));
        assert!(listed.iter().all(|exit| exit.since >= before && exit.since.elapsed() < Duration::from_secs(60)));
        let mut block = slow_block(&log, "dropped", &gate);
        assert!(futures::poll!(&mut block).is_pending());
        drop(block);
        let listed = pending_exits();
        assert_eq!(listed.iter().filter(|exit| exit.detached).count(), 1);
        assert_eq!(listed.len(), 3);
        gate.open();
    }}
    assert_eq!(pending_exits(), []);
}

/// CAN-5: a block under a manager that may interrupt is listed since it was opened, too. It was as old as the question.
#[tokio::test]
async fn the_age_of_a_block_that_may_be_interrupted_is_known() {
    let log = Log::new();
    let mut older = Box::pin(async {
        async_with! { move_on_when_cancelled(CancellationToken::new()), log.manager("older") => {
            pending::<()>().await;
        }}
    });
    assert!(futures::poll!(&mut older).is_pending());
    let between = std::time::Instant::now();
    let mut younger = open_block(&log, "younger", &Gate::new());
    assert!(futures::poll!(&mut younger).is_pending());
    let listed = pending_exits();
    let is_older: Vec<_> = listed.iter().map(|exit| exit.since <= between).collect();
    assert_eq!(is_older, [true, true, false]);
    assert_eq!(pending_exits(), listed);
}

/// CAN-5: a block that has not waited yet is as old as the first question, which others agree with.
#[tokio::test]
async fn the_age_of_a_block_does_not_change() {
    let (log, runtime) = (Log::new(), Handle::current());
    let ask = || {
        let _guard = runtime.enter();
        pending_exits()
    };
    async_with! { log.manager("a") => {
        let [first, second] = [(); 2].map(|()| thread::scope(|scope| scope.spawn(ask).join()));
        let first = first.expect("it does not panic");
        assert_eq!(first.len(), 1);
        assert_eq!(second.expect("it does not panic"), first);
    }}
}

/// CAN-5: an exit that is running is owed still, and one that waits for others to be done first is too.
#[tokio::test]
async fn an_exit_is_owed_until_it_is_done() {
    let (log, gate) = (Log::new(), Gate::new());
    let mut block = Box::pin(async {
        async_with! { log.manager("a"), log.manager("b").exit_waits_for(&gate) => {} }
    });
    assert!(futures::poll!(&mut block).is_pending());
    assert_eq!(pending_exits().len(), 2);
    drop(block);
    assert_eq!(pending_exits().len(), 2);
    assert!(pending_exits().iter().all(|exit| exit.detached));
    gate.open();
    drain().await;
    assert_eq!(pending_exits(), []);
}

/// CAN-5: without a runtime, a block works, and an exit that would have to be detached is reported by name.
#[test]
fn without_a_runtime_a_detached_exit_is_reported() {
    let log = Log::new();
    let collected = report::collect(async {
        async_with! { log.manager("a").pending(2) => { log.write("body") } }
        let mut block = Box::pin(async {
            async_with! { log.fallible("b"), log.scoped("c") => { pending::<()>().await } }
            Ok::<_, Boom>(())
        });
        assert!(futures::poll!(&mut block).is_pending());
        drop(block);
        let mut block = Box::pin(async {
            async_with! { log.manager("d").exit_pending(5) => {} }
        });
        assert!(futures::poll!(&mut block).is_pending());
        drop(block);
        detach("handed over", async {});
    });
    let ((), entries) = futures::executor::block_on(collected);
    assert_eq!(
        log.take(),
        [
            "enter a",
            "body",
            "exit a: completed",
            "exited a",
            "enter b",
            "enter c",
            "abandon c",
            "enter d",
            "exit d: completed"
        ]
    );
    assert_eq!(
        unfinished(&entries),
        [
            ("Logged", Cause::Dropped),
            ("Logged", Cause::Completed),
            ("handed over", Cause::Dropped)
        ]
    );
    assert_eq!(entries.len(), 3);
    // What nobody can run is not owed.
    assert_eq!(pending_exits(), []);
}

/// CAN-5: when a runtime is shut down, the exits of its tasks, and those that are running detached, are reported by name.
#[test]
fn exits_of_a_runtime_that_is_shut_down_are_reported() {
    let log = Log::new();
    let gate = Gate::new();
    let [runtime, _] = runtimes();
    let collected = report::collect(async {
        runtime.block_on(async {
            tokio::spawn(slow_block(&log, "in the body", &gate));
            let scoped = log.clone();
            tokio::spawn(async move {
                async_with! { scoped.scoped("scoped") => { pending::<()>().await } }
            });
            until(&log, "enter scoped").await;
            let mut block = slow_block(&log, "detached", &gate);
            assert!(futures::poll!(&mut block).is_pending());
            drop(block);
            until(&log, "exit detached: dropped").await;
        });
        drop(runtime);
    });
    let ((), entries) = futures::executor::block_on(collected);
    assert_eq!(
        unfinished(&entries),
        [("Logged", Cause::Dropped), ("Logged", Cause::Dropped)]
    );
    let events = log.take();
    assert!(events.contains(&"abandon scoped".to_owned()), "{events:?}");
    assert!(
        !events.iter().any(|event| event.starts_with("exited")),
        "{events:?}"
    );
}

/// CAN-5: on a runtime that was shut down before, nothing can be run any more, and that is reported.
#[test]
fn an_exit_on_a_runtime_that_is_gone_is_reported() {
    let log = Log::new();
    for in_exit in [false, true] {
        let gate = Gate::new();
        let [runtime, _] = runtimes();
        let mut block = if in_exit {
            let (log, gate) = (log.clone(), gate.clone());
            Box::pin(async move {
                async_with! { log.manager("a").exit_waits_for(&gate) => {} }
            }) as Block
        } else {
            slow_block(&log, "a", &gate)
        };
        runtime.block_on(async { assert!(futures::poll!(&mut block).is_pending()) });
        drop(runtime);
        let ((), entries) =
            futures::executor::block_on(report::collect(async move { drop(block) }));
        assert_eq!(unfinished(&entries).len(), 1, "{entries:?}");
    }
}

/// CAN-5: when a `LocalSet` is dropped, the exits of its tasks run on the runtime if it is there, and are reported if not.
#[test]
fn exits_of_a_local_set_that_is_dropped() {
    for alive in [true, false] {
        for runtime in runtimes() {
            let log = Log::new();
            let gate = Gate::new();
            let local = LocalSet::new();
            local.spawn_local(slow_block(&log, "a", &gate));
            local.block_on(&runtime, until(&log, "enter a"));
            gate.open();
            let runtime = if alive {
                Some(runtime)
            } else {
                drop(runtime);
                None
            };
            let ((), entries) =
                futures::executor::block_on(report::collect(async move { drop(local) }));
            if let Some(runtime) = runtime {
                runtime.block_on(within_reason(drain()));
                assert_eq!(entries, []);
                assert_eq!(log.take(), ["enter a", "exit a: dropped", "exited a"]);
            } else {
                assert_eq!(unfinished(&entries), [("Logged", Cause::Dropped)]);
                assert_eq!(log.take(), ["enter a"]);
            }
        }
    }
}

/// CAN-1, CAN-3: a block that is dropped on a thread outside of the runtime exits on the runtime where it was entered, after
/// those inside it.
#[test]
fn a_block_that_is_dropped_outside_of_the_runtime_exits_on_it() {
    struct Where(Log);
    impl AsyncContextManager for Where {
        type Resource = tokio::runtime::Id;
        type Error = Infallible;
        type Exit = ();

        async fn enter(&mut self) -> Result<Self::Resource, Infallible> {
            Ok(Handle::current().id())
        }

        async fn exit(self, entered: Self::Resource, cause: Cause) -> Result<(), Infallible> {
            let same = Handle::current().id() == entered;
            self.0
                .write(format!("exit: {}, same runtime: {same}", short(cause)));
            Ok(())
        }
    }
    for runtime in runtimes() {
        let (log, gate) = (Log::new(), Gate::new());
        let (inside, waits) = (log.clone(), gate.clone());
        let mut block = Box::pin(async move {
            async_with! { Where(inside.clone()), inside.manager("inner").exit_waits_for(&waits) => {
                pending::<()>().await;
            }}
        });
        runtime.block_on(async { assert!(futures::poll!(&mut block).is_pending()) });
        std::thread::spawn(move || drop(block))
            .join()
            .expect("it does not panic");
        runtime.block_on(within_reason(async {
            until(&log, "exit inner: dropped").await;
            for _ in 0..20 {
                yield_now().await;
            }
            log.write("opened");
            gate.open();
            drain().await;
        }));
        assert_eq!(
            log.take(),
            [
                "enter inner",
                "exit inner: dropped",
                "opened",
                "exited inner",
                "exit: dropped, same runtime: true"
            ]
        );
    }
}

/// CAN-1: so does one that was polled outside in the meantime.
#[test]
fn a_block_that_is_polled_outside_of_the_runtime_remembers_it() {
    for runtime in runtimes() {
        let (log, gate) = (Log::new(), Gate::new());
        gate.open();
        let mut block = slow_block(&log, "a", &gate);
        runtime.block_on(async { assert!(futures::poll!(&mut block).is_pending()) });
        std::thread::spawn(move || {
            assert!(!poll_once(&mut block));
            drop(block);
        })
        .join()
        .expect("it does not panic");
        runtime.block_on(within_reason(drain()));
        assert_eq!(log.take(), ["enter a", "exit a: dropped", "exited a"]);
    }
}

/// CAN-1, CAN-2: so does one that is dropped there in its exit.
#[test]
fn a_block_that_is_dropped_in_its_exit_outside_of_the_runtime_exits_on_it() {
    for runtime in runtimes() {
        for outer in [false, true] {
            let (log, gate) = (Log::new(), Gate::new());
            let (inside, waits) = (log.clone(), gate.clone());
            let mut block: Block = if outer {
                Box::pin(async move {
                    async_with! { inside.manager("outer"), inside.manager("a").exit_waits_for(&waits) => {} }
                })
            } else {
                Box::pin(async move {
                    async_with! { inside.manager("a").exit_waits_for(&waits) => {} }
                })
            };
            runtime.block_on(async { assert!(futures::poll!(&mut block).is_pending()) });
            let dropped = std::thread::spawn(move || {
                futures::executor::block_on(report::collect(async move { drop(block) }))
            });
            let ((), entries) = dropped.join().expect("it does not panic");
            assert_eq!(entries, [], "with an outer block: {outer}");
            gate.open();
            runtime.block_on(within_reason(drain()));
            let events = log.take();
            assert!(events.contains(&"exited a".to_owned()), "{events:?}");
        }
    }
}

/// CAN-1, CAN-4: so does what an `abandon` hands over there.
#[test]
fn what_is_handed_over_outside_of_the_runtime_runs_on_it() {
    struct HandsOver<'a>(&'a Log);
    impl ScopedAsyncContextManager for HandsOver<'_> {
        type Resource = ();
        type Error = Infallible;
        type Exit = ();

        async fn enter(&mut self) -> Result<(), Infallible> {
            Ok(())
        }

        async fn exit(self, (): (), _: Cause) -> Result<(), Infallible> {
            Ok(())
        }

        fn abandon(self, (): ()) {
            let log = self.0.clone();
            detach("handed over", async move { log.write("cleaned up") });
        }
    }
    for runtime in runtimes() {
        for outer in [true, false] {
            let log = Log::new();
            let inside = log.clone();
            let mut block: Block = if outer {
                Box::pin(async move {
                    async_with! { inside.manager("outer"), HandsOver(&inside) => { pending::<()>().await } }
                })
            } else {
                Box::pin(async move {
                    async_with! { HandsOver(&inside) => { pending::<()>().await } }
                })
            };
            runtime.block_on(async { assert!(futures::poll!(&mut block).is_pending()) });
            let dropped = std::thread::spawn(move || {
                futures::executor::block_on(report::collect(async move { drop(block) }))
            });
            let ((), entries) = dropped.join().expect("it does not panic");
            assert_eq!(entries, [], "with an outer block: {outer}");
            runtime.block_on(within_reason(drain()));
            let events = log.take();
            assert!(events.contains(&"cleaned up".to_owned()), "{events:?}");
        }
    }
}

/// CAN-1: a clean-up that needs the very runtime on whose only thread its block is dropped cannot deadlock: a drop never
/// blocks.
#[test]
fn a_clean_up_that_needs_the_same_thread_does_not_deadlock() {
    struct Talks(
        tokio::sync::mpsc::Sender<tokio::sync::oneshot::Sender<()>>,
        Log,
    );
    impl AsyncContextManager for Talks {
        type Resource = ();
        type Error = Infallible;
        type Exit = ();

        async fn enter(&mut self) -> Result<(), Infallible> {
            Ok(())
        }

        async fn exit(self, (): (), _: Cause) -> Result<(), Infallible> {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let (sender, receiver) = tokio::sync::oneshot::channel();
            let sent = self.0.send(sender).await.is_ok();
            let answered = receiver.await.is_ok();
            let ran = tokio::spawn(async {}).await.is_ok();
            self.1.write(format!("{sent} {answered} {ran}"));
            Ok(())
        }
    }
    let [runtime, _] = runtimes();
    let log = Log::new();
    runtime.block_on(within_reason(async {
        let (sender, mut receiver) =
            tokio::sync::mpsc::channel::<tokio::sync::oneshot::Sender<()>>(1);
        let server = tokio::spawn(async move {
            while let Some(answer) = receiver.recv().await {
                let _ = answer.send(());
            }
        });
        let mut block = Box::pin(async {
            async_with! { Talks(sender.clone(), log.clone()) => { pending::<()>().await } }
        });
        assert!(!poll_once(&mut block));
        // Without an await around it.
        drop(block);
        assert_eq!(log.events(), <[&str; 0]>::default());
        drain().await;
        drop(sender);
        server.await.expect("it does not panic");
    }));
    assert_eq!(log.take(), ["true true true"]);
}

/// CAN-5: a waker that `drain` lets go of may be the last of a task, and that may own anything. It was dropped under the
/// lock that the task's own `drain` needs to be dropped.
#[test]
fn a_waker_of_drain_may_own_another_drain() {
    type Drains = Pin<Box<dyn Future<Output = ()> + Send>>;
    struct Task {
        _owns: Mutex<Drains>,
    }
    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }
    let (ends, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let (log, gate) = (Log::new(), Gate::new());
        let [runtime, _] = runtimes();
        let _guard = runtime.enter();
        let mut block = open_block(&log, "open", &gate);
        assert!(!poll_once(&mut block));
        let mut owned: Drains = Box::pin(drain());
        assert!(!poll_once(&mut owned));
        let waker = Waker::from(Arc::new(Task {
            _owns: Mutex::new(owned),
        }));
        let mut drains = Box::pin(drain());
        let mut context = Context::from_waker(&waker);
        assert!(drains.as_mut().poll(&mut context).is_pending());
        drop(waker);
        assert!(!poll_once(&mut drains));
        gate.open();
        assert!(poll_once(&mut block));
        assert!(poll_once(&mut drains));
        ends.send(()).expect("somebody waits");
    });
    ended
        .recv_timeout(Duration::from_secs(60))
        .expect("it does not hang");
}
