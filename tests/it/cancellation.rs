//! CAN: the future that holds a block is dropped.

use std::convert::Infallible;
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_with::report::{self, Incident, Phase};
use async_with::{
    AsyncContextManager, Cause, ScopedAsyncContextManager, async_with, detach, drain,
    move_on_when_cancelled, pending_exits,
};
use async_with_tests::{Boom, Gate, Log, pend, short};
use futures::stream::FuturesUnordered;
use tokio::task::{LocalSet, yield_now};
use tokio_util::sync::CancellationToken;

use crate::runtimes::{on_each_runtime, runtimes, until, within_reason};

/// What a dropped tree of `a`, `b`, `c` and `d` writes, from the body on.
const TREE_DROPPED: [&str; 9] = [
    "body",
    "exit d: dropped",
    "exited d",
    "exit c: dropped",
    "exited c",
    "exit b: dropped",
    "exited b",
    "exit a: dropped",
    "exited a",
];

/// Four blocks, one in another; the last two are one block of two items.
async fn tree(log: Log, gate: Gate) {
    async fn leaf(log: &Log, gate: &Gate) {
        let d = log.manager("d").exit_pending(3).exit_waits_for(gate);
        async_with! { log.manager("c").exit_pending(3), d => {
            log.write("body");
            pending::<()>().await;
        }}
    }
    async fn middle(log: &Log, gate: &Gate) {
        async_with! { log.manager("b").exit_pending(3) => { leaf(log, gate).await } }
    }
    async_with! { log.manager("a").exit_pending(3) => { middle(&log, &gate).await } }
}

/// CAN-1: dropped in the body, the exit runs to completion on the runtime, told that the block was dropped.
#[test]
fn dropped_in_the_body_the_exit_runs() {
    on_each_runtime(|| async {
        let log = Log::new();
        let inside = log.clone();
        let task = tokio::spawn(async move {
            async_with! { inside.manager("a").pending(2) => {
                inside.write("body");
                pending::<()>().await;
            }}
        });
        until(&log, "body").await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        drain().await;
        assert_eq!(
            log.take(),
            ["enter a", "body", "exit a: dropped", "exited a"]
        );
    });
}

/// CAN-1: the four usual ways to drop a future are one to the block.
#[test]
fn every_way_to_drop_a_future_is_the_same() {
    on_each_runtime(|| async {
        for way in ["drop", "select", "timeout", "join set"] {
            let log = Log::new();
            // A deadline that has passed lets a future be polled once.
            let enter_pending = if way == "timeout" { 0 } else { 2 };
            let block = {
                let log = log.clone();
                async move {
                    let manager = log
                        .manager("a")
                        .enter_pending(enter_pending)
                        .exit_pending(2);
                    async_with! { manager => {
                        log.write("body");
                        pending::<()>().await;
                    }}
                }
            };
            match way {
                "drop" => {
                    let mut block = Box::pin(block);
                    while !log.events().contains(&"body".to_owned()) {
                        assert!(futures::poll!(&mut block).is_pending());
                    }
                }
                "select" => tokio::select! {
                    () = block => unreachable!("its body is pending"),
                    () = until(&log, "body") => {}
                },
                "timeout" => {
                    let timeout = tokio::time::timeout(Duration::ZERO, block);
                    assert!(timeout.await.is_err());
                }
                _ => {
                    let mut set = tokio::task::JoinSet::new();
                    set.spawn(block);
                    until(&log, "body").await;
                    set.shutdown().await;
                }
            }
            drain().await;
            assert_eq!(
                log.take(),
                ["enter a", "body", "exit a: dropped", "exited a"],
                "{way}"
            );
        }
    });
}

/// CAN-2: dropped inside exit, the same exit goes on, and is not started again.
#[test]
fn dropped_in_exit_the_same_exit_goes_on() {
    on_each_runtime(|| async {
        let (log, gate) = (Log::new(), Gate::new());
        let (inside, waits) = (log.clone(), gate.clone());
        let task = tokio::spawn(async move {
            async_with! { inside.manager("a").exit_waits_for(&waits) => {} }
        });
        until(&log, "exit a: completed").await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        gate.open();
        drain().await;
        assert_eq!(log.take(), ["enter a", "exit a: completed", "exited a"]);
    });
}

/// CAN-2: each poll of the exit happens once, wherever the future is dropped: it is the same future that goes on.
#[tokio::test]
async fn no_poll_of_an_exit_is_repeated() {
    struct Counts(Arc<AtomicUsize>);
    impl AsyncContextManager for Counts {
        type Resource = ();
        type Error = Boom;
        type Exit = ();

        async fn enter(&mut self) -> Result<(), Boom> {
            Ok(())
        }

        async fn exit(self, (): (), _: Cause) -> Result<(), Boom> {
            for _ in 0..10 {
                self.0.fetch_add(1, Ordering::SeqCst);
                pend(1).await;
            }
            Ok(())
        }
    }
    for polls in 1..10 {
        let count = Arc::new(AtomicUsize::new(0));
        let mut block = Box::pin(async {
            async_with! { Counts(Arc::clone(&count)) => {} }
            Ok::<_, Boom>(())
        });
        for _ in 0..polls {
            assert!(futures::poll!(&mut block).is_pending());
        }
        assert_eq!(count.load(Ordering::SeqCst), polls);
        drop(block);
        drain().await;
        assert_eq!(count.load(Ordering::SeqCst), 10, "{polls}");
    }
}

/// CAN-2: the exit of a scoped manager is dropped with its block, which is reported.
#[tokio::test]
async fn a_scoped_exit_that_is_dropped_is_reported() {
    let (log, gate) = (Log::new(), Gate::new());
    let dropped = async {
        let mut block = Box::pin(async {
            async_with! { log.manager("a"), log.scoped("b").exit_waits_for(&gate) => {} }
        });
        assert!(futures::poll!(&mut block).is_pending());
        drop(block);
    };
    let ((), entries) = report::collect(dropped).await;
    drain().await;
    assert_eq!(
        log.take(),
        ["enter a", "enter b", "exit b: completed", "exit a: dropped"]
    );
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert!(entries[0].manager.contains("Scoped"), "{entries:?}");
    assert_eq!(
        (entries[0].phase, entries[0].cause, &entries[0].incident),
        (Phase::Exit, Cause::Completed, &Incident::Unfinished)
    );
}

/// EXI-1, CAN-2: a scoped manager whose block is dropped before its exit has started is abandoned: while it waits for
/// what was detached inside, for one.
#[tokio::test]
async fn a_scoped_exit_that_did_not_start_is_abandoned() {
    let (log, gate) = (Log::new(), Gate::new());
    let dropped = async {
        let mut block = Box::pin(async {
            async_with! { log.scoped("outer") => {
                let mut inner = Box::pin(async {
                    async_with! { log.manager("inner").exit_waits_for(&gate) => { pending::<()>().await } }
                });
                assert!(futures::poll!(&mut inner).is_pending());
            }}
        });
        assert!(futures::poll!(&mut block).is_pending());
        drop(block);
    };
    let ((), entries) = report::collect(dropped).await;
    gate.open();
    drain().await;
    assert_eq!(
        log.take(),
        [
            "enter outer",
            "enter inner",
            "abandon outer",
            "exit inner: dropped",
            "exited inner"
        ]
    );
    assert_eq!(entries, []);
}

/// CAN-3: when a tree is dropped at once, its exits run inside first, and each starts after the one before has ended.
#[test]
fn a_tree_that_is_dropped_keeps_the_order() {
    on_each_runtime(|| async {
        let log = Log::new();
        let gate = Gate::new();
        gate.open();
        let task = tokio::spawn(tree(log.clone(), gate));
        until(&log, "body").await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        drain().await;
        assert_eq!(log.take()[4..], TREE_DROPPED);
    });
}

/// CAN-2, CAN-3: the same when the innermost block is in its exit already.
#[test]
fn a_tree_that_is_dropped_in_an_exit_keeps_the_order() {
    async fn tree(log: Log, gate: Gate) {
        async_with! { log.manager("a").exit_pending(2) => {
            async_with! { log.manager("b").exit_pending(2), log.manager("c").exit_waits_for(&gate) => {} }
        }}
    }
    on_each_runtime(|| async {
        let (log, gate) = (Log::new(), Gate::new());
        let task = tokio::spawn(tree(log.clone(), gate.clone()));
        until(&log, "exit c: completed").await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        gate.open();
        drain().await;
        assert_eq!(
            log.take()[3..],
            [
                "exit c: completed",
                "exited c",
                "exit b: dropped",
                "exited b",
                "exit a: dropped",
                "exited a"
            ]
        );
    });
}

/// CAN-1, CAN-3: in a task of a `LocalSet`, exits survive as well, and managers that are not `Send` are abandoned.
#[test]
fn the_tasks_of_a_local_set_are_like_others() {
    for runtime in runtimes() {
        let log = Log::new();
        let gate = Gate::new();
        gate.open();
        let scenario = async {
            let task = tokio::task::spawn_local(tree(log.clone(), gate.clone()));
            until(&log, "body").await;
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
            drain().await;
            assert_eq!(log.take()[4..], TREE_DROPPED);

            let inside = log.clone();
            let task = tokio::task::spawn_local(async move {
                let log = &inside;
                async_with! { log.scoped("a").local(), log.manager("b").exit_pending(2) => {
                    async_with! { log.scoped("c").local(), log.manager("d").exit_pending(2) => {
                        log.write("body");
                        pending::<()>().await;
                    }}
                }}
            });
            until(&log, "body").await;
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
            drain().await;
            let events = log.take();
            let of = |kind: &str| -> Vec<_> {
                let chosen = events.iter().filter(|event| event.starts_with(kind));
                chosen.map(String::as_str).collect()
            };
            assert_eq!(of("abandon"), ["abandon c", "abandon a"]);
            assert_eq!(
                of("exit"),
                ["exit d: dropped", "exited d", "exit b: dropped", "exited b"]
            );
        };
        LocalSet::new().block_on(&runtime, within_reason(scenario));
    }
}

/// CAN-2, CAN-4: in a task of a `LocalSet`, an exit that is dropped goes on, or is reported, and a block of a manager that
/// is not `Send` awaits what was dropped inside it.
#[test]
fn the_blocks_of_a_local_task_are_like_others() {
    for runtime in runtimes() {
        let scenario = async {
            let (log, gate) = (Log::new(), Gate::new());
            let (inside, waits) = (log.clone(), gate.clone());
            let task = tokio::task::spawn_local(async move {
                let log = &inside;
                async_with! { log.scoped("a").local(), log.manager("b").exit_waits_for(&waits) => {} }
            });
            until(&log, "exit b: completed").await;
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
            gate.open();
            drain().await;
            assert_eq!(
                log.take()[2..],
                ["exit b: completed", "abandon a", "exited b"]
            );

            let gate = Gate::new();
            let block = async {
                let mut block = Box::pin(async {
                    async_with! { log.scoped("a").local().exit_waits_for(&gate) => {} }
                });
                assert!(futures::poll!(&mut block).is_pending());
            };
            let ((), entries) = report::collect(block).await;
            assert_eq!(entries.len(), 1, "{entries:?}");
            assert_eq!(entries[0].incident, Incident::Unfinished);
            assert_eq!(log.take(), ["enter a", "exit a: completed"]);

            let gate = Gate::new();
            let (inside, waits) = (log.clone(), gate.clone());
            let task = tokio::task::spawn_local(async move {
                let log = &inside;
                async_with! { log.scoped("outer").local() => {
                    let mut inner = Box::pin(async {
                        async_with! { log.manager("inner").exit_waits_for(&waits) => { pending::<()>().await } }
                    });
                    assert!(futures::poll!(&mut inner).is_pending());
                }}
            });
            until(&log, "exit inner: dropped").await;
            for _ in 0..20 {
                yield_now().await;
            }
            log.write("opened");
            gate.open();
            task.await.expect("it does not panic");
            assert_eq!(
                log.take()[2..],
                [
                    "exit inner: dropped",
                    "opened",
                    "exited inner",
                    "exit outer: completed"
                ]
            );
        };
        LocalSet::new().block_on(&runtime, within_reason(scenario));
    }
}

/// CAN-4: a block that lives on awaits the exits of the blocks that were dropped inside it before its own exit.
#[test]
fn an_inner_block_that_is_dropped_is_awaited_by_the_outer_one() {
    async fn run(log: &Log, gate: &Gate, way: &str) -> Result<(), Boom> {
        async_with! { log.manager("outer") => {
            let inner = async {
                async_with! { log.manager("inner").exit_waits_for(gate) => {
                    log.write("body");
                    pending::<()>().await;
                }}
            };
            match way {
                "select" | "question mark" => tokio::select! {
                    biased;
                    () = inner => {}
                    () = until(log, "body") => {}
                },
                _ => {
                    let timeout = tokio::time::timeout(Duration::from_millis(1), inner);
                    assert!(timeout.await.is_err());
                }
            }
            log.write("went on");
            if way == "question mark" {
                Err(Boom("left"))?;
            }
        }}
        Ok(())
    }
    on_each_runtime(|| async {
        for way in ["select", "timeout", "question mark"] {
            let (log, gate) = (Log::new(), Gate::new());
            let opener = {
                let (log, gate) = (log.clone(), gate.clone());
                tokio::spawn(async move {
                    until(&log, "went on").await;
                    until(&log, "exit inner: dropped").await;
                    // Time for the outer exit to start too early.
                    for _ in 0..20 {
                        yield_now().await;
                    }
                    log.write("opened");
                    gate.open();
                })
            };
            let result = run(&log, &gate, way).await;
            opener.await.expect("it does not panic");
            let cause = if way == "question mark" {
                assert_eq!(result, Err(Boom("left")));
                "failed Boom"
            } else {
                assert_eq!(result, Ok(()));
                "completed"
            };
            let mut events = log.take();
            events.retain(|event| event.starts_with("exit") || event == "opened");
            let outer = format!("exit outer: {cause}");
            assert_eq!(
                events,
                ["exit inner: dropped", "opened", "exited inner", &outer],
                "{way}"
            );
        }
    });
}

/// CAN-3, CAN-4: an outer block that is dropped while an inner exit is running detached waits for it still, whether the
/// outer block is in its body or waits already.
#[test]
fn detached_exits_are_awaited_when_the_outer_block_is_dropped_too() {
    on_each_runtime(|| async {
        for ends in [false, true] {
            let (log, gate) = (Log::new(), Gate::new());
            let (inside, waits) = (log.clone(), gate.clone());
            let task = tokio::spawn(async move {
                let log = &inside;
                async_with! { log.manager("outer").exit_pending(1) => {
                    let mut inner = Box::pin(async {
                        async_with! { log.manager("inner").exit_waits_for(&waits) => { pending::<()>().await } }
                    });
                    assert!(futures::poll!(&mut inner).is_pending());
                    drop(inner);
                    log.write("body");
                    if !ends {
                        pending::<()>().await;
                    }
                }}
            });
            until(&log, "body").await;
            until(&log, "exit inner: dropped").await;
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
            for _ in 0..20 {
                yield_now().await;
            }
            log.write("opened");
            gate.open();
            drain().await;
            let mut events = log.take();
            events.retain(|event| event.starts_with("exit") || event == "opened");
            let outer = if ends {
                "exit outer: completed"
            } else {
                "exit outer: dropped"
            };
            assert_eq!(
                events,
                [
                    "exit inner: dropped",
                    "opened",
                    "exited inner",
                    outer,
                    "exited outer"
                ]
            );
        }
    });
}

/// CAN-4: what a scoped block cannot wait for any more, the block around it does.
#[tokio::test]
async fn an_abandoned_block_passes_on_what_it_would_wait_for() {
    let (log, gate) = (Log::new(), Gate::new());
    let opener = {
        let (log, gate) = (log.clone(), gate.clone());
        tokio::spawn(async move {
            until(&log, "body ends").await;
            for _ in 0..20 {
                yield_now().await;
            }
            log.write("opened");
            gate.open();
        })
    };
    let block = async {
        async_with! { log.manager("outer") => {
            let mut middle = Box::pin(async {
                async_with! { log.scoped("middle"), log.manager("inner").exit_waits_for(&gate) => {
                    pending::<()>().await;
                }}
            });
            assert!(futures::poll!(&mut middle).is_pending());
            drop(middle);
            log.write("body ends");
        }}
    };
    within_reason(block).await;
    opener.await.expect("it does not panic");
    assert_eq!(
        log.take()[3..],
        [
            "abandon middle",
            "body ends",
            "exit inner: dropped",
            "opened",
            "exited inner",
            "exit outer: completed"
        ]
    );
}

/// CAN-4: a block that is dropped later has nothing to do with what was detached inside one that was abandoned.
#[tokio::test]
async fn a_block_does_not_wait_for_the_children_of_one_that_was_abandoned() {
    let (log, gate) = (Log::new(), Gate::new());
    {
        let mut abandoned = Box::pin(async {
            async_with! { log.scoped("abandoned"), log.manager("inner").exit_waits_for(&gate) => {
                pending::<()>().await;
            }}
        });
        assert!(futures::poll!(&mut abandoned).is_pending());
    }
    {
        let mut other = Box::pin(async {
            async_with! { log.manager("other") => { pending::<()>().await } }
        });
        assert!(futures::poll!(&mut other).is_pending());
    }
    for _ in 0..20 {
        yield_now().await;
    }
    log.write("opened");
    gate.open();
    drain().await;
    assert_eq!(
        log.take(),
        [
            "enter abandoned",
            "enter inner",
            "abandon abandoned",
            "enter other",
            "exit inner: dropped",
            "exit other: dropped",
            "opened",
            "exited inner"
        ]
    );
}

/// CAN-4: what a detached exit drops itself is awaited before anybody stops waiting for that exit.
#[tokio::test]
async fn what_a_detached_exit_drops_is_awaited_with_it() {
    struct Drops(Log, Gate);
    impl AsyncContextManager for Drops {
        type Resource = ();
        type Error = Boom;
        type Exit = ();

        async fn enter(&mut self) -> Result<(), Boom> {
            Ok(())
        }

        async fn exit(self, (): (), cause: Cause) -> Result<(), Boom> {
            let Self(log, gate) = self;
            log.write(format!("exit drops: {}", short(cause)));
            let mut block = Box::pin(async {
                async_with! { log.manager("inner").exit_waits_for(&gate) => { pending::<()>().await } }
            });
            assert!(futures::poll!(&mut block).is_pending());
            Ok(())
        }
    }
    let (log, gate) = (Log::new(), Gate::new());
    let opener = {
        let (log, gate) = (log.clone(), gate.clone());
        tokio::spawn(async move {
            until(&log, "exit inner: dropped").await;
            for _ in 0..20 {
                yield_now().await;
            }
            log.write("opened");
            gate.open();
        })
    };
    let block = async {
        async_with! { log.manager("outer") => {
            let mut middle = Box::pin(async {
                async_with! { Drops(log.clone(), gate.clone()) => { pending::<()>().await } }
                Ok::<_, Boom>(())
            });
            assert!(futures::poll!(&mut middle).is_pending());
            drop(middle);
        }}
    };
    within_reason(block).await;
    opener.await.expect("it does not panic");
    assert_eq!(
        log.take()[1..],
        [
            "exit drops: dropped",
            "enter inner",
            "exit inner: dropped",
            "opened",
            "exited inner",
            "exit outer: completed"
        ]
    );
}

/// CAN-4: so is what a clean-up that was handed over holds until it is done. It was dropped outside of the block then.
#[tokio::test]
async fn what_a_handed_over_clean_up_holds_is_awaited_with_it() {
    let (log, gate) = (Log::new(), Gate::new());
    let block = async {
        async_with! { log.manager("outer") => {
            let (log, gate) = (log.clone(), gate.clone());
            let mut inner = Box::pin(async move {
                async_with! { log.manager("inner").exit_waits_for(&gate) => {
                    pending::<()>().await;
                }}
            });
            detach("holds", poll_fn(move |cx| {
                assert!(inner.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            }));
        }}
    };
    let opens = async {
        until(&log, "exit inner: dropped").await;
        for _ in 0..20 {
            yield_now().await;
        }
        log.write("opened");
        gate.open();
    };
    within_reason(async { futures::join!(block, opens) }).await;
    assert_eq!(
        log.take(),
        [
            "enter outer",
            "enter inner",
            "exit inner: dropped",
            "opened",
            "exited inner",
            "exit outer: completed"
        ]
    );
}

/// CAN-7: dropped inside an enter, nothing is owed to that manager; outer exits run. Never polled, nothing runs.
#[tokio::test]
async fn dropped_inside_an_enter_nothing_is_owed() {
    let log = Log::new();
    let mut block = Box::pin(async {
        async_with! { log.manager("a"), log.manager("b").pending(5) => {} }
    });
    assert!(futures::poll!(&mut block).is_pending());
    assert_eq!(pending_exits().len(), 1);
    drop(block);
    drain().await;
    assert_eq!(log.take(), ["enter a", "exit a: dropped"]);

    let block = async {
        async_with! { log.manager("a"), log.scoped("b") => {} }
    };
    drop(block);
    drain().await;
    assert_eq!(log.take(), <[&str; 0]>::default());
}

/// CAN-8: wherever the future is dropped, what was entered is exited.
#[tokio::test]
async fn there_is_no_gap_in_which_an_exit_is_lost() {
    for polls in 0.. {
        let log = Log::new();
        let mut finished = false;
        {
            let mut block = pin!(async {
                async_with! { log.manager("a").pending(2), log.manager("b").pending(1) => {
                    pend(2).await;
                }}
            });
            for _ in 0..polls {
                let mut context = Context::from_waker(Waker::noop());
                finished = block.as_mut().poll(&mut context).is_ready();
            }
        }
        drain().await;
        let events = log.take();
        let count = |what: &str| {
            events
                .iter()
                .filter(|event| event.starts_with(what))
                .count()
        };
        assert_eq!(count("enter"), count("exit "), "{polls}: {events:?}");
        assert_eq!(count("enter"), count("exited"), "{polls}: {events:?}");
        let exits: Vec<_> = events
            .iter()
            .filter(|event| event.starts_with("exit"))
            .map(|event| {
                event
                    .split(' ')
                    .nth(1)
                    .unwrap_or_default()
                    .trim_end_matches(':')
            })
            .collect();
        assert!(exits.is_sorted_by(|a, b| a >= b), "{polls}: {events:?}");
        if finished {
            assert_eq!(polls, 9);
            break;
        }
    }
}

/// CAN-1, CAN-2, CAN-3, CAN-6, EXI-1: many tasks that are aborted at any time, while others are interrupted, on several
/// threads: what was entered is exited once, inside first, one after the other.
#[test]
fn many_tasks_are_aborted_and_interrupted_at_once() {
    async fn program(log: Log, patience: Duration) {
        async fn inner(log: &Log) {
            async_with! { log.manager("c").pending(2), log.manager("d").pending(1) => {
                pend(3).await;
                let mut lost = Box::pin(async {
                    async_with! { log.manager("e").pending(2) => { pending::<()>().await } }
                });
                for _ in 0..4 {
                    assert!(futures::poll!(&mut lost).is_pending());
                }
                drop(lost);
                yield_now().await;
                pending::<()>().await;
            }}
        }
        async_with! { log.manager("a").pending(1), async_with::move_on_after(patience), log.manager("b").pending(2) => {
            inner(&log).await;
        }}
    }
    on_each_runtime(|| async {
        let logs: Vec<Log> = (0..400).map(|_| Log::new()).collect();
        let tasks: Vec<_> = logs
            .iter()
            .enumerate()
            .map(|(number, log)| {
                let patience = Duration::from_millis(if number % 3 == 0 { 1 } else { 60_000 });
                tokio::spawn(program(log.clone(), patience))
            })
            .collect();
        for (number, task) in tasks.iter().enumerate() {
            if number % 3 != 0 {
                task.abort();
            }
            if number % 5 == 0 {
                yield_now().await;
            }
        }
        for task in tasks {
            let _ = task.await;
        }
        drain().await;
        for log in logs {
            let events = log.take();
            let names = |what: &str| -> Vec<String> {
                let chosen = events.iter().filter_map(|event| event.strip_prefix(what));
                chosen
                    .map(|rest| rest.split(':').next().unwrap_or_default().to_owned())
                    .collect()
            };
            let (entered, mut exited) = (names("enter "), names("exited "));
            assert_eq!(names("exit "), exited, "{events:?}");
            exited.reverse();
            assert_eq!(entered, exited, "{events:?}");
            let exits: Vec<_> = events
                .iter()
                .skip_while(|event| !event.starts_with("exit "))
                .collect();
            for pair in exits.chunks(2) {
                assert!(pair[0].starts_with("exit "), "{events:?}");
                assert!(pair[1].starts_with("exited "), "{events:?}");
            }
        }
    });
}

/// CAN-9: a detached exit keeps the collector of reports that it was detached in, and its task may be polled anywhere.
#[test]
fn a_detached_exit_keeps_its_collector() {
    on_each_runtime(|| async {
        let (log, gate) = (Log::new(), Gate::new());
        let collected = report::collect(async {
            let mut block = Box::pin(async {
                async_with! { log.fallible("a").exit_fails().exit_waits_for(&gate) => { pending::<()>().await } }
                Ok::<_, Boom>(())
            });
            assert!(futures::poll!(&mut block).is_pending());
            drop(block);
            gate.open();
            drain().await;
        });
        let ((), entries) = collected.await;
        assert_eq!(entries.len(), 1, "{entries:?}");
        assert_eq!(
            (entries[0].cause, entries[0].incident.to_string()),
            (Cause::Dropped, "failed: Boom(\"a\")".to_owned())
        );
    });
}

/// A scoped manager that borrows the log, and hands over a clean-up when it is abandoned.
struct HandsOver<'a> {
    log: &'a Log,
    gate: &'a Gate,
}

impl ScopedAsyncContextManager for HandsOver<'_> {
    type Resource = ();
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<(), Infallible> {
        self.log.write("enter scoped");
        Ok(())
    }

    async fn exit(self, (): (), cause: Cause) -> Result<(), Infallible> {
        self.log.write(format!("exit scoped: {}", short(cause)));
        Ok(())
    }

    fn abandon(self, (): ()) {
        let (log, gate) = (self.log.clone(), self.gate.clone());
        log.write("abandon scoped");
        detach("hand-over", async move {
            log.write("clean up");
            gate.opened().await;
            log.write("cleaned up");
        });
    }
}

/// CAN-3, CAN-4: what `abandon` hands over runs after the exits that were detached inside, and before the outer exit.
#[test]
fn a_handed_over_clean_up_keeps_the_order() {
    on_each_runtime(|| async {
        for outer_is_dropped in [false, true] {
            let (log, inner, scoped) = (Log::new(), Gate::new(), Gate::new());
            let (l, i, s) = (log.clone(), inner.clone(), scoped.clone());
            let task = tokio::spawn(async move {
                let log = &l;
                async_with! { log.manager("outer").exit_pending(1) => {
                    let mut block = Box::pin(async {
                        async_with! { HandsOver { log, gate: &s }, log.manager("inner").exit_waits_for(&i) => {
                            pending::<()>().await;
                        }}
                    });
                    assert!(futures::poll!(&mut block).is_pending());
                    if outer_is_dropped {
                        log.write("body");
                        block.await;
                    }
                }}
            });
            if outer_is_dropped {
                until(&log, "body").await;
                task.abort();
            }
            until(&log, "exit inner: dropped").await;
            for _ in 0..20 {
                yield_now().await;
            }
            log.write("open inner");
            inner.open();
            until(&log, "clean up").await;
            for _ in 0..20 {
                yield_now().await;
            }
            let names: Vec<_> = pending_exits()
                .into_iter()
                .filter(|exit| exit.detached)
                .map(|exit| exit.manager)
                .collect();
            assert!(names.contains(&"hand-over"), "{names:?}");
            log.write("open scoped");
            scoped.open();
            drain().await;
            let _ = task.await;
            let cause = if outer_is_dropped {
                "dropped"
            } else {
                "completed"
            };
            let mut events = log.take();
            events.retain(|event| !event.starts_with("enter") && event != "body");
            assert_eq!(
                events,
                [
                    "abandon scoped",
                    "exit inner: dropped",
                    "open inner",
                    "exited inner",
                    "clean up",
                    "open scoped",
                    "cleaned up",
                    &format!("exit outer: {cause}"),
                    "exited outer"
                ]
            );
        }
    });
}

/// A scoped manager that hands over what it was made of when it is abandoned.
struct HandsOverWith<F: FnOnce()>(F);

impl<F: FnOnce()> ScopedAsyncContextManager for HandsOverWith<F> {
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
        (self.0)();
    }
}

/// CAN-3: several clean-ups that one `abandon` hands over all wait for the exits that were detached inside, and all run.
#[tokio::test(start_paused = true)]
async fn several_clean_ups_are_handed_over() {
    let (log, gate) = (Log::new(), Gate::new());
    let hand_over = || {
        for name in ["one", "two", "three"] {
            let log = log.clone();
            detach(name, async move { log.write(name) });
        }
    };
    {
        let mut block = Box::pin(async {
            async_with! { HandsOverWith(hand_over), log.manager("inner").exit_waits_for(&gate) => {
                pending::<()>().await;
            }}
        });
        assert!(futures::poll!(&mut block).is_pending());
    }
    for _ in 0..20 {
        yield_now().await;
    }
    log.write("opened");
    gate.open();
    within_reason(drain()).await;
    assert_eq!(
        log.take(),
        [
            "enter inner",
            "exit inner: dropped",
            "opened",
            "exited inner",
            "one",
            "two",
            "three"
        ]
    );
}

/// CAN-4: a clean-up that `abandon` hands over to another runtime is not waited for by the block around it, also when
/// exits were detached inside before.
#[test]
fn a_clean_up_that_is_handed_over_to_another_runtime_is_not_waited_for() {
    let (log, gate) = (Log::new(), Gate::new());
    let [runtime, other] = runtimes();
    let hand_over = || {
        let (log, gate) = (log.clone(), gate.clone());
        let _other = other.enter();
        detach("elsewhere", async move {
            gate.opened().await;
            log.write("cleaned up");
        });
    };
    runtime.block_on(within_reason(async {
        async_with! { log.manager("outer") => {
            let mut block = Box::pin(async {
                async_with! { HandsOverWith(hand_over) => {
                    let mut inner = Box::pin(async {
                        async_with! { log.manager("inner") => { pending::<()>().await } }
                    });
                    assert!(futures::poll!(&mut inner).is_pending());
                    drop(inner);
                    until(&log, "exit inner: dropped").await;
                    log.write("body");
                    pending::<()>().await;
                }}
            });
            tokio::select! {
                () = &mut block => {}
                () = until(&log, "body") => {}
            }
        }}
    }));
    log.write("opened");
    gate.open();
    other.block_on(within_reason(drain()));
    assert_eq!(
        log.take(),
        [
            "enter outer",
            "enter inner",
            "exit inner: dropped",
            "body",
            "exit outer: completed",
            "opened",
            "cleaned up"
        ]
    );
}

/// CAN-5: `drain` waits for a clean-up that was handed over, from inside of a block and from nowhere.
#[tokio::test]
async fn drain_waits_for_a_handed_over_clean_up() {
    let (log, gate) = (Log::new(), Gate::new());
    let mut block = Box::pin(async {
        async_with! { HandsOver { log: &log, gate: &gate } => { pending::<()>().await } }
    });
    assert!(futures::poll!(&mut block).is_pending());
    drop(block);
    {
        let (log, gate) = (log.clone(), gate.clone());
        detach("from nowhere", async move {
            gate.opened().await;
            log.write("from nowhere");
        });
    }
    {
        let mut drained = pin!(drain());
        for _ in 0..20 {
            assert!(futures::poll!(&mut drained).is_pending());
            yield_now().await;
        }
        gate.open();
        drained.await;
    }
    assert_eq!(
        log.take(),
        [
            "enter scoped",
            "abandon scoped",
            "clean up",
            "cleaned up",
            "from nowhere"
        ]
    );
}

/// PAN-3: a clean-up that was handed over and panics is reported by its name; what comes after it runs.
#[tokio::test]
async fn a_handed_over_clean_up_that_panics_is_reported() {
    let log = Log::new();
    let collected = report::collect(async {
        async_with! { log.manager("outer") => {
            detach("breaks", async {
                pend(1).await;
                std::panic::resume_unwind(Box::new("broken"));
            });
        }}
    });
    let ((), entries) = collected.await;
    assert_eq!(log.take(), ["enter outer", "exit outer: completed"]);
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!(
        (entries[0].manager, entries[0].incident.to_string()),
        ("breaks", "panicked: broken".to_owned())
    );
}

/// CAN-1: blocks that are dropped together by a set of futures all exit, each on its own.
#[tokio::test]
async fn the_blocks_of_a_set_of_futures_all_exit() {
    let log = Log::new();
    {
        let mut set: FuturesUnordered<_> = ["a", "b", "c"]
            .into_iter()
            .map(|name| {
                let log = &log;
                async move {
                    async_with! { log.manager(name).exit_pending(1) => { pending::<()>().await } }
                }
            })
            .collect();
        assert!(futures::poll!(futures::StreamExt::next(&mut set)).is_pending());
    }
    drain().await;
    let mut events = log.take();
    events.sort();
    assert_eq!(
        events,
        [
            "enter a",
            "enter b",
            "enter c",
            "exit a: dropped",
            "exit b: dropped",
            "exit c: dropped",
            "exited a",
            "exited b",
            "exited c"
        ]
    );
}

/// CAN-5, TYP-2: a block that stays open while a million others come and go inside it, ten thousand of them dropped,
/// needs no more memory at any time than at the start.
#[test]
fn a_long_lived_block_does_not_grow() {
    struct Quick;
    impl AsyncContextManager for Quick {
        type Resource = ();
        type Error = Infallible;
        type Exit = ();

        async fn enter(&mut self) -> Result<(), Infallible> {
            Ok(())
        }

        async fn exit(self, (): (), _: Cause) -> Result<(), Infallible> {
            Ok(())
        }
    }
    async fn cycles(count: u32) {
        for number in 1..=count {
            async_with! { Quick => {} }
            if number % 100 == 0 {
                let mut block = Box::pin(async {
                    async_with! { Quick => { pending::<()>().await } }
                });
                assert!(futures::poll!(&mut block).is_pending());
                drop(block);
                yield_now().await;
            }
        }
    }
    /// Runs an open block up to its gate, and measures the rest.
    fn measure(log: &Log, gate: &Gate, outer: impl Future<Output = ()>) {
        let [runtime, _] = runtimes();
        let mut outer = pin!(outer);
        runtime.block_on(async {
            tokio::select! {
                () = &mut outer => unreachable!("it waits for the gate"),
                () = until(log, "warm") => {}
            }
        });
        gate.open();
        let measured = allocation_counter::measure(|| runtime.block_on(outer));
        // One block at a time, and what the runtime keeps for its tasks.
        assert!(measured.bytes_max < 64 * 1024, "{measured:?}");
        assert!(measured.count_max < 100, "{measured:?}");
    }
    let (log, gate) = (Log::new(), Gate::new());
    measure(&log, &gate, async {
        async_with! { Quick => {
            cycles(1_000).await;
            log.write("warm");
            gate.opened().await;
            cycles(1_000_000).await;
        }}
    });
    // Blocks inside of one that may be interrupted are entered in its account.
    let (log, gate) = (Log::new(), Gate::new());
    measure(&log, &gate, async {
        async_with! { move_on_when_cancelled(CancellationToken::new()) => {
            cycles(1_000).await;
            log.write("warm");
            gate.opened().await;
            cycles(100_000).await;
        }}
    });
}
