//! Models of what tasks share. A checker runs each many times, and switches between the threads in another order each
//! time; a thread that is never woken is a deadlock to it, and fails the test.
//!
//! `RUSTFLAGS="--cfg shuttle" cargo test -p async-with-models --target-dir target/models` runs them.

#![cfg(shuttle)]
// The bodies under test are written to be seen through, not to please.
#![allow(clippy::pedantic)]

use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Once;
use std::task::{Context, Poll, Waker};

use async_with::report::{self, Incident};
use async_with::{
    AsyncContextManager, AsyncExitStack, Cause, Interruption, Verdict, async_with, drain,
    pending_exits, set_spawner,
};
use async_with_tests::{Boom, Log, pend};
use futures::future::join;
use shuttle::future::{block_on, spawn};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use shuttle::sync::{Arc, Mutex};
use shuttle::{Config, Runner, thread};

/// Runs a model so many times in random order, and as often with few switches at places that are hard to find.
fn check(model: fn()) {
    static SPAWNER: Once = Once::new();
    SPAWNER.call_once(|| set_spawner(|exit| drop(spawn(exit))));
    let times = std::env::var("MODEL_TIMES").ok();
    let times = times.map_or(1_000, |times| times.parse().expect("a number"));
    let mut config = Config::new();
    // The table of what is owed is made on a stack.
    config.stack_size = 1 << 21;
    Runner::new(RandomScheduler::new(times), config.clone()).run(model);
    Runner::new(PctScheduler::new(3, times), config).run(model);
}

/// Polls so often, then drops.
async fn polled(times: usize, future: impl Future) {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|cx| {
        if left == 0 || future.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        left -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn position(log: &Log, event: &str) -> usize {
    let events = log.events();
    let found = events.iter().position(|known| known == event);
    found.unwrap_or_else(|| panic!("no {event} in {events:?}"))
}

/// A flag to wait for, which may be set from any thread.
#[derive(Clone, Default)]
struct Flag(Arc<(AtomicBool, Mutex<Vec<Waker>>)>);

impl Flag {
    fn set(&self) {
        self.0.0.store(true, SeqCst);
        let wakers = std::mem::take(&mut *self.0.1.lock().expect("nobody panics"));
        wakers.into_iter().for_each(Waker::wake);
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        self.0
            .1
            .lock()
            .expect("nobody panics")
            .push(cx.waker().clone());
        if self.0.0.load(SeqCst) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    async fn wait(&self) {
        poll_fn(|cx| self.poll(cx)).await;
    }
}

/// Interrupts when the flag is set, and suppresses that.
struct Interrupts(Flag);

impl AsyncContextManager for Interrupts {
    type Resource = ();
    type Error = Boom;
    type Exit = Verdict;

    async fn enter(&mut self) -> Result<(), Boom> {
        Ok(())
    }

    async fn exit(self, (): (), _: Cause) -> Result<Verdict, Boom> {
        Ok(Verdict::Suppress)
    }

    fn interrupt(&self, (): &()) -> impl Interruption<Boom> + Send + use<> {
        let flag = self.0.clone();
        async move {
            flag.wait().await;
            Boom("interrupted")
        }
    }
}

/// CAN-5: `drain` misses no block that was entered before, and is woken by the last exit.
#[test]
fn drain_waits_for_every_block() {
    check(|| {
        let exited = Arc::new(AtomicUsize::new(0));
        let blocks: Vec<_> = (0..2)
            .map(|_| {
                let (log, exited) = (Log::new(), Arc::clone(&exited));
                let entered = Flag::default();
                let told = entered.clone();
                let block = thread::spawn(move || {
                    block_on(async {
                        async_with! { log.manager("block").exit_pending(1) => { told.set() } }
                        // What the exit did is over before the table says so.
                        exited.fetch_add(log.events().len(), SeqCst);
                    });
                });
                (entered, block)
            })
            .collect();
        for (entered, _) in &blocks {
            block_on(entered.wait());
        }
        let drains = thread::spawn(|| block_on(drain()));
        block_on(drain());
        assert_eq!(pending_exits(), []);
        drains.join().expect("it ends");
        for (_, block) in blocks {
            block.join().expect("it ends");
        }
        assert_eq!(exited.load(SeqCst), 6);
    });
}

/// CAN-5: `drain` sees all blocks at one moment. One that opens while another is still open is not missed, in whichever
/// part of the table they are.
#[test]
fn drain_sees_a_block_that_opens_before_another_ends() {
    check(|| {
        let log = Log::new();
        let (late, told) = (log.clone(), log.clone());
        let (early_is_open, late_is_open) = (Flag::default(), Flag::default());
        let [first, early] = [(); 2].map(|()| early_is_open.clone());
        let [second, opened] = [(); 2].map(|()| late_is_open.clone());
        // Each thread has a part of the table from its first block on.
        let takes_part = |log: Log| {
            block_on(async {
                async_with! { log.manager("first") => { } }
            })
        };
        let is_first = Flag::default();
        let (has_part, of_late) = (is_first.clone(), log.clone());
        let opens = thread::spawn(move || {
            takes_part(of_late);
            has_part.set();
            block_on(async {
                first.wait().await;
                async_with! { late.manager("late").exit_pending(50) => { second.set() } }
            });
        });
        block_on(is_first.wait());
        for _ in 0..12 {
            let log = log.clone();
            thread::spawn(move || takes_part(log))
                .join()
                .expect("it ends");
        }
        let ends = thread::spawn(move || {
            block_on(async {
                async_with! { told.manager("early") => {
                    early.set();
                    opened.wait().await;
                }}
            });
        });
        block_on(early_is_open.wait());
        block_on(drain());
        position(&log, "exited late");
        opens.join().expect("it ends");
        ends.join().expect("it ends");
    });
}

/// CAN-1, CAN-3, CAN-5: the exits of a tree that is dropped run elsewhere, the inner one first, before `drain` is over.
#[test]
fn a_dropped_tree_is_exited_before_drain_is_over() {
    check(|| {
        let log = Log::new();
        let entered = Flag::default();
        let (tree, told) = (log.clone(), entered.clone());
        let task = thread::spawn(move || {
            block_on(polled(2, async {
                async_with! { tree.manager("outer").exit_pending(1), tree.manager("inner").exit_pending(1) => {
                    told.set();
                    pending::<()>().await;
                }}
            }));
        });
        block_on(entered.wait());
        block_on(drain());
        assert_eq!(pending_exits(), []);
        let exits: Vec<_> = log
            .take()
            .into_iter()
            .filter(|event| event.starts_with("exit"))
            .collect();
        let expected = [
            "exit inner: dropped",
            "exited inner",
            "exit outer: dropped",
            "exited outer",
        ];
        assert_eq!(exits, expected);
        task.join().expect("it ends");
    });
}

/// CAN-4: a block waits for what was detached inside of it, on other threads too.
#[test]
fn a_block_waits_for_what_was_detached_inside() {
    check(|| {
        let log = Log::new();
        block_on(async {
            async_with! { log.manager("outer") => {
                let dropped = async |name: &'static str| {
                    polled(1, async {
                        async_with! { log.manager(name).exit_pending(1) => { pending::<()>().await } }
                    })
                    .await;
                };
                join(dropped("a"), dropped("b")).await;
            }}
        });
        let outer = position(&log, "exit outer: completed");
        assert!(position(&log, "exited a") < outer);
        assert!(position(&log, "exited b") < outer);
    });
}

/// CAN-6: an interruption that races with the end of the blocks inside ends each of them once, the inner ones first.
#[test]
fn an_interruption_races_with_the_end_of_the_body() {
    check(|| {
        let (log, flag, other) = (Log::new(), Flag::default(), Flag::default());
        let (sets, opens) = (flag.clone(), other.clone());
        let interrupts = thread::spawn(move || sets.set());
        let ends = thread::spawn(move || opens.set());
        block_on(async {
            async_with! { Interrupts(flag) => {
                let inside = async |name: &'static str| {
                    async_with! { log.manager(name).exit_pending(1) => { other.wait().await } }
                };
                join(inside("a"), inside("b")).await;
                log.write("end");
            }}
            Ok::<(), Boom>(())
        })
        .expect("the interruption is suppressed");
        for name in ["a", "b"] {
            let exits: Vec<_> = log
                .events()
                .into_iter()
                .filter(|event| event.starts_with(&format!("exit {name}")))
                .collect();
            assert!(
                exits == [format!("exit {name}: completed")]
                    || exits == [format!("exit {name}: cancelled")],
                "{:?}",
                log.events()
            );
            position(&log, &format!("exited {name}"));
        }
        interrupts.join().expect("it ends");
        ends.join().expect("it ends");
        assert_eq!(pending_exits(), []);
    });
}

/// CAN-6: of two interruptions at once, one is raised, and none is waited for in vain.
#[test]
fn two_interruptions_race() {
    check(|| {
        let log = Log::new();
        let (outer, inner) = (Flag::default(), Flag::default());
        let flags = [outer.clone(), inner.clone()];
        let threads = flags.map(|flag| thread::spawn(move || flag.set()));
        block_on(async {
            async_with! { Interrupts(outer) => {
                async_with! { Interrupts(inner), log.manager("innermost").exit_pending(1) => {
                    pending::<()>().await;
                }}
                pending::<()>().await;
            }}
            Ok::<(), Boom>(())
        })
        .expect("the interruption is suppressed");
        assert_eq!(
            log.take(),
            [
                "enter innermost",
                "exit innermost: cancelled",
                "exited innermost"
            ]
        );
        for thread in threads {
            thread.join().expect("it ends");
        }
    });
}

/// STK-5: what another thread registers while the stack closes runs once, by the stack or at once.
#[test]
fn a_registrar_races_with_the_end_of_its_block() {
    check(|| {
        let log = Log::new();
        let ran = Arc::new(AtomicUsize::new(0));
        let registers = block_on(async {
            async_with! { AsyncExitStack::new() as stack => {
                           let _ = stack.enter(log.manager("a").exit_pending(1)).await;
                           let registrar = stack.registrar();
                           let counted = Arc::clone(&ran);
                           thread::spawn(move || {
                               for _ in 0..2 {
                                   let counted = Arc::clone(&counted);
                                   let callback = move || async move {
            counted.fetch_add(1, SeqCst);
            };
                                   let _ = block_on(registrar.callback(callback));
                               }
                           })
                       }}
        });
        registers.join().expect("it ends");
        assert_eq!(ran.load(SeqCst), 2);
        position(&log, "exited a");
    });
}

/// STK-4: what another thread registers while everything moves to another stack stays on top.
#[test]
fn a_registrar_races_with_pop_all() {
    check(|| {
        let log = Log::new();
        let mut stack = AsyncExitStack::<Boom>::new();
        let _ = block_on(stack.enter(log.manager("a"))).map(drop);
        let registrar = stack.registrar();
        let written = log.clone();
        let registers = thread::spawn(move || {
            let callback = move || async move { written.write("callback") };
            block_on(registrar.callback(callback)).expect("nothing is closed");
        });
        let mut all = stack.pop_all();
        registers.join().expect("it ends");
        let was_moved = stack.is_empty();
        block_on(all.close()).expect("nothing fails");
        block_on(stack.close()).expect("nothing fails");
        let (callback, exit) = (
            position(&log, "callback"),
            position(&log, "exit a: completed"),
        );
        assert_eq!(callback < exit, was_moved);
    });
}

/// STK-4: a second `close` waits for the first, which was dropped half-way.
#[test]
fn a_close_waits_for_the_one_before() {
    check(|| {
        let log = Log::new();
        let mut stack = AsyncExitStack::<Boom>::new();
        block_on(async {
            for name in ["a", "b"] {
                let _ = stack
                    .enter(log.manager(name).exit_pending(1))
                    .await
                    .map(drop);
            }
            polled(1, stack.close()).await;
            stack.close().await.expect("nothing fails");
        });
        assert!(position(&log, "exited b") < position(&log, "exit a: dropped"));
        position(&log, "exited a");
    });
}

/// ERR-5: what a detached exit fails with is reported once: to the collector while it collects, else outside.
#[test]
fn a_report_races_with_the_end_of_its_collector() {
    check(|| {
        let log = Log::new();
        let (((), inside), outside) = block_on(report::collect(async {
            let collected = report::collect(polled(1, async {
                async_with! { log.fallible("a").exit_fails() => { pending::<()>().await } }
                Ok::<(), Boom>(())
            }))
            .await;
            drain().await;
            collected
        }));
        let all: Vec<_> = inside.into_iter().chain(outside).collect();
        assert!(
            matches!(&*all, [entry] if matches!(entry.incident, Incident::Error { .. })),
            "{all:?}"
        );
    });
}

/// A block that is moved to another thread between polls is exited once, wherever it is dropped.
#[test]
fn a_block_moves_between_threads() {
    check(|| {
        let log = Log::new();
        let moved = log.clone();
        let mut block: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
            async_with! { moved.manager("outer"), moved.manager("inner").exit_pending(1) => { pend(3).await } }
        });
        let _ = block.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let other = thread::spawn(move || block_on(polled(2, block)));
        block_on(drain());
        other.join().expect("it ends");
        block_on(drain());
        assert!(position(&log, "exited inner") < position(&log, "exit outer: dropped"));
        assert_eq!(pending_exits(), []);
    });
}
