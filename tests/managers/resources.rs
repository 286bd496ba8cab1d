//! Ready-made managers of single resources: locks, transactions, what is released early, what is tried again.

use std::future::pending;
use std::panic::{AssertUnwindSafe, panic_any};
use std::sync::Arc;
use std::time::Duration;

use async_with::report::{self, Phase};
use async_with::{
    Backoff, Cause, ScopedAsyncContextManager, TransactionControl, drain, join, pending_exits,
    permits, prelude::*, reading, releasable, retry, transaction, writing,
};
use async_with_tests::{Boom, Gate, Log, Logged, Resource, Scoped, pend};
use futures::FutureExt;
use tokio::sync::{AcquireError, Mutex, RwLock, Semaphore};
use tokio::time::Instant;

use crate::runtimes::on_each_runtime;

/// A lock is a manager, as in Python: it is held in the body, and free afterwards.
#[tokio::test]
async fn a_lock_is_held_in_the_body() {
    let mutex = Mutex::new(1);
    let shared = Arc::new(Mutex::new(1));
    let lock = RwLock::new(1);
    let shared_lock = Arc::new(RwLock::new(1));
    async_with! { &mutex as n, shared.clone() as m => {
        **n += 1;
        **m += **n;
        assert!(mutex.try_lock().is_err());
        assert!(shared.try_lock().is_err());
    }}
    assert_eq!((*mutex.lock().await, *shared.lock().await), (2, 3));
    async_with! { writing(&lock) as n, writing(shared_lock.clone()) as m => {
        **n += 1;
        **m += **n;
        assert!(lock.try_read().is_err());
        assert!(shared_lock.try_read().is_err());
    }}
    async_with! { reading(&lock) as n, reading(&lock), reading(shared_lock.clone()) as m, reading(&*shared_lock) => {
        assert_eq!((**n, **m), (2, 3));
        assert!(lock.try_write().is_err());
        assert!(shared_lock.try_write().is_err());
    }}
    assert!(lock.try_write().is_ok());
    assert!(shared_lock.try_write().is_ok());
}

/// So is a semaphore, for one permit or several; a closed one is an error.
#[tokio::test]
async fn a_semaphore_lends_permits() {
    async fn available(semaphore: &Arc<Semaphore>) -> Result<usize, AcquireError> {
        async_with! { &**semaphore, semaphore.clone(), permits(2, &**semaphore) as both, permits(3, semaphore.clone()) => {
            assert_eq!(both.num_permits(), 2);
            Ok(semaphore.available_permits())
        }}
    }
    let semaphore = Arc::new(Semaphore::new(9));
    assert_eq!(available(&semaphore).await.unwrap(), 2);
    assert_eq!(semaphore.available_permits(), 9);
    semaphore.close();
    assert!(available(&semaphore).await.is_err());
}

/// ORD-5, TYP-1: a lock of something that is neither `Send` nor `'static` can be used too.
#[tokio::test]
async fn a_lock_may_borrow() {
    let text = std::rc::Rc::new(String::from("text"));
    let mutex = Mutex::new(vec![text.as_str()]);
    async_with! { &mutex as list => { list.push("more") } }
    assert_eq!(mutex.into_inner(), ["text", "more"]);
}

/// CAN-1, CAN-3: when the block is dropped, a borrowed lock is free at once, a shared one after the exits further in.
#[test]
fn a_dropped_block_releases_its_locks() {
    on_each_runtime(|| async {
        let (log, gate) = (Log::new(), Gate::new());
        let (mutex, shared) = (Mutex::new(()), Arc::new(Mutex::new(())));
        let semaphore = Arc::new(Semaphore::new(1));
        let mut block = Box::pin(async {
            let inner = log.manager("inner").exit_waits_for(&gate);
            async_with! { &mutex, shared.clone(), semaphore.clone(), inner => { pending::<()>().await } }
            Ok::<_, AcquireError>(())
        });
        assert!(futures::poll!(&mut block).is_pending());
        drop(block);
        assert!(mutex.try_lock().is_ok());
        pend(3).await;
        assert!(shared.try_lock().is_err());
        assert_eq!(semaphore.available_permits(), 0);
        gate.open();
        drain().await;
        assert!(shared.try_lock().is_ok());
        assert_eq!(semaphore.available_permits(), 1);
    });
}

/// CAN-7: dropped while it waits for a lock, nothing is held.
#[tokio::test]
async fn waiting_for_a_lock_can_be_dropped() {
    let shared = Arc::new(Mutex::new(()));
    let held = shared.lock().await;
    let mut block = Box::pin(async {
        async_with! { join((shared.clone(), shared.clone())) => {} }
    });
    assert!(futures::poll!(&mut block).is_pending());
    drop(held);
    assert!(futures::poll!(&mut block).is_pending());
    assert!(shared.try_lock().is_err());
    drop(block);
    drain().await;
    assert!(shared.try_lock().is_ok());
}

/// Writes down the steps of a transaction.
struct Connection {
    log: Log,
    pends: usize,
    fails: &'static [&'static str],
}

impl Connection {
    fn new(log: &Log) -> Self {
        Self {
            log: log.clone(),
            pends: 0,
            fails: &[],
        }
    }

    async fn step(&mut self, name: &'static str) -> Result<(), Boom> {
        self.log.write(name);
        pend(self.pends).await;
        self.log.write(format!("{name} done"));
        if self.fails.contains(&name) {
            return Err(Boom(name));
        }
        Ok(())
    }
}

impl TransactionControl for Connection {
    type Error = Boom;

    async fn begin(&mut self) -> Result<(), Boom> {
        self.step("begin").await
    }

    async fn commit(&mut self) -> Result<(), Boom> {
        self.step("commit").await
    }

    async fn rollback(&mut self) -> Result<(), Boom> {
        self.step("rollback").await
    }

    fn abandon(&mut self) {
        self.log.write("abandon");
    }
}

#[derive(Clone, Copy)]
enum Body {
    Completes,
    Fails,
    SetsRollbackOnly,
}

impl Body {
    fn run(self, set_rollback_only: impl FnOnce()) -> Result<(), Boom> {
        match self {
            Body::Completes => {}
            Body::Fails => return Err(Boom("body")),
            Body::SetsRollbackOnly => set_rollback_only(),
        }
        Ok(())
    }
}

async fn owned(connection: Connection, body: Body) -> Result<(), Boom> {
    async_with! { transaction(connection) as tx => {
        tx.log.write("body");
        assert!(!tx.is_rollback_only());
        body.run(|| {
            tx.set_rollback_only();
            assert!(tx.is_rollback_only());
        })
    }}
}

async fn borrowed(connection: &mut Connection, body: Body) -> Result<(), Boom> {
    async_with! { transaction(connection) as tx => {
        tx.log.write("body");
        assert!(!tx.is_rollback_only());
        body.run(|| {
            tx.set_rollback_only();
            assert!(tx.is_rollback_only());
        })
    }}
}

/// EXI-4: a transaction is committed when the body completed, and rolled back when it failed, or when it was told to.
#[tokio::test]
async fn a_transaction_is_committed_or_rolled_back() {
    for (body, end) in [
        (Body::Completes, "commit"),
        (Body::Fails, "rollback"),
        (Body::SetsRollbackOnly, "rollback"),
    ] {
        let log = Log::new();
        let expected = if let Body::Fails = body {
            Err(Boom("body"))
        } else {
            Ok(())
        };
        assert_eq!(owned(Connection::new(&log), body).await, expected);
        let done = format!("{end} done");
        let steps = ["begin", "begin done", "body", end, &done];
        assert_eq!(log.take(), steps);
        let mut connection = Connection::new(&log);
        assert_eq!(borrowed(&mut connection, body).await, expected);
        assert_eq!(log.take(), steps);
    }
}

/// EXI-1, FLO-6, ERR-5: where begin fails, nothing is owed; where commit fails, it is rolled back, and raised; where that
/// fails too, it is reported.
#[tokio::test]
async fn a_failed_commit_is_rolled_back() {
    let log = Log::new();
    let failing = |fails| Connection {
        fails,
        ..Connection::new(&log)
    };
    let result = owned(failing(&["begin"]), Body::Completes).await;
    assert_eq!(result, Err(Boom("begin")));
    assert_eq!(log.take(), ["begin", "begin done"]);
    let block = owned(failing(&["commit", "rollback"]), Body::Completes);
    let (result, entries) = report::collect(block).await;
    assert_eq!(result, Err(Boom("commit")));
    assert_eq!(
        log.take()[3..],
        [
            "commit",
            "commit done",
            "rollback",
            "rollback done",
            "abandon"
        ]
    );
    assert_eq!(entries.len(), 1);
    assert!(
        entries[0]
            .to_string()
            .contains("failed: Boom(\"rollback\")")
    );
    assert!(entries[0].manager.contains("Transaction"));
    assert_eq!(entries[0].phase, Phase::Exit);
}

/// EXI-1, ERR-3: a connection whose rollback failed is marked, because the transaction may still be open.
#[tokio::test]
async fn a_failed_rollback_marks_the_connection() {
    for body in [Body::Fails, Body::SetsRollbackOnly] {
        let log = Log::new();
        let mut connection = Connection {
            fails: &["rollback"],
            ..Connection::new(&log)
        };
        let (result, entries) = report::collect(borrowed(&mut connection, body)).await;
        assert_eq!(log.take()[3..], ["rollback", "rollback done", "abandon"]);
        match body {
            Body::Fails => assert_eq!((result, entries.len()), (Err(Boom("body")), 1)),
            _ => assert_eq!((result, entries.len()), (Err(Boom("rollback")), 0)),
        }
    }
}

/// CAN-1, CAN-2, CAN-7: dropped after any number of polls, the transaction of an owned connection is ended; a borrowed
/// connection is told.
#[test]
fn a_dropped_transaction_is_ended_or_abandoned() {
    on_each_runtime(|| async {
        for polls in 0..8 {
            let log = Log::new();
            let slow = || Connection {
                pends: 2,
                ..Connection::new(&log)
            };
            let mut connection = slow();
            let mut run = async |owns: bool| {
                let mut block = Box::pin(async {
                    if owns {
                        async_with! { transaction(slow()) as tx => { tx.log.write("body"); pend(2).await } }
                    } else {
                        async_with! { transaction(&mut connection) as tx => { tx.log.write("body"); pend(2).await } }
                    }
                    Ok::<_, Boom>(())
                });
                let mut ended = false;
                for _ in 0..polls {
                    ended = ended || futures::poll!(&mut block).is_ready();
                }
                drop(block);
                drain().await;
                (log.take(), ended)
            };
            let (events, ended) = run(true).await;
            let last = match polls {
                0 => None,
                // Dropped in the middle of it, whether it has begun is not known: the connection is gone with it.
                1 | 2 => Some("abandon"),
                3 | 4 => Some("rollback done"),
                _ => Some("commit done"),
            };
            assert_eq!(
                events.last().map(String::as_str),
                last,
                "{polls} {events:?}"
            );
            assert_eq!(ended, polls > 6);
            let (events, ended) = run(false).await;
            let last = match polls {
                0 => None,
                1..=6 => Some("abandon"),
                _ => Some("commit done"),
            };
            assert_eq!(
                events.last().map(String::as_str),
                last,
                "{polls} {events:?}"
            );
            assert_eq!(ended, polls > 6);
        }
    });
}

/// EXI-1: what is released early is exited then, told what it was told, and not again; what is taken out is not exited.
#[tokio::test]
async fn a_resource_can_be_given_up_early() {
    let log = Log::new();
    async_with! { releasable(log.manager("a")) as a => {
        a.note();
        assert!(a.get().is_some());
        let Ok(()) = a.release(Cause::Completed).await;
        assert!(a.get_mut().is_none());
        let Ok(()) = a.release(Cause::Cancelled).await;
        assert!(a.take().is_none());
        log.write("after");
    }}
    assert_eq!(
        log.take(),
        ["enter a", "use a", "exit a: completed", "after"]
    );
    async_with! { releasable(log.manager("a")) as a => {
        let taken = a.take();
        assert!(taken.is_some_and(|taken| taken.name == "a"));
    }}
    assert_eq!(log.take(), ["enter a"]);
    async_with! { releasable(log.manager("a")) as a => { a.note() } }
    assert_eq!(log.take(), ["enter a", "use a", "exit a: completed"]);
}

/// EXI-7, SUP-1: a manager whose resource is held still sees the error and decides; otherwise it does not.
#[tokio::test]
async fn only_who_holds_still_sees_a_failure() {
    async fn block(log: &Log, releases: bool) -> Result<&'static str, Boom> {
        let went_on = async_with! { releasable(log.suppressing("a")) as a => {
            if releases {
                let Ok(()) = a.release(Cause::Completed).await;
            }
            Err(Boom("body"))?;
            "completed"
        } else {
            "suppressed"
        }};
        Ok(went_on)
    }
    let log = Log::new();
    assert_eq!(block(&log, false).await, Ok("suppressed"));
    let events = [
        "enter a",
        "inspect a: Boom(\"body\")",
        "exit a: failed Boom",
    ];
    assert_eq!(log.take(), events);
    assert_eq!(block(&log, true).await, Err(Boom("body")));
    assert_eq!(log.take(), ["enter a", "exit a: completed"]);
}

/// ERR-1: an exit that fails when it is released fails there.
#[tokio::test]
async fn a_release_can_fail() {
    async fn block(log: &Log) -> Result<(), Boom> {
        async_with! { releasable(log.fallible("a").exit_fails()) as a => {
            assert_eq!(a.release(Cause::Completed).await, Err(Boom("a")));
        }}
        Ok(())
    }
    let log = Log::new();
    assert_eq!(block(&log).await, Ok(()));
    assert_eq!(log.take(), ["enter a", "exit a: completed"]);
}

/// CAN-6: the interruption of a manager whose resource was given up does not reach the body any more.
#[tokio::test(start_paused = true)]
async fn a_released_manager_does_not_interrupt() {
    async fn block(releases: bool) -> Result<(), async_with::Elapsed> {
        async_with! { releasable(async_with::timeout(Duration::from_secs(1))) as deadline => {
            if releases {
                deadline.release(Cause::Completed).await?;
            }
            tokio::time::sleep(Duration::from_secs(2)).await;
        }}
        Ok(())
    }
    assert!(block(true).await.is_ok());
    assert!(block(false).await.is_err());
}

/// CAN-1, CAN-2: dropped after any number of polls, the exit runs once, and to its end.
#[test]
fn dropped_anywhere_a_releasable_is_exited_once() {
    on_each_runtime(|| async {
        for polls in 1..9 {
            let log = Log::new();
            let mut block = Box::pin(async {
                async_with! { log.manager("outer"), releasable(log.manager("a").pending(2)) as a => {
                    pend(1).await;
                    let Ok(()) = a.release(Cause::Completed).await;
                    pend(1).await;
                }}
            });
            for _ in 0..polls {
                if futures::poll!(&mut block).is_ready() {
                    break;
                }
            }
            drop(block);
            drain().await;
            let (cause, last) = match polls {
                1 | 2 => (None, "dropped"),
                3 => (Some("dropped"), "dropped"),
                4..=6 => (Some("completed"), "dropped"),
                _ => (Some("completed"), "completed"),
            };
            let mut expected = vec!["enter outer".to_owned()];
            if let Some(cause) = cause {
                let of_a = ["enter a", &format!("exit a: {cause}"), "exited a"].map(str::to_owned);
                expected.extend(of_a);
            }
            expected.push(format!("exit outer: {last}"));
            assert_eq!(log.take(), expected, "{polls}");
        }
    });
}

/// Makes a manager whose enter fails the first few times.
fn flaky(log: &Log, failures: u32) -> impl FnMut() -> Logged<Boom> + Send + use<> {
    let log = log.clone();
    let mut made = 0;
    move || {
        made += 1;
        let manager = log.fallible("a");
        if made <= failures {
            manager.enter_fails()
        } else {
            manager
        }
    }
}

/// EXI-1: an enter that fails is tried again, after delays that grow up to a longest one; what was entered is exited, and
/// is shown the error of the body.
#[tokio::test(start_paused = true)]
async fn an_enter_is_tried_again() {
    async fn block(log: &Log, failures: u32, good: bool) -> Result<u64, Boom> {
        let backoff = Backoff::attempts(5)
            .initial_delay(Duration::from_secs(1))
            .factor(3)
            .max_delay(Duration::from_secs(5));
        async_with! { retry(backoff, flaky(log, failures)) as a => { a.check(good) } }
    }
    let log = Log::new();
    for (failures, seconds) in [
        (0, 0),
        (1, 1),
        (2, 1 + 3),
        (3, 1 + 3 + 5),
        (4, 1 + 3 + 5 + 5),
    ] {
        let start = Instant::now();
        assert_eq!(block(&log, failures, true).await, Ok(0));
        assert_eq!(start.elapsed(), Duration::from_secs(seconds));
        let mut expected = vec!["enter a"; 1 + failures as usize];
        expected.push("exit a: completed");
        assert_eq!(log.take(), expected);
    }
    let start = Instant::now();
    let (result, entries) = report::collect(block(&log, 5, true)).await;
    assert_eq!((result, entries), (Err(Boom("a")), vec![]));
    assert_eq!(start.elapsed(), Duration::from_secs(1 + 3 + 5 + 5));
    assert_eq!(log.take(), ["enter a"; 5]);
    assert_eq!(block(&log, 1, false).await, Err(Boom("check")));
    let events = [
        "enter a",
        "enter a",
        "inspect a: Boom(\"check\")",
        "exit a: failed Boom",
    ];
    assert_eq!(log.take(), events);
}

/// What is not set has a value that one can live with.
#[tokio::test(start_paused = true)]
async fn a_backoff_has_defaults() {
    async fn block(log: &Log, attempts: u32) -> Result<(), Boom> {
        async_with! { retry(Backoff::attempts(attempts), flaky(log, 99)) => {} }
        Ok(())
    }
    let log = Log::new();
    for (attempts, milliseconds) in [
        (0, 0),
        (1, 0),
        (2, 100),
        (4, 100 + 200 + 400),
        (11, 51_100 + 30_000),
    ] {
        let start = Instant::now();
        assert_eq!(block(&log, attempts).await, Err(Boom("a")));
        assert_eq!(start.elapsed(), Duration::from_millis(milliseconds));
        assert_eq!(log.take().len(), attempts.max(1) as usize);
    }
}

/// PAN-1: a panic in an enter is not tried again.
#[tokio::test(start_paused = true)]
async fn a_panic_is_not_tried_again() {
    let log = Log::new();
    let make = {
        let log = log.clone();
        move || log.fallible("a").enter_panics()
    };
    let block = async {
        async_with! { retry(Backoff::attempts(3), make) => {} }
        Ok::<_, Boom>(())
    };
    assert!(AssertUnwindSafe(block).catch_unwind().await.is_err());
    assert_eq!(log.take(), ["enter a"]);
}

/// CAN-1, CAN-6, CAN-7: dropped in a delay, nothing is owed; afterwards, it is as with the manager itself, whose
/// interruption counts too.
#[tokio::test(start_paused = true)]
async fn a_retry_is_as_safe_as_its_manager() {
    let log = Log::new();
    let mut block = Box::pin(async {
        let backoff = Backoff::attempts(2).initial_delay(Duration::from_secs(1));
        async_with! { retry(backoff, flaky(&log, 1)) => { pending::<()>().await } }
        Ok::<_, Boom>(())
    });
    assert!(futures::poll!(&mut block).is_pending());
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(futures::poll!(&mut block).is_pending());
    drop(block);
    drain().await;
    assert_eq!(log.take(), ["enter a", "enter a", "exit a: dropped"]);
    let mut block = Box::pin(async {
        async_with! { retry(Backoff::attempts(2), flaky(&log, 1)) => {} }
        Ok::<_, Boom>(())
    });
    assert!(futures::poll!(&mut block).is_pending());
    drop(block);
    drain().await;
    assert_eq!(log.take(), ["enter a"]);
    let timeouts = || async_with::move_on_after(Duration::from_secs(1));
    let start = Instant::now();
    async_with! { retry(Backoff::attempts(2), timeouts) => { pending::<()>().await } }
    assert_eq!(start.elapsed(), Duration::from_secs(1));
}

/// EXI-1, CAN-1: a scoped manager is tried again too, and abandoned when the block is dropped.
#[tokio::test(start_paused = true)]
async fn a_scoped_enter_is_tried_again() {
    struct Flaky<'a>(Scoped<'a>, bool);
    impl ScopedAsyncContextManager for Flaky<'_> {
        type Resource = Resource;
        type Error = Boom;
        type Exit = ();

        async fn enter(&mut self) -> Result<Resource, Boom> {
            let Ok(resource) = self.0.enter().await;
            if self.1 { Ok(resource) } else { Err(Boom("a")) }
        }

        async fn exit(self, resource: Resource, cause: Cause) -> Result<(), Boom> {
            let Ok(()) = self.0.exit(resource, cause).await;
            Ok(())
        }

        fn abandon(self, resource: Resource) {
            self.0.abandon(resource);
        }
    }
    let log = Log::new();
    let mut made = 0;
    let mut make = || {
        made += 1;
        Flaky(log.scoped("a"), made % 2 == 0)
    };
    let block = async {
        async_with! { retry(Backoff::attempts(2), &mut make) as a => { a.note() } }
        Ok::<_, Boom>(())
    };
    assert_eq!(block.await, Ok(()));
    assert_eq!(
        log.take(),
        ["enter a", "enter a", "use a", "exit a: completed"]
    );
    let mut block = Box::pin(async {
        let backoff = Backoff::attempts(2).initial_delay(Duration::ZERO);
        async_with! { retry(backoff, &mut make) => { pending::<()>().await } }
        Ok::<_, Boom>(())
    });
    while log.events().len() < 2 {
        assert!(futures::poll!(&mut block).is_pending());
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    drop(block);
    assert_eq!(log.take(), ["enter a", "enter a", "abandon a"]);
}

/// CAN-5, ERR-5: a manager that can be released, or is tried again, keeps its name. It had that of the type around it.
#[tokio::test]
async fn what_is_releasable_or_tried_again_keeps_its_name() {
    let log = Log::new();
    let of = log.clone();
    let named = move || of.manager("a").named("session");
    async_with! { releasable(named()) => { assert_eq!(pending_exits()[0].manager, "session"); } }
    async_with! { retry(Backoff::attempts(2), named.clone()) => {
        assert_eq!(pending_exits()[0].manager, "session");
    }}
    // Also when it is asked once more.
    let panics = releasable(named()).on_enter(|_| panic_any("later"));
    let later = AssertUnwindSafe(async {
        async_with! { panics => {} }
    })
    .catch_unwind();
    assert_eq!(later.await.unwrap_err().downcast_ref(), Some(&"later"));
    assert_eq!(
        log.take().last().map(String::as_str),
        Some("exit a: panicked")
    );
}
