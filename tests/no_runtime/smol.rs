//! Without the feature `tokio`, on smol: detached exits run where the installed spawner puts them.

// The bodies under test are written to be seen through, not to please.
#![allow(clippy::pedantic)]

use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, Once, PoisonError, mpsc};
use std::time::Duration;

use async_with::{
    Cause, ScopedAsyncContextManager, async_with, detach, drain, pending_exits, report, set_spawner,
};
use async_with_tests::{Gate, Log, short};
use smol::future::{FutureExt, block_on, or, poll_once, yield_now};

/// Installs the spawner. All blocks of the process count together, so the tests run one after the other.
fn alone() -> MutexGuard<'static, ()> {
    static SPAWNER: Once = Once::new();
    static ALONE: Mutex<()> = Mutex::new(());
    SPAWNER.call_once(|| set_spawner(|job| smol::spawn(job).detach()));
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Fails when the future hangs, in place of hanging.
fn within_reason<T>(future: impl Future<Output = T>) -> T {
    let hangs = async {
        smol::Timer::after(Duration::from_secs(10)).await;
        panic!("it hangs");
    };
    block_on(or(future, hangs))
}

async fn until(log: &Log, event: &str) {
    while !log.events().iter().any(|written| written == event) {
        yield_now().await;
    }
}

type Block = Pin<Box<dyn Future<Output = ()> + Send>>;

fn slow_block(log: &Log, name: &'static str, gate: &Gate) -> Block {
    let (log, gate) = (log.clone(), gate.clone());
    Box::pin(async move {
        async_with! { log.manager(name).exit_waits_for(&gate) => {
            log.write("body");
            pending::<()>().await;
        }}
    })
}

/// CAN-1: dropped in the body, by hand, by a lost race, and by the cancellation of a task.
#[test]
fn dropped_in_the_body_the_exit_runs() {
    let _alone = alone();
    for way in ["drop", "race", "task"] {
        let (log, gate) = (Log::new(), Gate::new());
        gate.open();
        let mut block = slow_block(&log, "a", &gate);
        within_reason(async {
            match way {
                "drop" => {
                    assert!(poll_once(&mut block).await.is_none());
                    drop(block);
                }
                "race" => block.or(until(&log, "body")).await,
                _ => {
                    let task = smol::spawn(block);
                    until(&log, "body").await;
                    assert!(task.cancel().await.is_none());
                }
            }
            drain().await;
        });
        assert_eq!(
            log.take(),
            ["enter a", "body", "exit a: dropped", "exited a"],
            "{way}"
        );
    }
}

/// CAN-2: dropped in exit, the same exit goes on.
#[test]
fn dropped_in_exit_the_same_exit_goes_on() {
    let _alone = alone();
    let (log, gate) = (Log::new(), Gate::new());
    let (inside, waits) = (log.clone(), gate.clone());
    within_reason(async {
        let task = smol::spawn(async move {
            async_with! { inside.manager("a").exit_waits_for(&waits) => {} }
        });
        until(&log, "exit a: completed").await;
        assert!(task.cancel().await.is_none());
        assert_eq!(pending_exits().len(), 1);
        gate.open();
        drain().await;
    });
    assert_eq!(log.take(), ["enter a", "exit a: completed", "exited a"]);
    assert_eq!(pending_exits(), []);
}

/// CAN-3: a tree that is dropped at once exits inside first, one after the other.
#[test]
fn a_tree_that_is_dropped_keeps_the_order() {
    async fn leaf(log: &Log) {
        async_with! { log.manager("b").exit_pending(3), log.manager("c").exit_pending(3) => {
            log.write("body");
            pending::<()>().await;
        }}
    }
    async fn tree(log: Log) {
        async_with! { log.manager("a").exit_pending(3) => { leaf(&log).await } }
    }
    let _alone = alone();
    let log = Log::new();
    within_reason(async {
        let task = smol::spawn(tree(log.clone()));
        until(&log, "body").await;
        assert!(task.cancel().await.is_none());
        drain().await;
    });
    assert_eq!(
        log.take()[4..],
        [
            "exit c: dropped",
            "exited c",
            "exit b: dropped",
            "exited b",
            "exit a: dropped",
            "exited a"
        ]
    );
}

/// CAN-4: an inner block that is dropped is awaited by the one that lives on.
#[test]
fn an_inner_block_that_is_dropped_is_awaited_by_the_outer_one() {
    let _alone = alone();
    let (log, gate) = (Log::new(), Gate::new());
    let (seen, open) = (log.clone(), gate.clone());
    within_reason(async {
        let opener = smol::spawn(async move {
            until(&seen, "went on").await;
            until(&seen, "exit inner: dropped").await;
            for _ in 0..20 {
                yield_now().await;
            }
            seen.write("opened");
            open.open();
        });
        async_with! { log.manager("outer") => {
            slow_block(&log, "inner", &gate).or(until(&log, "body")).await;
            log.write("went on");
        }}
        opener.await;
    });
    let mut events = log.take();
    events.retain(|event| event.starts_with("exit") || event == "opened");
    assert_eq!(
        events,
        [
            "exit inner: dropped",
            "opened",
            "exited inner",
            "exit outer: completed"
        ]
    );
}

/// CAN-5: `drain` waits for detached exits and for open blocks, but for those around it.
#[test]
fn drain_waits_for_what_is_owed() {
    let _alone = alone();
    let log = Log::new();
    let (dropped, open) = (Gate::new(), Gate::new());
    within_reason(async {
        let mut block = slow_block(&log, "dropped", &dropped);
        assert!(poll_once(&mut block).await.is_none());
        drop(block);
        let (inside, waits) = (log.clone(), open.clone());
        let task = smol::spawn(async move {
            async_with! { inside.manager("open") => {
                inside.write("opened");
                waits.opened().await;
            }}
        });
        until(&log, "opened").await;
        async_with! { log.manager("around") => {
            let mut listed = pending_exits();
            listed.retain(|exit| exit.detached);
            assert_eq!(listed.len(), 1);
            let mut drained = Box::pin(drain());
            for gate in [&dropped, &open] {
                for _ in 0..20 {
                    assert!(poll_once(&mut drained).await.is_none());
                    yield_now().await;
                }
                gate.open();
            }
            drained.await;
        }}
        task.await;
    });
    assert_eq!(
        log.take().last().map(String::as_str),
        Some("exit around: completed")
    );
}

/// CAN-3, CAN-4: what an `abandon` hands over runs in order.
#[test]
fn a_handed_over_clean_up_keeps_the_order() {
    struct HandsOver<'a>(&'a Log);
    impl ScopedAsyncContextManager for HandsOver<'_> {
        type Resource = ();
        type Error = Infallible;
        type Exit = ();

        async fn enter(&mut self) -> Result<(), Infallible> {
            Ok(())
        }

        async fn exit(self, (): (), cause: Cause) -> Result<(), Infallible> {
            self.0.write(format!("exit: {}", short(cause)));
            Ok(())
        }

        fn abandon(self, (): ()) {
            let log = self.0.clone();
            detach("handed over", async move {
                yield_now().await;
                log.write("cleaned up");
            });
        }
    }
    let _alone = alone();
    let log = Log::new();
    within_reason(async {
        async_with! { log.manager("outer") => {
            let mut block = Box::pin(async {
                async_with! { HandsOver(&log), log.manager("inner").exit_pending(2) => { pending::<()>().await } }
            });
            assert!(poll_once(&mut block).await.is_none());
            drop(block);
        }}
    });
    assert_eq!(
        log.take()[2..],
        [
            "exit inner: dropped",
            "exited inner",
            "cleaned up",
            "exit outer: completed"
        ]
    );
}

/// CAN-1, ERR-5: a block may be dropped on any thread; what its exit fails with is reported to its collector.
#[test]
fn a_block_may_be_dropped_on_any_thread() {
    let _alone = alone();
    let log = Log::new();
    let inside = log.clone();
    let mut block: Block = Box::pin(async move {
        let block = async {
            async_with! { inside.manager("a").exit_pending(1), inside.fallible("b").exit_fails() => {
                pending::<()>().await;
            }}
            Ok::<_, async_with_tests::Boom>(())
        };
        let _ = block.await;
    });
    assert!(block_on(poll_once(&mut block)).is_none());
    let thread = std::thread::spawn(move || {
        within_reason(report::collect(async move {
            drop(block);
            drain().await;
        }))
    });
    let ((), entries) = thread.join().expect("it does not panic");
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!(entries[0].incident.to_string(), "failed: Boom(\"b\")");
    assert_eq!(
        log.take()[2..],
        ["exit b: dropped", "exit a: dropped", "exited a"]
    );
}

/// CAN-1: a spawner may run the exit at once, and install another spawner. It was called under a lock.
#[test]
fn a_spawner_may_do_anything() {
    let _alone = alone();
    let (log, gate) = (Log::new(), Gate::new());
    gate.open();
    let (ends, ended) = mpsc::channel();
    let (inside, opened) = (log.clone(), gate.clone());
    std::thread::spawn(move || {
        set_spawner(|exit| {
            set_spawner(|job| smol::spawn(job).detach());
            block_on(exit);
        });
        let mut block = slow_block(&inside, "a", &opened);
        assert!(block_on(poll_once(&mut block)).is_none());
        drop(block);
        ends.send(inside.take()).expect("somebody waits");
    });
    let events = ended.recv_timeout(Duration::from_secs(60));
    assert_eq!(
        events.expect("it does not hang"),
        ["enter a", "body", "exit a: dropped", "exited a"]
    );
}
