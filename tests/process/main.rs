//! What is set for a whole process, and what could end one: each test runs in a process of its own.

// The bodies under test are written to be seen through, not to please.
#![allow(clippy::pedantic)]

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use async_with::report::{self, Entry, Incident, Phase};
use async_with::testing::{block_on, explore_cancellations, pend};
use async_with::{
    AsyncContextManager, Cause, Raised, ScopedAsyncContextManager, async_with, drain, exit_within,
    manage, set_exit_deadline, set_spawner,
};
use async_with_tests::{Boom, Gate, Log};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, sleep};

const ALONE: &str = "ASYNC_WITH_TEST_ALONE";

/// Runs a test in a process of its own. Returns what that printed, or `None` in that process.
fn alone(name: &str, test: impl FnOnce()) -> Option<String> {
    if std::env::var(ALONE).is_ok_and(|chosen| chosen == name) {
        test();
        return None;
    }
    let output = Command::new(std::env::current_exe().expect("the test's own path"))
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(ALONE, name)
        .output()
        .expect("it can be run");
    let printed = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{}\n{printed}", output.status);
    assert!(printed.contains("1 passed"), "{printed}");
    Some(printed)
}

fn current_thread() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime")
}

fn multi_thread() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// What was reported.
#[derive(Clone, Default)]
struct Reported(Arc<Mutex<Vec<Entry>>>);

impl Reported {
    /// Installs itself as the sink.
    fn to_sink() -> Self {
        let reported = Self::default();
        let entries = reported.clone();
        report::set_sink(move |entry| entries.lock().push(entry.clone()));
        reported
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Vec<String> {
        let entries = std::mem::take(&mut *self.lock());
        let entries = entries.into_iter();
        entries
            .map(|entry| format!("{} {}", entry.phase, entry.incident))
            .collect()
    }
}

/// An exit that fails after the body did, so that there is something to report.
async fn fails_twice(log: &Log, name: &'static str) {
    let block = async {
        async_with! { log.fallible(name).exit_fails() => { Err(Boom("body"))?; } }
        Ok::<_, Boom>(())
    };
    assert_eq!(block.await, Err(Boom("body")));
}

/// A block that was polled, so that it is open.
fn opened<F: Future<Output = ()>>(block: F) -> Pin<Box<F>> {
    let mut block = Box::pin(block);
    let mut context = Context::from_waker(Waker::noop());
    assert!(block.as_mut().poll(&mut context).is_pending());
    block
}

/// ERR-5: a sink of the program's own gets what nobody collects; the last one installed counts; a panic in it is caught.
#[test]
fn a_program_can_install_a_sink() {
    let test = || {
        let log = Log::new();
        let first = Reported::to_sink();
        let runtime = current_thread();
        runtime.block_on(async {
            fails_twice(&log, "a").await;
            let ((), collected) = report::collect(fails_twice(&log, "collected")).await;
            assert_eq!(collected.len(), 1);
        });
        assert_eq!(first.take(), ["exit failed: Boom(\"a\")"]);
        let second = Reported::to_sink();
        runtime.block_on(fails_twice(&log, "b"));
        assert_eq!(first.take(), <[&str; 0]>::default());
        assert_eq!(second.take(), ["exit failed: Boom(\"b\")"]);
        // What a collector does not hand out, because it is dropped, goes to the sink.
        runtime.block_on(async {
            let collected = report::collect(async {
                fails_twice(&log, "c").await;
                pending::<()>().await;
            });
            let mut collected = Box::pin(collected);
            assert!(futures::poll!(&mut collected).is_pending());
        });
        assert_eq!(second.take(), ["exit failed: Boom(\"c\")"]);
        // From another thread.
        multi_thread().block_on(async {
            let log = log.clone();
            let task = tokio::spawn(async move { fails_twice(&log, "d").await });
            task.await.expect("it does not panic");
        });
        assert_eq!(second.take(), ["exit failed: Boom(\"d\")"]);
    };
    alone("a_program_can_install_a_sink", test);
}

/// Notes the events of `tracing`, should reports be such.
struct Events(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Events {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        struct Message<'a>(&'a mut String);
        impl tracing::field::Visit for Message<'_> {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                if field.name() == "message" {
                    *self.0 = format!("{value:?}");
                }
            }
        }
        let mut message = String::new();
        event.record(&mut Message(&mut message));
        println!("{} event: {message}", event.metadata().level());
        self.0.lock().unwrap().push(message);
    }
}

/// ERR-5: without a sink, each entry is logged once: as a line on standard error, or, with the feature `tracing`, as an
/// event of level error.
#[test]
fn by_default_a_report_is_logged() {
    let test = || {
        use tracing_subscriber::layer::SubscriberExt;
        let subscriber = tracing_subscriber::registry().with(Events(Arc::default()));
        tracing::subscriber::set_global_default(subscriber).expect("it is the first");
        current_thread().block_on(fails_twice(&Log::new(), "a"));
        report::set_sink(|_| panic!("sink"));
        current_thread().block_on(fails_twice(&Log::new(), "b"));
    };
    if let Some(printed) = alone("by_default_a_report_is_logged", test) {
        let name = std::any::type_name::<async_with_tests::Logged<Boom>>();
        for what in ["a", "b"] {
            let entry = format!(
                "exit of {name} (cause: failed ({})) failed: Boom({what:?})",
                std::any::type_name::<Boom>()
            );
            let line = printed
                .lines()
                .filter(|line| line.ends_with(&format!("async-with: {entry}")))
                .count();
            let event = printed
                .lines()
                .filter(|line| line.ends_with(&format!("ERROR event: {entry}")))
                .count();
            assert_eq!(line + event, 1, "{printed}");
        }
    }
}

/// Takes so long for its exit.
struct Slow(Log, Duration);

impl AsyncContextManager for Slow {
    type Resource = ();
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    async fn exit(self, (): (), cause: Cause) -> Result<(), Infallible> {
        self.0
            .write(format!("exit slow: {}", async_with_tests::short(cause)));
        sleep(self.1).await;
        self.0.write("exited slow");
        Ok(())
    }
}

/// The same, in the frame of its block.
struct SlowScoped<'a>(&'a Log, Duration);

impl ScopedAsyncContextManager for SlowScoped<'_> {
    type Resource = ();
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    async fn exit(self, (): (), _: Cause) -> Result<(), Infallible> {
        sleep(self.1).await;
        self.0.write("exited slow");
        Ok(())
    }
}

/// CAN-5: a deadline for all exits can be set, and taken away; the exits further out go on; it holds for detached exits,
/// and for those that start after it was set.
#[test]
fn a_deadline_for_all_exits() {
    async fn block(log: &Log, duration: Duration) {
        async_with! { log.manager("outer"), Slow(log.clone(), duration) => {} }
    }
    async fn scoped(log: &Log, duration: Duration) {
        async_with! { log.manager("outer"), SlowScoped(log, duration) => {} }
    }
    let test = || {
        let log = Log::new();
        current_thread().block_on(async {
            set_exit_deadline(Some(ms(10)));
            let start = Instant::now();
            let ((), entries) = report::collect(block(&log, ms(50))).await;
            assert_eq!(start.elapsed(), ms(10));
            assert_eq!(entries.len(), 1, "{entries:?}");
            assert_eq!(
                (
                    entries[0].manager,
                    entries[0].phase,
                    entries[0].cause,
                    &entries[0].incident
                ),
                (
                    std::any::type_name::<Slow>(),
                    Phase::Exit,
                    Cause::Completed,
                    &Incident::TimedOut(ms(10))
                )
            );
            assert_eq!(
                log.take(),
                [
                    "enter outer",
                    "exit slow: completed",
                    "exit outer: completed"
                ]
            );
            // One that is in time.
            let ((), entries) = report::collect(block(&log, ms(5))).await;
            assert_eq!(entries, []);
            assert!(log.take().contains(&"exited slow".to_owned()));
            let ((), entries) = report::collect(scoped(&log, ms(50))).await;
            assert_eq!(entries[0].incident, Incident::TimedOut(ms(10)));
            assert_eq!(log.take(), ["enter outer", "exit outer: completed"]);

            // Detached: in the body, and half-way.
            let ((), entries) = report::collect(async {
                drop(opened(async {
                    async_with! { Slow(log.clone(), ms(50)) => { pending::<()>().await } }
                }));
                drain().await;
                let start = Instant::now();
                let half_way = opened(block(&log, ms(50)));
                sleep(ms(4)).await;
                drop(half_way);
                drain().await;
                assert_eq!(start.elapsed(), ms(10));
            })
            .await;
            let incidents: Vec<_> = entries
                .iter()
                .map(|entry| (entry.cause, entry.incident.clone()))
                .collect();
            assert_eq!(
                incidents,
                [
                    (Cause::Dropped, Incident::TimedOut(ms(10))),
                    (Cause::Completed, Incident::TimedOut(ms(10)))
                ]
            );
            assert!(log.take().contains(&"exit outer: dropped".to_owned()));

            // The shorter one of a manager's own counts.
            let start = Instant::now();
            let ((), entries) = report::collect(async {
                async_with! { exit_within(ms(3), Slow(log.clone(), ms(50))) => {} }
            })
            .await;
            assert_eq!(start.elapsed(), ms(3));
            assert_eq!(entries[0].incident, Incident::TimedOut(ms(3)));

            set_exit_deadline(None);
            let start = Instant::now();
            let ((), entries) = report::collect(block(&log, ms(500))).await;
            assert_eq!((start.elapsed(), entries), (ms(500), Vec::new()));
        });
    };
    alone("a_deadline_for_all_exits", test);
}

/// CAN-5: an exit that takes long is reported while it runs, again and again, and nothing is done to it.
#[test]
fn slow_exits_are_reported_while_they_run() {
    let test = || {
        let log = Log::new();
        let reported = Reported::to_sink();
        report::set_slow_exit(Some(ms(10)));
        current_thread().block_on(async {
            let mut block = opened(async {
                async_with! { log.manager("outer"), Slow(log.clone(), ms(50)) => {} }
            });
            // What was reported at which time.
            for (until, expected) in [
                (9, &[][..]),
                (15, &["exit is still running after 10ms"]),
                (25, &["exit is still running after 20ms"]),
                (45, &["exit is still running after 40ms"]),
                (60, &[]),
            ] {
                let now = tokio::time::sleep(ms(until).saturating_sub(elapsed()));
                tokio::select! {
                    biased;
                    () = &mut block => {}
                    () = now => {}
                }
                assert_eq!(reported.take(), expected, "{until}");
                if until == 60 {
                    break;
                }
            }
            assert_eq!(
                log.take().last().map(String::as_str),
                Some("exit outer: completed")
            );

            // A detached one, and one with a deadline as well.
            drop(opened(async {
                async_with! { Slow(log.clone(), ms(15)) => { pending::<()>().await } }
            }));
            drain().await;
            assert_eq!(reported.take(), ["exit is still running after 10ms"]);
            set_exit_deadline(Some(ms(15)));
            async_with! { SlowScoped(&log, ms(100)) => {} }
            assert_eq!(
                reported.take(),
                [
                    "exit is still running after 10ms",
                    "exit was given up after 15ms"
                ]
            );
            set_exit_deadline(None);
            report::set_slow_exit(None);
            async_with! { SlowScoped(&log, ms(100)) => {} }
            assert_eq!(reported.take(), <[&str; 0]>::default());
        });
    };
    thread_local! {
        static START: RefCell<Option<Instant>> = const { RefCell::new(None) };
    }
    /// Since it was called first.
    fn elapsed() -> Duration {
        START.with_borrow_mut(|start| start.get_or_insert_with(Instant::now).elapsed())
    }
    alone("slow_exits_are_reported_while_they_run", test);
}

/// CAN-5: on a runtime without timers, exits run without a limit; tokio's panic is seen once for each runtime.
#[test]
fn without_timers_exits_have_no_limits() {
    let test = || {
        let log = Log::new();
        let reported = Reported::to_sink();
        let without_timers = || Builder::new_current_thread().build().expect("a runtime");
        let entered = |log: &Log| {
            let pends = manage(log.clone(), async |log, cause: Cause| {
                pend(3).await;
                log.write(format!("exit: {cause}"));
            });
            async move {
                async_with! { exit_within(ms(0), pends) => { pend(1).await } }
            }
        };
        let all = |runtime: &Runtime| {
            runtime.block_on(async {
                entered(&log).await;
                drop(opened(entered(&log)));
                drain().await;
            });
            assert_eq!(log.take(), ["exit: completed", "exit: dropped"]);
            assert_eq!(reported.take(), <[&str; 0]>::default());
        };
        all(&without_timers());
        report::set_slow_exit(Some(ms(0)));
        all(&without_timers());
        report::set_slow_exit(None);
        set_exit_deadline(Some(ms(0)));
        all(&without_timers());

        // Nor do those of a runtime that was shut down count.
        let runtime = multi_thread();
        let handle = runtime.handle().clone();
        drop(runtime);
        handle.block_on(entered(&log));
        assert_eq!(log.take(), ["exit: completed"]);
        assert_eq!(reported.take(), <[&str; 0]>::default());
    };
    if let Some(printed) = alone("without_timers_exits_have_no_limits", test) {
        assert_eq!(printed.matches("timers are disabled").count(), 3);
    }
}

/// CAN-5: the exits of a multi-thread runtime that is shut down are reported by name, on whatever thread that happens.
#[test]
fn exits_of_a_multi_thread_runtime_that_is_shut_down_are_reported() {
    let test = || {
        let log = Log::new();
        let reported = Reported::to_sink();
        let runtime = multi_thread();
        runtime.block_on(async {
            for _ in 0..10 {
                let log = log.clone();
                tokio::spawn(async move {
                    async_with! { log.manager("a"), Slow(log.clone(), ms(1)) => {
                        log.write("body");
                        pending::<()>().await;
                    }}
                });
            }
            while log.events().iter().filter(|event| *event == "body").count() < 10 {
                tokio::task::yield_now().await;
            }
            // One that is running detached.
            let gate = Gate::new();
            drop(opened(async {
                async_with! { log.manager("detached").exit_waits_for(&gate) => { pending::<()>().await } }
            }));
        });
        drop(runtime);
        assert_eq!(reported.take(), ["exit was not finished"; 21]);
    };
    alone(
        "exits_of_a_multi_thread_runtime_that_is_shut_down_are_reported",
        test,
    );
}

/// CAN-1, CAN-5: an installed spawner runs detached exits where there is no tokio runtime; one that panics loses nothing
/// silently.
#[test]
fn a_spawner_runs_what_is_detached_without_a_runtime() {
    let test = || {
        let log = Log::new();
        let reported = Reported::to_sink();
        let (sender, receiver) = std::sync::mpsc::channel();
        let drop_a_block = || {
            drop(opened(async {
                async_with! { log.manager("a").exit_pending(1), log.manager("b").exit_pending(1) => {
                    pending::<()>().await;
                }}
            }));
        };
        drop_a_block();
        assert_eq!(reported.take(), ["exit was not finished"; 2]);
        set_spawner(move |job| sender.send(job).expect("it is received"));
        drop_a_block();
        let jobs: Vec<_> = receiver.try_iter().collect();
        assert_eq!(jobs.len(), 2);
        assert_eq!(async_with::pending_exits().len(), 2);
        futures::executor::block_on(async {
            let drained = drain();
            futures::join!(futures::future::join_all(jobs), drained);
        });
        let events = log.take();
        assert_eq!(
            events[4..],
            ["exit b: dropped", "exited b", "exit a: dropped", "exited a"]
        );
        assert_eq!(reported.take(), <[&str; 0]>::default());
        // A runtime that is there is used still.
        current_thread().block_on(async {
            drop_a_block();
            drain().await;
        });
        assert_eq!(log.take().len(), 6);
        assert_eq!(receiver.try_iter().count(), 0);
        set_spawner(|_| panic!("spawner"));
        drop_a_block();
        assert_eq!(reported.take(), ["exit was not finished"; 2]);
    };
    alone("a_spawner_runs_what_is_detached_without_a_runtime", test);
}

/// Panics when it is dropped, also while another panic unwinds.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("bomb");
    }
}

/// A manager of each kind whose every step panics from the exit on.
struct Panics;
struct ScopedPanics;

impl AsyncContextManager for Panics {
    type Resource = ();
    type Error = Boom;
    type Exit = ();

    async fn enter(&mut self) -> Result<(), Boom> {
        Ok(())
    }

    async fn exit(self, (): (), _: Cause) -> Result<(), Boom> {
        let _bomb = Bomb;
        pending().await
    }

    fn inspect(&mut self, (): &mut (), _: Raised<'_>) {
        panic!("inspect");
    }

    fn around_poll(&self) -> impl Sized {}
}

impl ScopedAsyncContextManager for ScopedPanics {
    type Resource = ();
    type Error = Boom;
    type Exit = ();

    async fn enter(&mut self) -> Result<(), Boom> {
        Ok(())
    }

    async fn exit(self, (): (), _: Cause) -> Result<(), Boom> {
        let _bomb = Bomb;
        pending().await
    }

    fn abandon(self, (): ()) {
        panic!("abandon");
    }
}

/// Panics in exit.
struct ExitPanics;

impl AsyncContextManager for ExitPanics {
    type Resource = ();
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    async fn exit(self, (): (), _: Cause) -> Result<(), Infallible> {
        panic!("exit");
    }
}

/// Unwinds a panic through what is dropped meanwhile.
fn unwind_through<T>(dropped: T) {
    let unwound = catch_unwind(AssertUnwindSafe(move || {
        let _dropped = dropped;
        panic!("first");
    }));
    let payload = unwound.expect_err("it panics");
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"first"));
}

/// PAN-3: nothing that panics while another panic unwinds aborts the process: a body that is dropped, an `abandon`, an exit
/// that is dropped half-way, an exit that runs in a destructor, a sink, a spawner, a runtime that is shut down.
#[test]
fn no_panic_during_a_panic_aborts() {
    let test = || {
        for with_a_sink in [false, true] {
            if with_a_sink {
                report::set_sink(|_| panic!("sink"));
                set_spawner(|_| panic!("spawner"));
            }
            for with_a_runtime in [false, true] {
                let runtime = current_thread();
                let guard = with_a_runtime.then(|| runtime.enter());
                // In the body.
                unwind_through(opened(async {
                    let block = async {
                        async_with! { Panics, ScopedPanics, ExitPanics => {
                            let _bomb = Bomb;
                            pending::<()>().await;
                        }}
                        Ok::<_, Boom>(())
                    };
                    let _ = block.await;
                }));
                // In the exits.
                unwind_through(opened(async {
                    let block = async {
                        async_with! { ScopedPanics => {} }
                        Ok::<_, Boom>(())
                    };
                    let _ = block.await;
                }));
                unwind_through(opened(async {
                    let block = async {
                        async_with! { ScopedPanics, Panics => {} }
                        Ok::<_, Boom>(())
                    };
                    let _ = block.await;
                }));
                drop(guard);
                // The detached exits with it.
                unwind_through(runtime);
            }
            // A destructor that runs a block whose exit panics, and keeps the panic to itself.
            struct RunsABlock;
            impl Drop for RunsABlock {
                fn drop(&mut self) {
                    let ran = catch_unwind(|| {
                        futures::executor::block_on(async {
                            async_with! { ExitPanics, ExitPanics => {} }
                        });
                    });
                    assert!(ran.is_err());
                }
            }
            unwind_through(RunsABlock);
        }
        println!("survived");
    };
    if let Some(printed) = alone("no_panic_during_a_panic_aborts", test) {
        assert!(printed.contains("survived"), "{printed}");
    }
}

type Block = Pin<Box<dyn Future<Output = ()>>>;

thread_local! {
    static HELD: RefCell<Option<Block>> = const { RefCell::new(None) };
}

/// PAN-3, CAN-5: nor does one while a thread ends, when its thread-locals are being destroyed.
#[test]
fn no_panic_at_the_end_of_a_thread_aborts() {
    let test = || {
        for touched_first in [true, false] {
            let thread = std::thread::spawn(move || {
                if touched_first {
                    HELD.with_borrow_mut(|held| *held = None);
                }
                let block = opened(async {
                    let block = async {
                        async_with! { Panics, ScopedPanics, ExitPanics => {
                            let _bomb = Bomb;
                            pending::<()>().await;
                        }}
                        Ok::<_, Boom>(())
                    };
                    let _ = block.await;
                });
                HELD.with_borrow_mut(|held| *held = Some(block));
            });
            thread.join().expect("it does not panic");
        }
        println!("survived");
    };
    if let Some(printed) = alone("no_panic_at_the_end_of_a_thread_aborts", test) {
        assert!(printed.contains("survived"), "{printed}");
        // What could not be finished was reported.
        assert!(printed.contains("was not finished"), "{printed}");
    }
}

/// CAN-1: a drop never blocks, and an exit that never ends holds up nobody but those who wait for it.
#[test]
fn a_stuck_exit_does_not_block_the_runtime() {
    let test = || {
        let log = Log::new();
        let reported = Reported::to_sink();
        let runtime = current_thread();
        runtime.block_on(async {
            drop(opened(async {
                async_with! { Slow(log.clone(), Duration::MAX) => { pending::<()>().await } }
            }));
            let left = async_with::drain_timeout(ms(10)).await.unwrap_err();
            assert_eq!(left.len(), 1);
            assert_eq!(left[0].manager, std::any::type_name::<Slow>());
            let mut drained = Box::pin(drain());
            assert_eq!(futures::poll!(&mut drained), Poll::Pending);
        });
        drop(runtime);
        assert_eq!(reported.take(), ["exit was not finished"]);
    };
    alone("a_stuck_exit_does_not_block_the_runtime", test);
}

/// CAN-5: a `drain` that is dropped leaves nothing behind, such as a waker that keeps its task. In a process of its own,
/// because whatever exits anywhere wakes all that wait.
#[test]
fn a_drain_that_is_dropped_keeps_no_waker() {
    struct Unused;
    impl Wake for Unused {
        fn wake(self: Arc<Self>) {}
    }
    alone("a_drain_that_is_dropped_keeps_no_waker", || {
        let (log, runtime) = (Log::new(), current_thread());
        let guard = runtime.enter();
        let block = opened(async {
            async_with! { log.manager("a") => { pending::<()>().await } }
        });
        let waker = Arc::new(Unused);
        let mut drained = Box::pin(drain());
        let polled = Waker::from(Arc::clone(&waker));
        let mut context = Context::from_waker(&polled);
        assert!(drained.as_mut().poll(&mut context).is_pending());
        drop(polled);
        assert_eq!(Arc::strong_count(&waker), 2);
        drop(drained);
        assert_eq!(Arc::strong_count(&waker), 1);
        drop(guard);
        runtime.block_on(async {
            drop(block);
            drain().await;
        });
        assert_eq!(log.take(), ["enter a", "exit a: dropped"]);
    });
}

/// The check of an exploration that panics does so with its own message; standard error says at which point it did.
#[test]
fn an_exploration_that_fails_tells_the_point() {
    let test = || {
        let make = || async {
            async_with! { Log::new().manager("a") => { pend(3).await } }
        };
        let explored = catch_unwind(AssertUnwindSafe(|| {
            block_on(explore_cancellations(make, |run| {
                assert!(run.polls < 2, "found")
            }))
        }));
        let payload = explored.unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"found"));
    };
    if let Some(printed) = alone("an_exploration_that_fails_tells_the_point", test) {
        let points = printed.matches("the future was dropped after").count();
        assert_eq!(points, 1, "{printed}");
        assert!(
            printed.contains("the future was dropped after 2 polls\n"),
            "{printed}"
        );
    }
}
