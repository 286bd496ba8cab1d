//! CAN-6: a manager interrupts the body; and limits on exits.

use std::convert::Infallible;
use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use async_with::report::{self, Incident, Phase};
use async_with::{
    AsyncContextManager, AsyncContextManagerExt as _, AsyncExitStack, Cancelled, Cause, Elapsed,
    Interruption, ScopedAsyncContextManager, Verdict, async_with, cancellable, drain, exit_within,
    move_on_after, move_on_at, move_on_when_cancelled, pending_exits, timeout, timeout_at,
};
use async_with_tests::{Boom, Gate, Log, pend, short};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::runtimes::{runtimes, until, within_reason};

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A gate that opens when so much time has passed.
fn opens_after(duration: Duration) -> Gate {
    let gate = Gate::new();
    let opened = gate.clone();
    tokio::spawn(async move {
        sleep(duration).await;
        opened.open();
    });
    gate
}

/// What any of the errors here becomes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Error {
    Elapsed,
    Cancelled,
    Boom(Boom),
}

impl From<Elapsed> for Error {
    fn from(_: Elapsed) -> Self {
        Error::Elapsed
    }
}

impl From<Cancelled> for Error {
    fn from(_: Cancelled) -> Self {
        Error::Cancelled
    }
}

impl From<Boom> for Error {
    fn from(boom: Boom) -> Self {
        Error::Boom(boom)
    }
}

/// CAN-6: a deadline interrupts a body that takes longer, and no other; the four kinds of deadline.
#[tokio::test(start_paused = true)]
async fn a_deadline_interrupts_the_body() {
    async fn raises(body: Duration) -> Result<u8, Elapsed> {
        async_with! { timeout(ms(10)) => { sleep(body).await; Ok(1) } }
    }
    async fn raises_at(body: Duration) -> Result<u8, Elapsed> {
        async_with! { timeout_at(Instant::now() + ms(10)) => { sleep(body).await; Ok(1) } }
    }
    async fn moves_on(body: Duration) -> u8 {
        async_with! { move_on_after(ms(10)) => { sleep(body).await; 1 } else { 2 } }
    }
    async fn moves_on_at(body: Duration) -> u8 {
        async_with! { move_on_at(Instant::now() + ms(10)) => { sleep(body).await; 1 } else { 2 } }
    }
    let start = Instant::now();
    assert_eq!(raises(ms(5)).await, Ok(1));
    assert_eq!(raises_at(ms(5)).await, Ok(1));
    assert_eq!(moves_on(ms(5)).await, 1);
    assert_eq!(moves_on_at(ms(5)).await, 1);
    assert_eq!(start.elapsed(), ms(20));
    let start = Instant::now();
    assert!(raises(ms(500)).await.is_err());
    assert!(raises_at(ms(500)).await.is_err());
    assert_eq!(moves_on(ms(500)).await, 2);
    assert_eq!(moves_on_at(ms(500)).await, 2);
    assert_eq!(start.elapsed(), ms(40));
    assert!(raises_at(ms(0)).await.is_ok());
}

/// CAN-6: what the errors of interrupting managers look like, in another error too.
#[tokio::test(start_paused = true)]
async fn the_errors_of_interruptions_are_errors() {
    async fn in_io() -> std::io::Result<()> {
        async_with! { timeout(ms(1)) => { pending::<()>().await } }
        Ok(())
    }
    async fn in_anyhow(token: CancellationToken) -> anyhow::Result<()> {
        async_with! { cancellable(token) => { pending::<()>().await } }
        Ok(())
    }
    let error = in_io().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    assert_eq!(error.to_string(), "deadline has elapsed");
    let token = CancellationToken::new();
    token.cancel();
    let error = in_anyhow(token).await.unwrap_err();
    assert!(error.is::<Cancelled>());
    assert_eq!(error.to_string(), "cancelled");
}

/// CAN-6: a deadline can be moved and taken away, from inside and from outside, and tells whether it passed.
#[tokio::test(start_paused = true)]
async fn a_deadline_can_be_rescheduled() {
    async fn later() -> Result<u8, Elapsed> {
        async_with! { timeout(ms(10)) as deadline => {
            let first = deadline.deadline().expect("it was given");
            assert_eq!(first, Instant::now() + ms(10));
            deadline.reschedule(Some(first + ms(10)));
            sleep(ms(15)).await;
            assert!(!deadline.expired());
            deadline.reschedule(None);
            assert_eq!(deadline.deadline(), None);
            sleep(ms(500)).await;
            Ok(1)
        }}
    }
    async fn sooner() -> Result<u8, Elapsed> {
        async_with! { timeout_at(Instant::now() + ms(500)) as deadline => {
            sleep(ms(5)).await;
            deadline.reschedule(Some(Instant::now() + ms(5)));
            Ok(pending().await)
        }}
    }
    assert_eq!(later().await, Ok(1));
    let start = Instant::now();
    assert!(sooner().await.is_err());
    assert_eq!(start.elapsed(), ms(10));

    // From another task, while the body waits for something else.
    let patience = move_on_after(Duration::MAX);
    let deadline = patience.deadline();
    assert_eq!(deadline.deadline(), None);
    let other = tokio::spawn({
        let deadline = deadline.clone();
        async move {
            sleep(ms(5)).await;
            deadline.reschedule(Some(Instant::now() + ms(5)));
        }
    });
    let start = Instant::now();
    async_with! { patience => { pending::<()>().await } }
    assert_eq!(start.elapsed(), ms(10));
    assert!(deadline.expired());
    other.await.expect("it does not panic");
    // It has passed, whatever it is set to now.
    deadline.reschedule(None);
    assert!(deadline.expired());

    let patience = move_on_after(ms(10));
    let deadline = patience.deadline();
    async_with! { patience => { sleep(ms(5)).await } }
    sleep(ms(10)).await;
    assert!(!deadline.expired());
}

/// CAN-6: a deadline that was in the past interrupts at the first wait, and moving it while the exits inside run has no
/// effect any more.
#[tokio::test(start_paused = true)]
async fn a_deadline_that_has_passed_stays_so() {
    async fn past(log: &Log) -> Result<(), Elapsed> {
        async_with! { timeout_at(Instant::now()) => {
            log.write("before");
            pending::<()>().await;
        }}
        Ok(())
    }
    let log = Log::new();
    assert!(past(&log).await.is_err());
    assert_eq!(log.take(), ["before"]);

    let patience = move_on_after(ms(10));
    let deadline = patience.deadline();
    let gate = opens_after(ms(30));
    tokio::spawn({
        let deadline = deadline.clone();
        async move {
            sleep(ms(20)).await;
            deadline.reschedule(None);
        }
    });
    async_with! { patience, log.manager("a").exit_waits_for(&gate) => { pending::<()>().await } }
    assert!(deadline.expired());
    assert_eq!(log.take(), ["enter a", "exit a: cancelled", "exited a"]);
}

/// CAN-6: a token interrupts, from outside and from inside, before and while the block runs; both flavors.
#[tokio::test]
async fn a_token_interrupts_the_body() {
    async fn raises(token: CancellationToken, log: &Log) -> Result<u8, Cancelled> {
        async_with! { cancellable(token), log.manager("a") => {
            log.write("body");
            Ok(pending().await)
        }}
    }
    async fn moves_on(token: CancellationToken, log: &Log) -> u8 {
        async_with! { move_on_when_cancelled(token), log.manager("a") => {
            log.write("body");
            pending().await
        } else { 2 } }
    }
    let interrupted = ["enter a", "body", "exit a: cancelled"];
    let log = Log::new();
    for before in [true, false] {
        let token = CancellationToken::new();
        if before {
            token.cancel();
        }
        let cancel = async {
            until(&log, "body").await;
            token.cancel();
        };
        let (result, ()) = tokio::join!(raises(token.clone(), &log), cancel);
        assert!(result.is_err());
        assert_eq!(log.take(), interrupted);
    }
    let token = CancellationToken::new();
    let cancel = async {
        until(&log, "body").await;
        token.cancel();
    };
    let (value, ()) = tokio::join!(moves_on(token.clone(), &log), cancel);
    assert_eq!(value, 2);
    assert_eq!(log.take(), interrupted);

    // The body cancels its own token.
    async_with! { move_on_when_cancelled(CancellationToken::new()) as token, log.manager("a") => {
        token.cancel();
        pending::<()>().await;
    }}
    assert_eq!(log.take(), ["enter a", "exit a: cancelled"]);
    let raised = async {
        async_with! { cancellable(CancellationToken::new()) as token => {
            token.cancel();
            pending::<()>().await;
        }}
        Ok::<(), Cancelled>(())
    };
    assert!(within_reason(raised).await.is_err());
}

/// CAN-6: the blocks inside exit in place, innermost first, borrowed managers included, all told "cancelled", before
/// the interrupting block ends; those outside are told of its error.
#[test]
fn the_blocks_inside_exit_in_place() {
    async fn inner(log: &Log) {
        async_with! { log.scoped("c").exit_pending(2), log.manager("d").exit_pending(2) => {
            pending::<()>().await;
        }}
        log.write("not reached");
    }
    async fn outer(log: &Log) -> Result<(), Error> {
        async_with! { log.manager("a") => {
            async_with! { timeout(ms(10)), log.scoped("b").local().exit_pending(1) => {
                inner(log).await;
                log.write("not reached");
            }}
            log.write("not reached");
        }}
        Ok(())
    }
    for runtime in runtimes() {
        let log = Log::new();
        let scenario = async {
            assert_eq!(outer(&log).await, Err(Error::Elapsed));
            assert!(pending_exits().is_empty());
        };
        runtime.block_on(within_reason(scenario));
        assert_eq!(
            log.take(),
            [
                "enter a",
                "enter b",
                "enter c",
                "enter d",
                "exit d: cancelled",
                "exited d",
                "exit c: cancelled",
                "exited c",
                "exit b: cancelled",
                "exited b",
                "inspect a: Elapsed",
                "exit a: failed Error"
            ]
        );
    }
}

/// CAN-6: blocks that are polled side by side, by `join!` and by `FuturesUnordered`, exit in place.
#[tokio::test(start_paused = true)]
async fn blocks_side_by_side_exit_in_place() {
    async fn one(log: &Log, name: &'static str) {
        async_with! { log.scoped(name).exit_pending(2) => { pending::<()>().await } }
    }
    let log = Log::new();
    let check = |log: &Log| {
        let mut events = log.take();
        events.sort();
        assert_eq!(
            events,
            [
                "enter a",
                "enter b",
                "enter c",
                "exit a: cancelled",
                "exit b: cancelled",
                "exit c: cancelled",
                "exited a",
                "exited b",
                "exited c"
            ]
        );
    };
    async_with! { move_on_after(ms(10)) => {
        tokio::join!(one(&log, "a"), one(&log, "b"), one(&log, "c"));
    }}
    check(&log);
    async_with! { move_on_after(ms(10)) => {
        futures::join!(one(&log, "a"), async { futures::join!(one(&log, "b"), one(&log, "c")) });
    }}
    check(&log);
    async_with! { move_on_after(ms(10)) => {
        let mut set: FuturesUnordered<_> = ["a", "b", "c"].map(|name| one(&log, name)).into_iter().collect();
        while set.next().await.is_some() {}
    }}
    check(&log);
    // A set in a set in a set.
    async_with! { move_on_after(ms(10)) => {
        let mut set = FuturesUnordered::new();
        for name in ["a", "b", "c"] {
            let log = &log;
            set.push(async move {
                let mut set: FuturesUnordered<_> = std::iter::once(async {
                    let mut set: FuturesUnordered<_> = std::iter::once(one(log, name)).collect();
                    while set.next().await.is_some() {}
                }.boxed_local()).collect();
                while set.next().await.is_some() {}
            });
        }
        while set.next().await.is_some() {}
    }}
    check(&log);
}

/// CAN-6: so do many of them. A `FuturesUnordered` polls no more than a few that wake themselves, and then the rest later.
#[tokio::test(start_paused = true)]
async fn many_blocks_side_by_side_exit_in_place() {
    async fn one(log: &Log, name: &'static str) {
        async_with! { log.scoped(name).exit_pending(2) => {
            async_with! { log.scoped(name).exit_pending(2) => { pending::<()>().await } }
        }}
    }
    let log = Log::new();
    async_with! { move_on_after(ms(10)) => {
        let mut set: FuturesUnordered<_> = (0..100).map(|_| one(&log, "a")).collect();
        while set.next().await.is_some() {}
    }}
    let events = log.take();
    let count = |what: &str| {
        events
            .iter()
            .filter(|event| event.starts_with(what))
            .count()
    };
    assert_eq!(
        (count("enter"), count("exit a: cancelled"), count("exited")),
        (200, 200, 200)
    );
    assert_eq!(count("abandon"), 0);
}

/// CAN-6: so do blocks beside futures of other kinds, which keep their set busy.
#[tokio::test]
async fn blocks_beside_busy_futures_exit_in_place() {
    async fn one(log: &Log) {
        async_with! { log.scoped("a").exit_pending(2) => { pending::<()>().await } }
    }
    let log = Log::new();
    async_with! { move_on_when_cancelled(CancellationToken::new()) as token => {
        let token = &*token;
        let mut set = FuturesUnordered::new();
        set.push(one(&log).boxed_local());
        for _ in 0..100 {
            set.push(async move {
                pend(5).await;
                token.cancel();
                loop {
                    pend(1).await;
                }
            }.boxed_local());
        }
        while set.next().await.is_some() {}
    }}
    assert_eq!(log.take(), ["enter a", "exit a: cancelled", "exited a"]);
}

/// CAN-6: so do blocks that are polled in turn, one in each poll, however many there are.
#[tokio::test]
async fn blocks_that_are_polled_in_turn_exit_in_place() {
    async fn one(log: &Log) {
        async_with! { log.scoped("a") => { pending::<()>().await } }
    }
    let log = Log::new();
    async_with! { move_on_when_cancelled(CancellationToken::new()) as token => {
        let mut blocks: Vec<_> = (0..1000).map(|_| Box::pin(one(&log))).collect();
        for block in &mut blocks {
            assert!(futures::poll!(block).is_pending());
        }
        token.cancel();
        let mut turn = 0;
        poll_fn(|cx| {
            turn = (turn + 1) % blocks.len();
            blocks[turn].poll_unpin(cx)
        })
        .await;
    }}
    let events = log.take();
    let count = |what: &str| events.iter().filter(|event| *event == what).count();
    assert_eq!((count("exit a: cancelled"), count("abandon a")), (1000, 0));
}

/// CAN-6: an exit that the deadline finds running is finished, and then the deadline's error is raised: timeouts cover
/// the exits inside.
#[tokio::test(start_paused = true)]
async fn a_deadline_covers_the_exits_inside() {
    async fn run(log: &Log, gate: &Gate) -> Result<u8, Elapsed> {
        async_with! { timeout(ms(10)), log.manager("a"), log.manager("b").exit_waits_for(gate) => { Ok(1) } }
    }
    let log = Log::new();
    let start = Instant::now();
    assert!(run(&log, &opens_after(ms(50))).await.is_err());
    assert_eq!(start.elapsed(), ms(50));
    assert_eq!(
        log.take(),
        [
            "enter a",
            "enter b",
            "exit b: completed",
            "exited b",
            "exit a: cancelled"
        ]
    );
}

/// CAN-6: the exits outside are not covered.
#[tokio::test(start_paused = true)]
async fn a_deadline_does_not_cover_the_exits_outside() {
    async fn run(log: &Log, gate: &Gate) -> Result<u8, Elapsed> {
        async_with! { log.manager("a").exit_waits_for(gate), timeout(ms(10)) => { Ok(1) } }
    }
    let log = Log::new();
    let start = Instant::now();
    assert_eq!(run(&log, &opens_after(ms(50))).await, Ok(1));
    assert_eq!(start.elapsed(), ms(50));
    assert_eq!(log.take(), ["enter a", "exit a: completed", "exited a"]);
}

/// CAN-6: of nested deadlines that pass together, the outermost raises; of others, the first.
#[tokio::test(start_paused = true)]
async fn of_nested_deadlines_the_outermost_raises() {
    async fn nested(log: &Log, outer: u64, inner: u64) -> &'static str {
        async_with! { move_on_after(ms(outer)), log.manager("between"), move_on_after(ms(inner)), log.manager("inside") => {
            pending::<()>().await;
        }}
        log.write("after");
        "went on"
    }
    async fn raising(outer: u64, inner: u64) -> Result<&'static str, &'static str> {
        async fn inside(outer: u64, inner: u64) -> Result<Result<(), Elapsed>, Elapsed> {
            async_with! { timeout(ms(outer)) => {
                async fn inside(inner: u64) -> Result<(), Elapsed> {
                    async_with! { timeout(ms(inner)) => { pending().await } }
                }
                Ok(inside(inner).await)
            }}
        }
        match inside(outer, inner).await {
            Ok(Ok(())) => Ok("nobody"),
            Ok(Err(_)) => Err("inner"),
            Err(_) => Err("outer"),
        }
    }
    assert_eq!(raising(10, 10).await, Err("outer"));
    assert_eq!(raising(10, 20).await, Err("outer"));
    assert_eq!(raising(20, 10).await, Err("inner"));
    let log = Log::new();
    for (outer, inner, between) in [
        (10, 10, "exit between: cancelled"),
        (10, 20, "exit between: cancelled"),
        (20, 10, "exit between: completed"),
    ] {
        assert_eq!(nested(&log, outer, inner).await, "went on");
        assert_eq!(
            log.take(),
            [
                "enter between",
                "enter inside",
                "exit inside: cancelled",
                between,
                "after"
            ]
        );
    }
    // Three of them, in functions of their own, and a token.
    let token = CancellationToken::new();
    let (outermost, middle, innermost) = (
        move_on_after(ms(10)),
        move_on_after(ms(10)),
        move_on_after(ms(10)),
    );
    let deadlines = [&outermost, &middle, &innermost].map(|manager| manager.deadline());
    async_with! { outermost => {
        tokio::spawn({
            let token = token.clone();
            async move { sleep(ms(10)).await; token.cancel(); }
        });
        async_with! { middle, move_on_when_cancelled(token), innermost => { pending::<()>().await } }
        log.write("not reached");
    }}
    assert!(deadlines[0].expired());
    assert_eq!(log.take(), <[&str; 0]>::default());
}

/// CAN-6, CAN-1: a drop from outside wins over an interruption that is under way.
#[tokio::test(start_paused = true)]
async fn an_external_drop_wins() {
    let (log, gate) = (Log::new(), Gate::new());
    let collected = report::collect(async {
        let mut block = Box::pin(async {
            async_with! { log.manager("outer"), timeout(ms(10)), log.manager("a"), log.scoped("b"), log.manager("c").exit_waits_for(&gate) => {
                pending::<()>().await;
            }}
            Ok::<_, Elapsed>(())
        });
        assert!(futures::poll!(&mut block).is_pending());
        tokio::time::advance(ms(10)).await;
        for _ in 0..5 {
            assert!(futures::poll!(&mut block).is_pending());
        }
        assert_eq!(log.take()[4..], ["exit c: cancelled"]);
        drop(block);
        gate.open();
        drain().await;
    });
    let ((), entries) = collected.await;
    // ERR-5: nobody is left to raise that to.
    let told: Vec<_> = entries
        .iter()
        .map(|entry| (entry.phase, entry.cause, entry.incident.to_string()))
        .collect();
    let elapsed = "failed: Elapsed".to_owned();
    assert_eq!(told, [(Phase::Interrupt, Cause::Dropped, elapsed)]);
    assert_eq!(
        log.take(),
        [
            "abandon b",
            "exited c",
            "exit a: dropped",
            "exit outer: dropped"
        ]
    );

    // A timeout from outside that passes at the same time drops, if it is polled first.
    let block = async {
        async_with! { timeout(ms(10)), log.manager("a") => { pending::<()>().await } }
        Ok::<_, Elapsed>(())
    };
    tokio::select! {
        biased;
        () = sleep(ms(10)) => {}
        _ = block => unreachable!("it is polled second"),
    }
    drain().await;
    assert_eq!(log.take(), ["enter a", "exit a: dropped"]);
}

/// CAN-6: when body and interruption are ready in the same poll, the body wins.
#[tokio::test(start_paused = true)]
async fn a_body_that_is_ready_wins() {
    async fn on_the_dot() -> Result<u8, Elapsed> {
        async_with! { timeout(ms(10)) => { sleep(ms(10)).await; Ok(1) } }
    }
    async fn fails_on_the_dot() -> Result<u8, Error> {
        async_with! { timeout(ms(10)) => { sleep(ms(10)).await; Err(Boom("body"))?; Ok(1) } }
    }
    async fn with_a_token() -> Result<u8, Cancelled> {
        async_with! { cancellable(CancellationToken::new()) as token => { token.cancel(); Ok(1) } }
    }
    async fn without_a_wait() -> Result<u8, Elapsed> {
        async_with! { timeout_at(Instant::now()) => { Ok(1) } }
    }
    assert_eq!(on_the_dot().await, Ok(1));
    assert_eq!(fails_on_the_dot().await, Err(Error::Boom(Boom("body"))));
    assert_eq!(with_a_token().await, Ok(1));
    assert_eq!(without_a_wait().await, Ok(1));
}

/// CAN-6, CAN-1, CAN-4: a nested block that nobody polls any more is dropped, and its exit is awaited before the
/// interrupting block's.
#[tokio::test(start_paused = true)]
async fn a_nested_block_that_nobody_polls_is_dropped() {
    let log = Log::new();
    let gate = opens_after(ms(50));
    let start = Instant::now();
    let block = async {
        async_with! { move_on_after(ms(10)), log.manager("outer") => {
            let mut inner = pin!(async {
                async_with! { log.manager("inner").exit_waits_for(&gate) => { pending::<()>().await } }
            });
            assert!(futures::poll!(&mut inner).is_pending());
            pending::<()>().await;
        }}
        log.write("after");
    };
    within_reason(block).await;
    assert_eq!(start.elapsed(), ms(50));
    assert_eq!(
        log.take(),
        [
            "enter outer",
            "enter inner",
            "exit inner: dropped",
            "exited inner",
            "exit outer: cancelled",
            "after"
        ]
    );
}

/// CAN-6, CAN-2: so is one that was left alone in its exit, after it had been told.
#[tokio::test(start_paused = true)]
async fn a_nested_block_that_is_left_alone_in_its_exit_is_dropped() {
    let log = Log::new();
    let gate = opens_after(ms(50));
    let start = Instant::now();
    let block = async {
        async_with! { move_on_after(ms(10)), log.manager("outer") => {
            let mut inner = pin!(async {
                async_with! { log.manager("inner").exit_waits_for(&gate) => { pending::<()>().await } }
            });
            tokio::select! {
                () = &mut inner => {}
                () = sleep(ms(20)) => {}
            }
            log.write("went on");
            pending::<()>().await;
        }}
        log.write("after");
    };
    within_reason(block).await;
    assert!(start.elapsed() < ms(100), "{:?}", start.elapsed());
    assert_eq!(
        log.take(),
        [
            "enter outer",
            "enter inner",
            "exit inner: cancelled",
            "went on",
            "exited inner",
            "exit outer: cancelled",
            "after"
        ]
    );
}

/// CAN-6: a block that was moved out, and lives on elsewhere, does not hold up the interruption, and is not interrupted.
#[tokio::test(start_paused = true)]
async fn a_block_that_was_moved_away_is_left_alone() {
    let log = Log::new();
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let elsewhere = tokio::spawn(async move {
        let block: std::pin::Pin<Box<dyn Future<Output = ()> + Send>> =
            receiver.await.expect("it was sent");
        block.await;
    });
    let gate = opens_after(ms(50));
    let start = Instant::now();
    let mut inner = {
        let (log, gate) = (log.clone(), gate.clone());
        Box::pin(async move {
            async_with! { log.manager("inner") => { gate.opened().await } }
        })
    };
    async_with! { move_on_after(ms(10)) => {
        assert!(futures::poll!(&mut inner).is_pending());
        assert!(sender.send(inner).is_ok());
        pending::<()>().await;
    }}
    assert_eq!(start.elapsed(), ms(10));
    elsewhere.await.expect("it does not panic");
    assert_eq!(log.take(), ["enter inner", "exit inner: completed"]);
}

/// CAN-6: the blocks inside an exit are not interrupted, in place or detached; those inside an enter are.
#[tokio::test(start_paused = true)]
async fn the_blocks_of_an_exit_are_not_interrupted() {
    struct CleansUp(Log, bool);
    impl AsyncContextManager for CleansUp {
        type Resource = ();
        type Error = Infallible;
        type Exit = ();

        async fn enter(&mut self) -> Result<(), Infallible> {
            if self.1 {
                let log = &self.0;
                async_with! { log.manager("entering") => { pending::<()>().await } }
            }
            Ok(())
        }

        async fn exit(self, (): (), cause: Cause) -> Result<(), Infallible> {
            let log = &self.0;
            log.write(format!("exit: {}", short(cause)));
            async_with! { log.manager("x"), log.scoped("y") => {
                async_with! { log.manager("z") => { sleep(ms(50)).await } }
            }}
            Ok(())
        }
    }
    let inside = |first: &str| {
        [
            first,
            "enter x",
            "enter y",
            "enter z",
            "exit z: completed",
            "exit y: completed",
            "exit x: completed",
        ]
        .map(str::to_owned)
    };
    let log = Log::new();
    // It starts because of the interruption.
    async_with! { move_on_after(ms(10)), CleansUp(log.clone(), false) => { pending::<()>().await } }
    assert_eq!(log.take(), inside("exit: cancelled"));
    // It is running when the interruption comes.
    async_with! { move_on_after(ms(10)), CleansUp(log.clone(), false) => {} }
    assert_eq!(log.take(), inside("exit: completed"));
    // It was detached.
    async_with! { move_on_after(ms(10)) => {
        let mut block = Box::pin(async {
            async_with! { CleansUp(log.clone(), false) => { pending::<()>().await } }
        });
        assert!(futures::poll!(&mut block).is_pending());
        drop(block);
        pending::<()>().await;
    }}
    assert_eq!(log.take(), inside("exit: dropped"));
    // Nothing was entered yet.
    async_with! { move_on_after(ms(10)), CleansUp(log.clone(), true) => {} }
    assert_eq!(log.take(), ["enter entering", "exit entering: cancelled"]);
}

/// CAN-6, ERR-5: the error of an exit inside, and a failure that was on its way out, are reported.
#[tokio::test(start_paused = true)]
async fn errors_of_interrupted_blocks_are_reported() {
    async fn exit_fails(log: &Log) -> Result<(), Error> {
        async_with! { timeout(ms(10)), log.fallible("a").exit_fails() => { pending::<()>().await } }
        Ok(())
    }
    async fn body_failed(log: &Log, gate: &Gate) -> Result<(), Error> {
        async_with! { timeout(ms(10)), log.manager("a").exit_waits_for(gate) => { Err(Boom("body"))?; } }
        Ok(())
    }
    let log = Log::new();
    let (result, entries) = report::collect(exit_fails(&log)).await;
    assert_eq!(result, Err(Error::Elapsed));
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!(
        (
            entries[0].phase,
            entries[0].cause,
            entries[0].incident.to_string()
        ),
        (
            Phase::Exit,
            Cause::Cancelled,
            "failed: Boom(\"a\")".to_owned()
        )
    );
    let gate = opens_after(ms(50));
    let (result, entries) = report::collect(body_failed(&log, &gate)).await;
    assert_eq!(result, Err(Error::Elapsed));
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!(
        (entries[0].phase, entries[0].incident.to_string()),
        (Phase::Body, "failed: Boom(Boom(\"body\"))".to_owned())
    );
}

/// CAN-6, PAN-2, ERR-5: a panic of a block that was interrupted goes on, in place of the interruption's error, which is
/// reported.
#[tokio::test(start_paused = true)]
async fn panics_of_interrupted_blocks_go_on() {
    async fn exit_panics(log: &Log) -> Result<(), Error> {
        async_with! { log.manager("outer"), timeout(ms(10)), log.manager("a"), log.manager("b").exit_panics() => {
            pending::<()>().await;
        }}
        Ok(())
    }
    async fn body_panicked(log: &Log, gate: &Gate) -> Result<(), Error> {
        async_with! { timeout(ms(10)), log.manager("a").exit_waits_for(gate) => { resume_unwind(Box::new("body")); } }
    }
    let log = Log::new();
    let block = AssertUnwindSafe(exit_panics(&log)).catch_unwind();
    let (result, entries) = report::collect(block).await;
    let payload = result.expect_err("it panics");
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"b"));
    let told: Vec<_> = entries
        .iter()
        .map(|entry| (entry.phase, entry.incident.to_string()))
        .collect();
    assert_eq!(told, [(Phase::Interrupt, "failed: Elapsed".to_owned())]);
    assert_eq!(
        log.take()[3..],
        [
            "exit b: cancelled",
            "exit a: panicked",
            "exit outer: panicked"
        ]
    );
    let gate = opens_after(ms(50));
    let block = AssertUnwindSafe(body_panicked(&log, &gate)).catch_unwind();
    let payload = block.await.expect_err("it panics");
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"body"));
}

/// CAN-6, SUP-4: a manager inside cannot suppress an interruption that it did not ask for.
#[tokio::test(start_paused = true)]
async fn an_interruption_is_not_suppressed_inside() {
    async fn run(log: &Log) -> Result<(), Elapsed> {
        async_with! { timeout(ms(10)) => {
            async_with! { log.suppressing("a") => { pending::<()>().await } }
            log.write("not reached");
        }}
        Ok(())
    }
    let log = Log::new();
    assert!(run(&log).await.is_err());
    assert_eq!(log.take(), ["enter a", "exit a: cancelled"]);
}

/// A manager that interrupts, of its own, with a verdict.
struct Interrupts {
    log: Log,
    gate: Gate,
    verdict: Verdict,
}

impl ScopedAsyncContextManager for Interrupts {
    type Resource = ();
    type Error = Boom;
    type Exit = Verdict;

    async fn enter(&mut self) -> Result<(), Boom> {
        Ok(())
    }

    async fn exit(self, (): (), cause: Cause) -> Result<Verdict, Boom> {
        self.log.write(format!("exit interrupts: {}", short(cause)));
        Ok(self.verdict)
    }

    fn interrupt(&self, (): &()) -> impl Interruption<Boom> + use<> {
        let gate = self.gate.clone();
        async move {
            gate.opened().await;
            Boom("interrupt")
        }
    }
}

/// CAN-6: a scoped manager may interrupt as well, and decides whether its own error is raised.
#[tokio::test]
async fn a_scoped_manager_may_interrupt() {
    async fn run(log: &Log, verdict: Verdict) -> Result<u8, Boom> {
        let gate = Gate::new();
        let manager = Interrupts {
            log: log.clone(),
            gate: gate.clone(),
            verdict,
        };
        async_with! { log.manager("outer"), manager, log.scoped("inner").exit_pending(1) => {
            gate.open();
            Ok(pending().await)
        } else { Ok(2) } }
    }
    let log = Log::new();
    assert_eq!(run(&log, Verdict::Propagate).await, Err(Boom("interrupt")));
    let inside = [
        "enter outer",
        "enter inner",
        "exit inner: cancelled",
        "exited inner",
        "exit interrupts: cancelled",
    ];
    let events = log.take();
    assert_eq!(events[..5], inside);
    assert_eq!(
        events[5..],
        [
            "inspect outer: Boom(\"interrupt\")",
            "exit outer: failed Boom"
        ]
    );
    assert_eq!(run(&log, Verdict::Suppress).await, Ok(2));
    let events = log.take();
    assert_eq!(events[..5], inside);
    assert_eq!(events[5..], ["exit outer: completed"]);
}

/// CAN-6: an interruption that keeps no state of its own, because it looks at a static, is like any other.
#[tokio::test]
async fn an_interruption_without_state_is_cooperative() {
    static SHUTDOWN: AtomicBool = AtomicBool::new(false);

    struct Shutdown;
    impl AsyncContextManager for Shutdown {
        type Resource = ();
        type Error = Boom;
        type Exit = ();

        async fn enter(&mut self) -> Result<(), Boom> {
            Ok(())
        }

        async fn exit(self, (): (), _: Cause) -> Result<(), Boom> {
            Ok(())
        }

        fn interrupt(&self, (): &()) -> impl Interruption<Boom> + Send + use<> {
            poll_fn(|_| {
                if SHUTDOWN.load(Ordering::SeqCst) {
                    Poll::Ready(Boom("shutdown"))
                } else {
                    Poll::Pending
                }
            })
        }
    }
    async fn run(log: &Log) -> Result<(), Boom> {
        async_with! { Shutdown, log.scoped("a").exit_pending(1) => {
            SHUTDOWN.store(true, Ordering::SeqCst);
            pending::<()>().await;
        }}
        Ok(())
    }
    let log = Log::new();
    assert_eq!(run(&log).await, Err(Boom("shutdown")));
    assert_eq!(log.take(), ["enter a", "exit a: cancelled", "exited a"]);
}

/// CAN-6: what runs in another task is not inside.
#[tokio::test(start_paused = true)]
async fn other_tasks_are_not_interrupted() {
    let log = Log::new();
    let mut task = None;
    async_with! { move_on_after(ms(10)) => {
        let log = log.clone();
        task = Some(tokio::spawn(async move {
            async_with! { log.manager("a") => { sleep(ms(50)).await } }
        }));
        pending::<()>().await;
    }}
    task.expect("it was spawned").await.expect("it ends");
    assert_eq!(log.take(), ["enter a", "exit a: completed"]);
}

/// CAN-6: after an interruption that is over, blocks run as ever, also in the same function.
#[tokio::test(start_paused = true)]
async fn an_interruption_ends_with_its_block() {
    let log = Log::new();
    for _ in 0..3 {
        async_with! { move_on_after(ms(10)), log.scoped("a") => { pending::<()>().await } }
        async_with! { log.scoped("b") => { sleep(ms(20)).await } }
        assert_eq!(
            log.take(),
            [
                "enter a",
                "exit a: cancelled",
                "enter b",
                "exit b: completed"
            ]
        );
    }
}

/// CAN-6, FLO-1: a jump that was on its way out when the interruption came is given up.
#[tokio::test(start_paused = true)]
async fn a_jump_is_given_up_for_an_interruption() {
    async fn run(log: &Log, gate: &Gate) -> &'static str {
        async_with! { move_on_after(ms(10)) => {
            async_with! { log.manager("a").exit_waits_for(gate) => { return "returned"; } }
        }}
        "moved on"
    }
    let log = Log::new();
    assert_eq!(run(&log, &opens_after(ms(5))).await, "returned");
    assert_eq!(run(&log, &opens_after(ms(50))).await, "moved on");
}

/// Never finishes its exit.
struct Stuck(Log);

impl AsyncContextManager for Stuck {
    type Resource = Noted;
    type Error = Boom;
    type Exit = Verdict;

    async fn enter(&mut self) -> Result<Noted, Boom> {
        Ok(Noted(self.0.clone()))
    }

    async fn exit(self, _resource: Noted, cause: Cause) -> Result<Verdict, Boom> {
        self.0.write(format!("exit stuck: {}", short(cause)));
        pending().await
    }
}

/// A scoped manager that never finishes its exit.
struct ScopedStuck<'a>(&'a Log);

impl ScopedAsyncContextManager for ScopedStuck<'_> {
    type Resource = Noted;
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<Noted, Infallible> {
        Ok(Noted(self.0.clone()))
    }

    async fn exit(self, _resource: Noted, cause: Cause) -> Result<(), Infallible> {
        self.0.write(format!("exit stuck: {}", short(cause)));
        pending().await
    }
}

/// Writes when it is dropped.
struct Noted(Log);

impl Drop for Noted {
    fn drop(&mut self) {
        self.0.write("resource dropped");
    }
}

/// CAN-5: an exit that has a deadline is given up after it, which is reported; the resource is dropped, and the exits
/// further out go on.
#[tokio::test(start_paused = true)]
async fn an_exit_can_have_a_deadline() {
    async fn run(log: &Log) -> Result<u8, Boom> {
        async_with! { log.manager("a"), exit_within(ms(10), Stuck(log.clone())) => { Ok(1) } else { Ok(2) } }
    }
    async fn fails(log: &Log) -> Result<u8, Boom> {
        async_with! { log.manager("a"), exit_within(ms(10), Stuck(log.clone())) => { Err(Boom("body")) } else { Ok(2) } }
    }
    async fn scoped(log: &Log) {
        async_with! { log.manager("a"), exit_within(ms(10), ScopedStuck(log)) => {} }
    }
    let log = Log::new();
    let given_up = |entries: &[report::Entry], name: &str, cause: Cause| {
        assert_eq!(entries.len(), 1, "{entries:?}");
        assert!(entries[0].manager.contains(name), "{entries:?}");
        assert_eq!(
            (entries[0].phase, entries[0].cause, &entries[0].incident),
            (Phase::Exit, cause, &Incident::TimedOut(ms(10)))
        );
    };
    let start = Instant::now();
    let (result, entries) = report::collect(run(&log)).await;
    assert_eq!((result, start.elapsed()), (Ok(1), ms(10)));
    given_up(&entries, "Stuck", Cause::Completed);
    assert_eq!(
        log.take(),
        [
            "enter a",
            "exit stuck: completed",
            "resource dropped",
            "exit a: completed"
        ]
    );
    // It did not say that it suppresses.
    let (result, entries) = report::collect(fails(&log)).await;
    assert_eq!(result, Err(Boom("body")));
    assert_eq!(entries.len(), 1);
    assert_eq!(
        log.take().last().map(String::as_str),
        Some("exit a: failed Boom")
    );
    let ((), entries) = report::collect(scoped(&log)).await;
    given_up(&entries, "ScopedStuck", Cause::Completed);
    assert_eq!(
        log.take(),
        [
            "enter a",
            "exit stuck: completed",
            "resource dropped",
            "exit a: completed"
        ]
    );
    // A detached exit has the deadline too.
    let dropped = async {
        let mut block = Box::pin(async {
            async_with! { log.manager("a"), exit_within(ms(10), Stuck(log.clone())) => { pending::<()>().await } }
            Ok::<_, Boom>(())
        });
        assert!(futures::poll!(&mut block).is_pending());
        drop(block);
        drain().await;
    };
    let ((), entries) = report::collect(dropped).await;
    given_up(&entries, "Stuck", Cause::Dropped);
    assert_eq!(
        log.take(),
        [
            "enter a",
            "exit stuck: dropped",
            "resource dropped",
            "exit a: dropped"
        ]
    );
}

/// CAN-2, CAN-5: an exit that is handed over half-way keeps the deadline that it started with.
#[tokio::test(start_paused = true)]
async fn an_exit_keeps_its_deadline_when_it_is_detached() {
    let log = Log::new();
    let start = Instant::now();
    let dropped = async {
        let mut block = Box::pin(async {
            async_with! { exit_within(ms(10), Stuck(log.clone())) => {} }
            Ok::<_, Boom>(())
        });
        assert!(futures::poll!(&mut block).is_pending());
        sleep(ms(6)).await;
        drop(block);
        drain().await;
    };
    let ((), entries) = report::collect(dropped).await;
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!(start.elapsed(), ms(10));
    assert_eq!(log.take(), ["exit stuck: completed", "resource dropped"]);
}

/// CAN-5: an exit that is in time is not touched, and the manager keeps the rest of its protocol.
#[tokio::test(start_paused = true)]
async fn an_exit_within_its_deadline_is_the_manager_itself() {
    async fn run(log: &Log) -> Result<u8, Boom> {
        let slow = log
            .fallible("a")
            .exit_fails()
            .exit_waits_for(&opens_after(ms(5)));
        async_with! { exit_within(ms(10), slow) as a => { a.note(); Ok(1) } }
    }
    async fn interrupts(log: &Log) -> Result<(), Elapsed> {
        async_with! { exit_within(ms(10), timeout(ms(5))), exit_within(ms(10), log.scoped("a")) => { pending::<()>().await } }
        Ok(())
    }
    let log = Log::new();
    let (result, entries) = report::collect(run(&log)).await;
    assert_eq!((result, entries), (Err(Boom("a")), Vec::new()));
    assert_eq!(
        log.take(),
        ["enter a", "use a", "exit a: completed", "exited a"]
    );
    assert!(interrupts(&log).await.is_err());
    assert_eq!(log.take(), ["enter a", "exit a: cancelled"]);
    let mut block = Box::pin(async {
        async_with! { exit_within(ms(10), log.scoped("a")) => { pending::<()>().await } }
    });
    assert!(futures::poll!(&mut block).is_pending());
    drop(block);
    assert_eq!(log.take(), ["enter a", "abandon a"]);
}

/// CAN-6: nothing is opened any more in a body that is interrupted. A body that opened blocks again and again, each with an
/// exit that took its time, went on for ever.
#[tokio::test(start_paused = true)]
async fn a_body_that_goes_on_opening_blocks_is_interrupted() {
    let log = Log::new();
    let start = Instant::now();
    let retries = async {
        async_with! { move_on_after(ms(50)) => {
            loop {
                let gate = opens_after(ms(20));
                let slow = log.manager("slow").exit_waits_for(&gate);
                let once = async { async_with! { slow => { pending::<()>().await } } };
                let _ = tokio::time::timeout(ms(10), once).await;
            }
        }}
    };
    within_reason(retries).await;
    assert!(start.elapsed() < ms(200), "{:?}", start.elapsed());

    let token = CancellationToken::new();
    let (cancels, start) = (token.clone(), Instant::now());
    tokio::spawn(async move {
        sleep(ms(100)).await;
        cancels.cancel();
    });
    let accepts = async {
        async_with! { move_on_when_cancelled(token) => {
            let mut connections = FuturesUnordered::new();
            loop {
                tokio::select! {
                    () = sleep(ms(10)) => {
                        let gate = opens_after(ms(80));
                        let connection = log.manager("connection").exit_waits_for(&gate);
                        connections.push(async move {
                            async_with! { connection => { sleep(ms(30)).await } }
                        });
                    }
                    Some(()) = connections.next() => {}
                }
            }
        }}
    };
    within_reason(accepts).await;
    assert!(start.elapsed() < ms(300), "{:?}", start.elapsed());
    drain().await;
    let events = log.take();
    let count = |what: &str| {
        events
            .iter()
            .filter(|event| event.starts_with(what))
            .count()
    };
    assert_eq!(count("enter "), count("exited "));
}

/// CAN-6: a body that comes to its end later than its interruption, beside a block inside that keeps it from being
/// dropped, is interrupted all the same. What it ended with is lost to a report.
#[tokio::test(start_paused = true)]
async fn a_body_that_ends_after_its_interruption_is_interrupted() {
    let log = Log::new();
    let slow = || async {
        let gate = opens_after(ms(200));
        async_with! { log.manager("slow").exit_waits_for(&gate) => { pending::<()>().await } }
    };
    let moved_on = async {
        async_with! { move_on_after(ms(10)) => {
            tokio::select! { () = slow() => {}, () = sleep(ms(50)) => {} }
            "completed"
        } else { "moved on" } }
    };
    assert_eq!(moved_on.await, "moved on");
    let raised = async {
        async_with! { timeout(ms(10)) => {
            tokio::select! { () = slow() => {}, () = sleep(ms(50)) => {} }
            Err(Error::Boom(Boom("late")))
        }}
    };
    let jumped = async {
        let late: Result<(), Error> = loop {
            async_with! { timeout(ms(10)) => {
                tokio::select! { () = slow() => {}, () = sleep(ms(50)) => {} }
                break Err(Error::Boom(Boom("late")));
            }}
        };
        late
    };
    for (raised, reported) in [report::collect(raised).await, report::collect(jumped).await] {
        assert_eq!(raised, Err::<(), _>(Error::Elapsed));
        assert!(
            matches!(
                &*reported,
                [entry] if entry.phase == Phase::Body
                    && matches!(&entry.incident, Incident::Error { debug, .. } if debug.contains("late"))
            ),
            "{reported:?}"
        );
    }
}

/// CAN-6, ERR-5: an interruption that another one from further out overtakes, while blocks inside still end, is reported.
/// Of two in the same poll, only the outer one comes to pass.
#[tokio::test(start_paused = true)]
async fn an_interruption_that_is_overtaken_is_reported() {
    let log = Log::new();
    for (outer, expected) in [(60, 1), (20, 0)] {
        let overtaken = async {
            let inner = timeout(ms(20)).map_err(|_| Boom("broken"));
            async_with! { timeout(ms(outer)), inner => {
                let gate = opens_after(ms(100));
                async_with! { log.manager("slow").exit_waits_for(&gate) => { pending::<()>().await } }
                Ok::<(), Error>(())
            }}
        };
        let (raised, reported) = report::collect(overtaken).await;
        assert_eq!(raised, Err(Error::Elapsed));
        assert_eq!(reported.len(), expected, "{reported:?}");
        assert!(reported.iter().all(|entry| {
            entry.phase == Phase::Interrupt && entry.incident.to_string().contains("broken")
        }));
    }
}

/// CAN-4, CAN-6: a future that was polled in a block that is interrupted, and is moved out of it before it is told, goes on
/// where it is. It was never ready.
#[tokio::test(start_paused = true)]
async fn a_future_that_was_moved_out_of_an_interrupted_block_goes_on() {
    let log = Log::new();
    let work = |log: Log| async move {
        async_with! { log.manager("outer") => {
            async_with! { log.manager("inner") => { sleep(ms(50)).await; 7 } }
        }}
    };
    let mut moved = None;
    async_with! { move_on_after(ms(10)) => {
        let mut future = Box::pin(work(log.clone()));
        assert!(futures::poll!(future.as_mut()).is_pending());
        moved = Some(tokio::spawn(async move {
            sleep(ms(20)).await;
            future.await
        }));
        pending::<()>().await;
    }}
    let task = moved.expect("it was spawned");
    assert_eq!(within_reason(task).await.expect("it does not panic"), 7);
}

/// CAN-6: a block that has exited is polled again while its sibling still exits. That is as it should be, and not reported.
#[tokio::test(start_paused = true)]
async fn a_block_that_waits_for_its_sibling_is_not_reported() {
    let log = Log::new();
    let gate = opens_after(ms(50));
    let block = async {
        async_with! { move_on_after(ms(10)) => {
            let one = async { async_with! { log.manager("a") => { pending::<()>().await } } };
            let other = async {
                async_with! { log.manager("b").exit_waits_for(&gate) => { pending::<()>().await } }
            };
            futures::join!(one, other);
        }}
    };
    let ((), reported) = report::collect(block).await;
    assert_eq!(reported, []);
    let events = [
        "enter a",
        "enter b",
        "exit a: cancelled",
        "exit b: cancelled",
        "exited b",
    ];
    assert_eq!(log.take(), events);
}

/// CAN-6, ERR-5: a body that goes on after its interruption, for the sake of a block inside of it, and then fails: the
/// interruption is raised, and the failure is reported. So is the failure of a value that the block would have had.
#[tokio::test(start_paused = true)]
async fn a_body_that_fails_after_its_interruption() {
    type AnyError = Box<dyn std::error::Error + Send + Sync>;
    async fn lingers(log: &Log) {
        let gate = opens_after(ms(90));
        let inside = async {
            async_with! { log.manager("inside").exit_waits_for(&gate) => {} }
        };
        tokio::select! { () = inside => {}, () = sleep(ms(50)) => {} }
    }
    async fn leaves(log: &Log) -> Result<(), AnyError> {
        async_with! { timeout(ms(10)) => {
            lingers(log).await;
            Err(Boom("late"))?;
        }}
        Ok(())
    }
    async fn ends(log: &Log) -> Result<(), AnyError> {
        async_with! { timeout(ms(10)) => {
            lingers(log).await;
            Err(AnyError::from(Boom("late")))
        }}
    }
    let log = Log::new();
    for (result, reported) in [
        report::collect(leaves(&log)).await,
        report::collect(ends(&log)).await,
    ] {
        assert!(result.is_err_and(|error| error.is::<Elapsed>()));
        let [entry] = &*reported else {
            panic!("{reported:?}")
        };
        assert_eq!((entry.phase, entry.cause), (Phase::Body, Cause::Cancelled));
        assert!(entry.incident.to_string().contains("late"), "{entry:?}");
    }
}

/// CAN-6, ERR-5: a future that was told in a block that is interrupted has nothing to go on with after that. Polled again,
/// it is never ready, which is reported once, in the name of its manager.
#[tokio::test(start_paused = true)]
async fn a_future_that_was_interrupted_and_is_polled_again_is_reported() {
    async fn interrupted(log: &Log, work: impl Future<Output = u32>, manager: &str) {
        let mut work = pin!(work);
        async_with! { move_on_after(ms(10)) => { assert_eq!(work.as_mut().await, 7) } }
        assert_eq!(log.take(), ["enter work", "exit work: cancelled"]);
        let again = async {
            for _ in 0..3 {
                assert!(futures::poll!(work.as_mut()).is_pending());
            }
        };
        let ((), reported) = report::collect(again).await;
        let [entry] = &*reported else {
            panic!("{reported:?}")
        };
        assert_eq!(
            (entry.phase, entry.cause, &entry.incident),
            (Phase::Body, Cause::Cancelled, &Incident::Unfinished)
        );
        assert!(entry.manager.contains(manager), "{entry:?}");
    }
    let log = Log::new();
    let work = async {
        async_with! { log.manager("work") => { sleep(ms(50)).await; 7 } }
    };
    interrupted(&log, work, "Logged").await;
    let work = async {
        async_with! { log.scoped("work") => { sleep(ms(50)).await; 7 } }
    };
    interrupted(&log, work, "Scoped").await;
    let work = async {
        async_with! { AsyncExitStack::new() as stack => {
            stack.enter_infallible(log.manager("work")).await;
            sleep(ms(50)).await;
            7
        }}
    };
    interrupted(&log, work, "AsyncExitStack").await;
}

/// CAN-6: an interrupt is asked outside of the task's budget, so that a body that uses it up is interrupted like any other:
/// in a block, through an adaptor, and in a stack.
#[tokio::test]
async fn a_busy_body_is_interrupted() {
    /// Interrupts when there is a message, which costs a part of the budget to see.
    struct OnMessage(std::sync::Mutex<Option<mpsc::Receiver<()>>>);

    impl AsyncContextManager for OnMessage {
        type Resource = ();
        type Error = Boom;
        type Exit = ();

        async fn enter(&mut self) -> Result<(), Boom> {
            Ok(())
        }

        async fn exit(self, (): (), _: Cause) -> Result<(), Boom> {
            Ok(())
        }

        fn interrupt(&self, (): &()) -> impl Interruption<Boom> + Send + use<> {
            let receiver = self.0.lock().expect("nobody panics").take();
            async move {
                receiver.expect("one interrupt").recv().await;
                Boom("message")
            }
        }
    }

    async fn busy(sender: mpsc::Sender<()>) -> u32 {
        sender.send(()).await.expect("somebody listens");
        for _ in 0..1000 {
            tokio::task::consume_budget().await;
        }
        1000
    }

    let on_message = || {
        let (sender, receiver) = mpsc::channel(1);
        (sender, OnMessage(std::sync::Mutex::new(Some(receiver))))
    };
    let (sender, manager) = on_message();
    let block = async {
        async_with! { manager => { Ok(busy(sender).await) } }
    };
    assert_eq!(block.await, Err(Boom("message")));
    let (sender, manager) = on_message();
    let block = async {
        async_with! { manager.named("adaptor") => { Ok(busy(sender).await) } }
    };
    assert_eq!(block.await, Err(Boom("message")));
    let (sender, manager) = on_message();
    let block = async {
        async_with! { AsyncExitStack::new() as stack => {
            stack.enter(manager).await?;
            Ok(busy(sender).await)
        }}
    };
    assert_eq!(block.await, Err(Boom("message")));
}
