//! `task_group`: tasks that end before their block does.

use std::future::pending;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::time::Duration;

use async_with::report::{self, Entry, Incident, Phase};
use async_with::{
    Elapsed, async_with, drain, join, move_on_when_cancelled, pending_exits, task_group, timeout,
    try_task_group,
};
use async_with_tests::{Boom, Gate, Log, pend};
use futures::FutureExt;
use tokio::task::yield_now;
use tokio_util::sync::CancellationToken;

use crate::runtimes::{on_each_runtime, until, within_reason};

/// Opens a block, and stays in it.
async fn stay(log: Log, name: &'static str) {
    async_with! { log.manager(name).exit_pending(2) => { pending::<()>().await } }
}

fn incidents(entries: &[Entry]) -> Vec<String> {
    let line = |entry: &Entry| match &entry.incident {
        Incident::Error { debug, .. } => format!("{}: {debug}", entry.phase),
        incident => format!("{}: {incident}", entry.phase),
    };
    entries.iter().map(line).collect()
}

/// ORD-2: the tasks end before the exits further out start, when the body completes.
#[test]
fn a_block_waits_for_its_tasks() {
    on_each_runtime(|| async {
        let (log, gate) = (Log::new(), Gate::new());
        async_with! { log.manager("outer"), task_group() as group => {
            for _ in 0..3 {
                let (log, gate) = (log.clone(), gate.clone());
                group.spawn(async move {
                    gate.opened().await;
                    pend(3).await;
                    log.write("task");
                });
            }
            log.write("body");
            gate.open();
        }}
        let expected = [
            "enter outer",
            "body",
            "task",
            "task",
            "task",
            "exit outer: completed",
        ];
        assert_eq!(log.take(), expected);
    });
}

/// ERR-2, CAN-6: when the body fails, the tasks are cancelled; their blocks exit in place, told so, before the error is
/// raised.
#[test]
fn a_body_that_fails_cancels_the_tasks() {
    on_each_runtime(|| async {
        async fn block(log: &Log) -> Result<(), Boom> {
            async_with! { log.manager("outer"), task_group() as group => {
                group.spawn(stay(log.clone(), "task"));
                until(log, "enter task").await;
                Err(Boom("body"))
            }}
        }
        let log = Log::new();
        assert_eq!(block(&log).await, Err(Boom("body")));
        let expected = [
            "enter outer",
            "enter task",
            "exit task: cancelled",
            "exited task",
            "inspect outer: Boom(\"body\")",
            "exit outer: failed Boom",
        ];
        assert_eq!(log.take(), expected);
    });
}

/// CAN-6: when a task fails, the other tasks are cancelled and the body is interrupted; the error is raised.
#[test]
fn a_task_that_fails_interrupts_the_body() {
    on_each_runtime(|| async {
        async fn block(log: &Log) -> Result<(), Boom> {
            async_with! { try_task_group() as group, log.scoped("inner") => {
                group.spawn(stay(log.clone(), "task"));
                until(log, "enter task").await;
                group.spawn(async { Err(Boom("task")) });
                pending::<()>().await;
            }}
            Ok(())
        }
        let log = Log::new();
        let (result, entries) = report::collect(block(&log)).await;
        assert_eq!(result, Err(Boom("task")));
        assert_eq!(entries, []);
        let mut events = log.take();
        assert_eq!(events[..2], ["enter inner", "enter task"]);
        events[2..].sort_unstable();
        let ended = [
            "exit inner: cancelled",
            "exit task: cancelled",
            "exited task",
        ];
        assert_eq!(events[2..], ended);
    });
}

/// ERR-3, ERR-5: of several tasks that fail, the first is raised, the others are reported: none is lost.
#[tokio::test]
async fn of_several_failures_the_first_is_raised() {
    async fn block(body_fails: bool, body_waits: bool) -> Result<(), Boom> {
        async_with! { try_task_group() as group => {
            for name in ["a", "b", "c"] {
                group.spawn(async move { Err(Boom(name)) });
            }
            if body_waits {
                pending::<()>().await;
            }
            if body_fails {
                yield_now().await;
                return Err(Boom("body"));
            }
        }}
        Ok(())
    }
    for (body_fails, body_waits) in [(false, false), (false, true), (true, false)] {
        let (result, entries) = report::collect(block(body_fails, body_waits)).await;
        let mut errors = incidents(&entries);
        let raised = result.unwrap_err();
        assert_eq!(raised == Boom("body"), body_fails);
        errors.push(format!("exit: {raised:?}"));
        let mut expected = vec![
            "exit: Boom(\"a\")",
            "exit: Boom(\"b\")",
            "exit: Boom(\"c\")",
        ];
        if body_fails {
            expected.push("exit: Boom(\"body\")");
        } else {
            assert_eq!(raised, Boom("a"));
        }
        errors.sort_unstable();
        expected.sort_unstable();
        assert_eq!(errors, expected);
        assert!(
            entries
                .iter()
                .all(|entry| entry.manager.contains("TaskGroup"))
        );
    }
}

/// ERR-4, PAN-1, PAN-2: a panic of a task is resumed with its payload, when everything has ended; errors are reported.
#[test]
fn a_panic_of_a_task_is_resumed() {
    on_each_runtime(|| async {
        for body_waits in [false, true] {
            let log = Log::new();
            let block = async {
                async_with! { log.manager("outer"), try_task_group::<Boom>() as group => {
                    group.spawn(stay(log.clone(), "task"));
                    until(&log, "enter task").await;
                    group.spawn(async { resume_unwind(Box::new("panic")) });
                    if body_waits {
                        pending::<()>().await;
                    }
                }}
                Ok::<_, Boom>(())
            };
            let payload = AssertUnwindSafe(block).catch_unwind().await.unwrap_err();
            assert_eq!(payload.downcast_ref(), Some(&"panic"));
            let expected = [
                "enter outer",
                "enter task",
                "exit task: cancelled",
                "exited task",
                "exit outer: panicked",
            ];
            assert_eq!(log.take(), expected);
        }
    });
}

/// PAN-2: of an error and two panics, the first panic is raised.
#[tokio::test]
async fn a_panic_is_raised_in_place_of_an_error() {
    let block = async {
        async_with! { try_task_group() as group => {
            group.spawn(async { Err(Boom("error")) });
            group.spawn(async { resume_unwind(Box::new("first")) });
            group.spawn(async { resume_unwind(Box::new("second")) });
        }}
        Ok::<_, Boom>(())
    };
    let (result, entries) = report::collect(AssertUnwindSafe(block).catch_unwind()).await;
    assert_eq!(result.unwrap_err().downcast_ref(), Some(&"first"));
    assert_eq!(
        incidents(&entries),
        ["exit: Boom(\"error\")", "exit: panicked: second"]
    );
}

/// CAN-1, CAN-4, EXI-1: dropped after any number of polls, no block of a task outlives the block around the group.
#[test]
fn dropped_anywhere_no_task_is_left() {
    on_each_runtime(|| async {
        // In the end, until it is ready.
        for polls in (0..20).chain([usize::MAX]) {
            let log = Log::new();
            let mut block = Box::pin(async {
                async_with! { log.manager("outer"), task_group() as group => {
                    for name in ["a", "b"] {
                        let log = log.clone();
                        group.spawn(async move {
                            async_with! { log.manager(name).pending(2) => { pend(4).await } }
                        });
                    }
                    pend(2).await;
                    log.write("body");
                }}
            });
            for _ in 0..polls {
                if futures::poll!(&mut block).is_ready() {
                    break;
                }
                yield_now().await;
            }
            drop(block);
            drain().await;
            let events = log.take();
            let count = |name: &str, event: &str| {
                let event = format!("{event} {name}");
                let of = |written: &&String| written.split(':').next() == Some(&event);
                events.iter().filter(of).count()
            };
            for name in ["a", "b", "outer"] {
                assert_eq!(count(name, "enter"), count(name, "exit"), "{events:?}");
            }
            for name in ["a", "b"] {
                assert_eq!(count(name, "exit"), count(name, "exited"), "{events:?}");
            }
            let last = events.last().map_or("", String::as_str);
            assert!(polls == 0 || last.starts_with("exit outer"), "{events:?}");
        }
    });
}

/// CAN-1, CAN-4: dropped while it waits for its tasks, the block cancels them.
#[test]
fn dropped_while_it_waits_the_tasks_are_cancelled() {
    on_each_runtime(|| async {
        let log = Log::new();
        let inside = log.clone();
        let owner = tokio::spawn(async move {
            async_with! { inside.manager("outer"), task_group() as group => {
                group.spawn(stay(inside.clone(), "task"));
            }}
        });
        until(&log, "enter task").await;
        yield_now().await;
        owner.abort();
        assert!(owner.await.unwrap_err().is_cancelled());
        drain().await;
        let expected = [
            "enter outer",
            "enter task",
            "exit task: cancelled",
            "exited task",
            "exit outer: dropped",
        ];
        assert_eq!(log.take(), expected);
    });
}

/// CAN-6: interrupted from further out, in the body or while it waits for its tasks, the block cancels them, and they end
/// before the interruption is raised. So it is for a group that is joined with something else.
#[tokio::test(start_paused = true)]
async fn an_interruption_from_outside_cancels_the_tasks() {
    async fn block(log: &Log, body_waits: bool, joined: bool) -> Result<(), Elapsed> {
        async_with! { timeout(Duration::from_secs(1)) => {
            if joined {
                async_with! { join((task_group(), log.manager("other"))) as (group, _) => {
                    group.spawn(stay(log.clone(), "task"));
                }}
            } else {
                async_with! { task_group() as group => {
                    group.spawn(stay(log.clone(), "task"));
                    if body_waits {
                        pending::<()>().await;
                    }
                }}
            }
        }}
        Ok(())
    }
    for (body_waits, joined) in [(false, false), (true, false), (false, true)] {
        let log = Log::new();
        let (result, entries) = report::collect(block(&log, body_waits, joined)).await;
        assert!(result.is_err());
        assert_eq!(entries, []);
        let mut events = log.take();
        events.retain(|event| !event.contains("other"));
        assert_eq!(
            events,
            ["enter task", "exit task: cancelled", "exited task"]
        );
        assert!(pending_exits().is_empty());
    }
}

/// EXI-7: a group inside an exit is not taken for the exit's own: cancellation of the block around does not reach it.
#[tokio::test]
async fn a_group_inside_an_exit_is_not_cancelled() {
    use async_with::{AsyncContextManager, Cause};
    use std::convert::Infallible;

    struct Gathers(Log);
    impl AsyncContextManager for Gathers {
        type Resource = ();
        type Error = Infallible;
        type Exit = ();

        async fn enter(&mut self) -> Result<(), Infallible> {
            Ok(())
        }

        async fn exit(self, (): (), _: Cause) -> Result<(), Infallible> {
            async_with! { task_group() as group => {
                let log = self.0.clone();
                group.spawn(async move {
                    pend(5).await;
                    log.write("gathered");
                });
            }}
            Ok(())
        }
    }
    let log = Log::new();
    let mut block = Box::pin(async {
        async_with! { Gathers(log.clone()) => { pending::<()>().await } }
    });
    assert!(futures::poll!(&mut block).is_pending());
    drop(block);
    drain().await;
    assert_eq!(log.take(), ["gathered"]);
}

/// CAN-4: what is detached inside a task is waited for: by a block of the task's, or else by the group.
#[tokio::test]
async fn detached_exits_of_tasks_are_waited_for() {
    let (log, gate) = (Log::new(), Gate::new());
    async_with! { log.manager("outer"), task_group() as group => {
        let (inside, waits) = (log.clone(), gate.clone());
        group.spawn(async move {
            let mut dropped = Box::pin(async {
                async_with! { inside.manager("a").exit_waits_for(&waits) => { pending::<()>().await } }
            });
            assert!(futures::poll!(&mut dropped).is_pending());
            drop(dropped);
            inside.write("task ends");
        });
        until(&log, "task ends").await;
        let (log, gate) = (log.clone(), gate.clone());
        tokio::spawn(async move {
            until(&log, "exit a: dropped").await;
            pend(9).await;
            gate.open();
        });
    }}
    let expected = [
        "enter outer",
        "enter a",
        "task ends",
        "exit a: dropped",
        "exited a",
        "exit outer: completed",
    ];
    assert_eq!(log.take(), expected);
}

/// ERR-5: what a task reports is collected where the group is.
#[tokio::test]
async fn reports_of_tasks_are_collected() {
    let log = Log::new();
    let block = async {
        async_with! { task_group() as group => {
            let log = log.clone();
            group.spawn(async move {
                let failing = async {
                    async_with! { log.fallible("a").exit_fails() => { Err(Boom("body")) } }
                };
                assert_eq!(failing.await, Err::<(), _>(Boom("body")));
            });
        }}
    };
    let ((), entries) = report::collect(block).await;
    assert_eq!(incidents(&entries), ["exit: Boom(\"a\")"]);
    assert_eq!(entries[0].phase, Phase::Exit);
}

/// A group can be cancelled without a failure; that reaches tasks that are started later.
#[tokio::test]
async fn a_group_can_be_cancelled() {
    let log = Log::new();
    let went_on = within_reason(async {
        async_with! { task_group() as group => {
            group.spawn(stay(log.clone(), "a"));
            until(&log, "enter a").await;
            group.cancel();
            until(&log, "exited a").await;
            group.spawn(async { loop { yield_now().await } });
            true
        }}
    });
    assert!(went_on.await);
    assert_eq!(log.take(), ["enter a", "exit a: cancelled", "exited a"]);
}

/// CAN-6: a task that is started after the group was empty interrupts the body as well.
#[tokio::test]
async fn a_group_that_was_empty_is_watched_again() {
    async fn block() -> Result<(), Boom> {
        async_with! { try_task_group() as group => {
            yield_now().await;
            group.spawn(async {});
            for _ in 0..5 {
                yield_now().await;
            }
            group.spawn(async { Err(Boom("late")) });
            pending::<()>().await;
        }}
        Ok(())
    }
    assert_eq!(within_reason(block()).await, Err(Boom("late")));
}

/// ERR-5: the error of a task is not lost when the block ends in another way before it can be raised: interrupted from
/// further out in the same moment, dropped while the blocks inside or its own tasks exit, or completed by a part of
/// the body that was not waiting in a block.
#[tokio::test]
async fn the_error_of_a_task_is_never_lost() {
    /// The gates are those of the block inside, and of a task.
    #[derive(Default)]
    struct Scene {
        log: Log,
        inner: Gate,
        task: Gate,
        token: CancellationToken,
    }
    async fn block(scene: &Scene, fails_both: bool) -> Result<(), Boom> {
        let Scene {
            log,
            inner,
            task,
            token,
        } = scene;
        async_with! { move_on_when_cancelled(token.clone()), try_task_group() as group => {
            let (inside, waits) = (log.clone(), task.clone());
            group.spawn(async move {
                async_with! { inside.manager("task").exit_waits_for(&waits) => { pending::<()>().await } }
            });
            until(log, "enter task").await;
            let token = token.clone();
            group.spawn(async move {
                if fails_both {
                    token.cancel();
                }
                Err(Boom("task"))
            });
            let inside = async {
                async_with! { log.manager("inner").exit_waits_for(inner) => { pending::<()>().await } }
            };
            tokio::select! {
                () = inside => {}
                () = until(log, "complete") => {}
            }
        }}
        Ok(())
    }
    let lost = |entries: &[Entry]| {
        assert!(entries.iter().all(|entry| entry.phase == Phase::Interrupt));
        incidents(entries)
    };
    let scene = Scene::default();
    scene.inner.open();
    scene.task.open();
    let (result, entries) = report::collect(block(&scene, true)).await;
    assert_eq!(result, Ok(()));
    assert_eq!(lost(&entries), ["interrupt: Boom(\"task\")"]);

    // The body completes while a block inside, which was told of the interruption, exits: too late.
    let scene = Scene::default();
    scene.task.open();
    let completes = async {
        until(&scene.log, "exit inner: cancelled").await;
        scene.log.write("complete");
        scene.inner.open();
    };
    let both = futures::future::join(block(&scene, false), completes);
    let ((result, ()), entries) = report::collect(both).await;
    assert_eq!(result, Err(Boom("task")));
    assert!(entries.is_empty(), "{entries:?}");

    // Dropped while the block inside exits.
    let scene = Scene::default();
    let dropped = async {
        let mut block = Box::pin(block(&scene, false));
        while !scene
            .log
            .events()
            .contains(&"exit inner: cancelled".to_owned())
        {
            assert!(futures::poll!(&mut block).is_pending());
            yield_now().await;
        }
        drop(block);
        scene.inner.open();
        scene.task.open();
        drain().await;
    };
    let ((), entries) = report::collect(dropped).await;
    assert_eq!(lost(&entries), ["interrupt: Boom(\"task\")"]);

    // Dropped while its own exit waits for the other task.
    let scene = Scene::default();
    scene.inner.open();
    let dropped = async {
        let mut block = Box::pin(block(&scene, false));
        for _ in 0..50 {
            assert!(futures::poll!(&mut block).is_pending());
            yield_now().await;
        }
        drop(block);
        scene.task.open();
        drain().await;
    };
    let ((), entries) = report::collect(dropped).await;
    assert_eq!(lost(&entries), ["interrupt: Boom(\"task\")"]);
}
