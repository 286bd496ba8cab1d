//! FLO: how control leaves the body.

use std::cell::Cell;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;

use async_with::{AsyncContextManager, AsyncExitStack, Outcome, async_with, drain, report};
use async_with_tests::{Boom, Log, Resource};
use futures::FutureExt;

fn exits(log: &Log) -> Vec<String> {
    let mut events = log.take();
    events.retain(|event| event.starts_with("exit"));
    events
}

/// FLO-1: labeled `break` with a value and `continue`, through three nested blocks.
#[tokio::test]
async fn jumps_go_through_nested_blocks() {
    let log = Log::new();
    let mut rounds = 0;
    let mut again = true;
    let value = 'outer: loop {
        rounds += 1;
        async_with! { log.manager("a"), log.scoped("b") => {
            for n in 0.. {
                async_with! { log.manager("c") as c => {
                    while n >= 0 {
                        async_with! { log.manager("d") as d => {
                            match (rounds, n) {
                                (1, 0) => break,
                                (1, 1) => continue 'outer,
                                (_, 0) if std::mem::take(&mut again) => continue,
                                (_, 0) => break,
                                (_, 1) => { d.note(); }
                                _ => {}
                            }
                            if d.value == 1 {
                                c.note();
                                break 'outer format!("{rounds} {n} {}", c.value);
                            }
                        }}
                        unreachable!("{rounds} {n}");
                    }
                }}
            }
            unreachable!();
        }}
    };
    assert_eq!(value, "2 1 1");
}

/// FLO-1: each jump means what it means without the macro.
#[tokio::test]
async fn jumps_mean_what_they_mean() {
    let log = Log::new();
    let mut trace = Vec::new();
    'a: for i in 0..3 {
        for j in 0..3 {
            async_with! { log.manager("a") => {
                trace.push((i, j));
                if j == 1 && i == 0 { continue 'a; }
                if j == 0 && i == 2 { break 'a }
                if j == 1 { break; }
                let inner = loop { break 5 };
                'block: { if inner == 5 { break 'block; } trace.push((9, 9)); }
                for k in 0..3 { if k == 1 { continue; } if k == 2 { break } }
            }}
        }
    }
    assert_eq!(trace, [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]);
    assert_eq!(exits(&log).len(), 5);
    let labeled = 'block: {
        async_with! { log.manager("a") => { if trace.len() == 5 { break 'block Some(1); } } }
        None
    };
    assert_eq!(labeled, Some(1));
    let boxed: Box<dyn Fn() -> u8> = loop {
        async_with! { log.manager("a"), log.manager("b") => { break Box::new(|| 3); } }
    };
    assert_eq!(boxed(), 3);
}

/// FLO-2: `?` and `return` inside macros.
#[tokio::test]
async fn questions_in_macros_work() {
    async fn run(log: &Log, how: u8) -> anyhow::Result<u64> {
        async_with! { log.manager("a") as a => {
            println!("{}", a.check(how != 0)?);
            if how == 1 {
                anyhow::bail!("bailed");
            }
            anyhow::ensure!(how != 2, "ensured");
            tokio::select! {
                () = std::future::ready(()) => {
                    if how == 3 { return Ok(3); }
                    a.check(how != 4)?;
                }
                () = std::future::pending() => {}
            }
            let _ = serde_json::json!({ "checked": a.check(how != 5)? });
            Ok(6)
        }}
    }
    let log = Log::new();
    let mut ends = Vec::new();
    for how in 0..7 {
        let end = run(&log, how).await;
        ends.push(end.map_err(|error| error.to_string()));
        let cause = if how == 3 || how == 6 {
            "completed"
        } else {
            "failed Error"
        };
        let cause = if how == 0 { "failed Error" } else { cause };
        assert_eq!(exits(&log), [format!("exit a: {cause}")], "{how}");
    }
    let failed = |what: &str| Err(what.to_owned());
    assert_eq!(
        ends[..3],
        [failed("boom: check"), failed("bailed"), failed("ensured")]
    );
    assert_eq!(
        ends[3..],
        [Ok(3), failed("boom: check"), failed("boom: check"), Ok(6)]
    );
}

/// FLO-3: jumps in other macros' tokens.
#[tokio::test]
async fn jumps_in_macros_work() {
    macro_rules! project {
        ($($tokens:tt)*) => { $($tokens)* };
    }
    let log = Log::new();
    let mut rounds = 0;
    'outer: loop {
        rounds += 1;
        async_with! { log.manager("a") => {
            tokio::select! {
                biased;
                () = std::future::ready(()), if rounds < 3 => continue,
                () = std::future::ready(()) => {
                    if rounds == 3 { continue 'outer; }
                    async_with! { log.manager("b") => {
                        if rounds == 4 { continue; }
                        project! { if rounds == 5 { continue 'outer; } }
                        assert!(rounds < 8, "{}", if rounds > 7 { break 'outer } else { 1 });
                        vec![rounds, if rounds == 6 { continue } else { 7 }];
                        println!("{}", if rounds == 7 { break } else { 8 });
                    }}
                }
                else => break,
            }
        }}
    }
    assert_eq!(rounds, 7);
    assert_eq!(exits(&log).len(), 7 + 4);
}

/// FLO-4: an `Err` is a failure, whichever way it leaves; every other value is completion.
#[tokio::test]
async fn an_error_that_leaves_is_a_failure() {
    struct Response(u16);
    impl Outcome for Response {
        fn is_failure(&self) -> bool {
            self.0 >= 500
        }
    }
    struct Plain(#[allow(dead_code)] u16);

    async fn tail(log: &Log) -> Result<u8, Boom> {
        async_with! { log.manager("a") => { Err(Boom("tail")) } }
    }
    async fn kept(log: &Log) -> u8 {
        let kept: Result<u8, Boom> = async_with! { log.manager("a") => { Err(Boom("kept")) } };
        kept.unwrap_or(4)
    }
    async fn option(log: &Log) -> Option<u8> {
        async_with! { log.manager("a") => { None?; } }
        Some(1)
    }
    async fn response(log: &Log, status: u16) -> Response {
        async_with! { log.manager("a") => { if status == 501 { return Response(501); } Response(status) } }
    }
    async fn plain(log: &Log) -> Plain {
        async_with! { log.manager("a") => { Plain(500) } }
    }
    async fn bounded<R: Outcome>(log: &Log, value: R) -> R {
        async_with! { log.manager("a") => { value } }
    }
    async fn unbounded<R>(log: &Log, value: R) -> R {
        async_with! { log.manager("a") => { value } }
    }
    async fn opaque(log: &Log) -> impl Iterator<Item = u8> + use<> {
        async_with! { log.manager("a") => { vec![1].into_iter() } }
    }

    let log = Log::new();
    assert_eq!(tail(&log).await, Err(Boom("tail")));
    assert_eq!(exits(&log), ["exit a: failed Boom"]);
    assert_eq!(kept(&log).await, 4);
    assert_eq!(exits(&log), ["exit a: failed Boom"]);
    assert_eq!(option(&log).await, None);
    assert_eq!(exits(&log), ["exit a: completed"]);
    for (status, cause) in [
        (200, "completed"),
        (500, "failed Response"),
        (501, "failed Response"),
    ] {
        assert_eq!(response(&log, status).await.0, status);
        assert_eq!(exits(&log), [format!("exit a: {cause}")]);
    }
    plain(&log).await;
    assert_eq!(exits(&log), ["exit a: completed"]);
    assert_eq!(bounded(&log, Err::<u8, _>(Boom("b"))).await, Err(Boom("b")));
    assert_eq!(exits(&log), ["exit a: failed Boom"]);
    assert_eq!(bounded(&log, Ok::<u8, Boom>(3)).await, Ok(3));
    bounded(&log, ()).await;
    assert_eq!(exits(&log), ["exit a: completed", "exit a: completed"]);
    assert_eq!(
        unbounded(&log, Err::<u8, _>(Boom("b"))).await,
        Err(Boom("b"))
    );
    assert_eq!(exits(&log), ["exit a: completed"]);
    assert_eq!(opaque(&log).await.count(), 1);
    assert_eq!(exits(&log), ["exit a: completed"]);
}

/// FLO-4, EXI-4, ERR-6: so is one that a `break` carries, out of a loop or a block, through any number of managers. Each
/// is told of it, and shown it.
#[tokio::test]
async fn an_error_that_a_break_carries_is_a_failure() {
    struct Response(u16);
    impl Outcome for Response {
        fn is_failure(&self) -> bool {
            self.0 >= 500
        }
    }
    async fn left(log: &Log, how: u8) -> Result<u8, Boom> {
        'all: loop {
            let response = 'block: {
                let nothing: Option<u8> = loop {
                    async_with! { log.manager("a"), log.manager("b") => {
                        match how {
                            0 => break 'all Err(Boom("labeled")),
                            1 => break 'all Ok(1),
                            2 => break 'block Response(500),
                            3 => break 'block Response(200),
                            _ => break None,
                        }
                    }}
                };
                assert_eq!(nothing, None);
                Response(204)
            };
            async_with! { log.manager("c") => { break Ok(u8::try_from(response.0 / 100).unwrap()) } }
        }
    }
    let log = Log::new();
    let failed = |what: &str| {
        ["b", "a"]
            .map(|name| format!("exit {name}: {what}"))
            .to_vec()
    };
    assert_eq!(left(&log, 0).await, Err(Boom("labeled")));
    let events = log.take();
    assert_eq!(
        events[2..],
        [
            "inspect b: Boom(\"labeled\")",
            "exit b: failed Boom",
            "inspect a: Boom(\"labeled\")",
            "exit a: failed Boom"
        ]
    );
    for (how, expected, cause) in [
        (1, 1, "completed"),
        (2, 5, "failed Response"),
        (3, 2, "completed"),
        (4, 2, "completed"),
    ] {
        assert_eq!(left(&log, how).await, Ok(expected));
        let mut events = exits(&log);
        if how > 1 {
            assert_eq!(events.pop().as_deref(), Some("exit c: completed"));
        }
        assert_eq!(events, failed(cause), "{how}");
    }
}

/// FLO-4, FLO-7: what a `break` carries may have a type that only later code tells, or none that is known to be an error.
#[tokio::test]
async fn a_break_carries_what_is_inferred_later() {
    fn is_boom<T: Default>(result: Result<T, Boom>) -> T {
        result.unwrap_or_default()
    }
    async fn unbounded<T>(log: &Log, value: T) -> T {
        loop {
            async_with! { log.manager("a") => { break value } }
        }
    }
    let log = Log::new();
    let later = loop {
        async_with! { log.manager("a") => { break Err("b".len()) } }
    };
    let number: Result<u8, usize> = later;
    assert_eq!(number, Err(1));
    assert_eq!(exits(&log), ["exit a: failed usize"]);
    let converted = 'value: {
        async_with! { log.manager("a") => {
            if log.events().is_empty() { break 'value Ok(7); }
            break 'value Err(Boom("converted"));
        }}
    };
    assert_eq!(is_boom::<u8>(converted), 0);
    assert_eq!(exits(&log), ["exit a: failed Boom"]);
    let block = async {
        loop {
            async_with! { log.manager("a") => { break Err(Boom("block")) } }
        }
    };
    assert_eq!(is_boom::<u8>(block.await), 0);
    assert_eq!(exits(&log), ["exit a: failed Boom"]);
    let number = loop {
        async_with! { log.manager("a") => { break 7 } }
    };
    assert_eq!(u64::from(8_u8), number + 1);
    let borrowed = loop {
        async_with! { log.manager("a") => { break Ok::<_, Boom>(&log) } }
    };
    assert!(borrowed.is_ok());
    let _ = unbounded(&log, Err::<u8, _>(Boom("unbounded"))).await;
    assert_eq!(exits(&log), ["exit a: completed"; 3]);
}

/// FLO-5: the value is evaluated before the exits run.
#[tokio::test]
async fn values_are_evaluated_before_the_exits() {
    async fn run(log: &Log, early: bool) -> String {
        let value = |log: &Log| {
            log.write("value");
            "v".to_owned()
        };
        async_with! { log.manager("a") => {
            if early { return value(log); }
            loop { break value(log) }
        }}
    }
    for early in [true, false] {
        let log = Log::new();
        assert_eq!(run(&log, early).await, "v");
        assert_eq!(log.take(), ["enter a", "value", "exit a: completed"]);
    }
}

/// FLO-6: an exit's error on a completed path takes the place of what was pending; suppressed further out, execution
/// goes on after the block.
#[tokio::test]
async fn a_failing_exit_replaces_what_was_pending() {
    async fn lost(log: &Log, how: u8) -> Result<u8, Boom> {
        for _ in 0..1 {
            async_with! { log.fallible("a").exit_fails() => {
                match how {
                    0 => return Ok(1),
                    1 => break,
                    _ => {}
                }
            }}
        }
        Ok(9)
    }
    async fn goes_on(log: &Log, how: u8) -> Result<u8, Boom> {
        for _ in 0..1 {
            async_with! { log.suppressing("s"), log.fallible("a").exit_fails() => {
                match how {
                    0 => return Ok(1),
                    1 => break,
                    _ => {}
                }
            }}
            return Ok(8);
        }
        Ok(9)
    }
    let log = Log::new();
    for how in 0..3 {
        assert_eq!(lost(&log, how).await, Err(Boom("a")));
        assert_eq!(exits(&log), ["exit a: completed"]);
        assert_eq!(goes_on(&log, how).await, Ok(8));
        assert_eq!(exits(&log), ["exit a: completed", "exit s: failed Boom"]);
    }
}

/// FLO-6, ERR-3, ERR-4, SUP-2: what a `break` carries is lost, kept and suppressed as what is returned is; nothing of it
/// is lost without a report.
#[tokio::test]
async fn a_failure_that_a_break_carries_meets_the_exits() {
    type Left = Result<u8, Boom>;
    async fn left(
        exits: impl AsyncContextManager<Resource = Resource, Error = Boom, Exit = ()>,
        good: bool,
    ) -> Left {
        let value = loop {
            async_with! { exits => { break if good { Ok(1) } else { Err(Boom("body")) }; } }
        };
        assert_eq!(
            value.is_ok(),
            good,
            "a value that is lost does not come here"
        );
        value
    }
    async fn goes_on(log: &Log, good: bool) -> Left {
        let value: Left = 'value: {
            async_with! { log.suppressing("s"), log.fallible("a").exit_fails() => {
                break 'value if good { Ok(1) } else { Err(Boom("body")) };
            }}
            Ok(9)
        };
        value
    }
    async fn otherwise(log: &Log) -> Left {
        loop {
            async_with! { log.suppressing("s") => { break Err(Boom("body")) } else { break Ok(9) } }
        }
    }
    async fn reports<T>(future: impl Future<Output = T>) -> (T, Vec<String>) {
        let (left, entries) = report::collect(future).await;
        (
            left,
            entries
                .iter()
                .map(|entry| format!("{}: {}", entry.phase, entry.incident))
                .collect(),
        )
    }
    let log = Log::new();
    let boom = |what: &'static str| vec![format!("exit: failed: Boom(\"{what}\")")];

    // An exit that fails as well.
    let failing = || log.fallible("a").exit_fails();
    assert_eq!(
        reports(left(failing(), true)).await,
        (Err(Boom("a")), vec![])
    );
    assert_eq!(
        reports(left(failing(), false)).await,
        (Err(Boom("body")), boom("a"))
    );
    let _ = log.take();
    // One that suppresses, around it.
    assert_eq!(reports(goes_on(&log, true)).await, (Ok(9), vec![]));
    assert_eq!(exits(&log), ["exit a: completed", "exit s: failed Boom"]);
    assert_eq!(reports(goes_on(&log, false)).await, (Ok(9), boom("a")));
    assert_eq!(exits(&log), ["exit a: failed Boom", "exit s: failed Boom"]);
    assert_eq!(otherwise(&log).await, Ok(9));
    assert_eq!(exits(&log), ["exit s: failed Boom"]);
    // One that panics.
    let panics = left(log.fallible("a").exit_panics(), false);
    let (caught, reported) = reports(AssertUnwindSafe(panics).catch_unwind()).await;
    assert!(caught.is_err());
    assert_eq!(reported, ["body: failed: Boom(\"body\")"]);
    // One that is dropped.
    let dropped = async {
        let mut block = Box::pin(left(log.fallible("a").exit_pending(1), false));
        assert!(futures::poll!(&mut block).is_pending());
        drop(block);
        drain().await;
    };
    assert_eq!(reports(dropped).await.1, ["body: failed: Boom(\"body\")"]);
    // Those of a stack.
    async fn stacked(log: &Log) -> Left {
        loop {
            async_with! { AsyncExitStack::new() as stack => {
                stack.enter(log.fallible("a")).await?;
                break Err(Boom("body"));
            }}
        }
    }
    let _ = log.take();
    assert_eq!(stacked(&log).await, Err(Boom("body")));
    let events = log.take();
    assert_eq!(
        events[1..],
        ["inspect a: Boom(\"body\")", "exit a: failed Boom"]
    );
}

/// FLO-7: in functions and blocks of every kind.
#[tokio::test]
async fn every_kind_of_function_works() {
    struct Service(Log);
    trait Handle {
        async fn handle(&self, n: u8) -> Result<u8, Boom>;
    }
    impl Service {
        async fn method(&mut self, n: u8) -> Option<u8> {
            async_with! { self.0.manager("a") => { Some(n.checked_sub(1)?) } }
        }
    }
    impl Handle for Service {
        async fn handle(&self, n: u8) -> Result<u8, Boom> {
            async_with! { self.0.scoped("a") as a => { a.check(n > 0)?; } }
            Ok(n)
        }
    }
    async fn generic<T, E, F>(log: &Log, make: F) -> Result<T, E>
    where
        E: std::fmt::Debug + 'static,
        F: AsyncFnOnce() -> Result<T, E>,
    {
        async_with! { log.manager("a") => { make().await } }
    }
    fn recursive<'a>(
        log: &'a Log,
        n: u8,
    ) -> Pin<Box<dyn Future<Output = Result<u8, Boom>> + Send + 'a>> {
        Box::pin(async move {
            async_with! { log.manager("r") => {
                if n == 0 { return Ok(0); }
                Ok(recursive(log, n - 1).await? + 1)
            }}
        })
    }
    async fn nothing(log: &Log) {
        async_with! { log.manager("a") => { if log.take().is_empty() { return; } } }
    }
    async fn forever(log: &Log, done: &Cell<bool>) -> ! {
        async_with! { log.manager("a") => { loop { done.set(true); tokio::task::yield_now().await; } } }
    }

    let log = Log::new();
    let mut service = Service(log.clone());
    assert_eq!(service.method(0).await, None);
    assert_eq!(service.method(3).await, Some(2));
    assert_eq!(service.handle(0).await, Err(Boom("check")));
    assert_eq!(service.handle(1).await, Ok(1));
    assert_eq!(
        generic(&log, async || Err::<u8, _>(Boom("g"))).await,
        Err(Boom("g"))
    );
    assert_eq!(exits(&log).len(), 5);
    assert_eq!(recursive(&log, 3).await, Ok(3));
    assert_eq!(exits(&log).len(), 4);
    nothing(&log).await;
    let done = Cell::new(false);
    tokio::select! {
        () = async { while !done.get() { tokio::task::yield_now().await; } } => {}
        _ = forever(&log, &done) => {}
    }
    let closure = async |n: u8| -> Result<u8, Boom> {
        async_with! { log.manager("c") as c => { c.check(n > 0)?; } }
        Ok(n)
    };
    assert_eq!(closure(1).await, Ok(1));
    assert_eq!(closure(0).await, Err(Boom("check")));
}

/// FLO-7, SYN-7: blocks whose type nobody wrote down.
#[tokio::test]
async fn blocks_without_annotations_work() {
    async fn check(good: bool) -> Result<u8, Boom> {
        if good { Ok(1) } else { Err(Boom("spawned")) }
    }
    let log = Log::new();
    let plain = log.clone();
    let value = tokio::spawn(async move {
        async_with! { plain.manager("a") as a => { a.note(); a.value } }
    });
    assert_eq!(value.await.unwrap(), 1);
    let statement = log.clone();
    tokio::spawn(async move {
        async_with! { statement.manager("a") => { statement.write("in"); } }
    })
    .await
    .unwrap();
    let early = log.clone();
    let value = tokio::spawn(async move {
        async_with! { early.manager("a"), early.manager("b") => { if early.take().len() == 4 { return 3; } 4 } }
    });
    assert_eq!(value.await.unwrap(), 4);
    let question = log.clone();
    let value = tokio::spawn(async move {
        async_with! { question.manager("a"), question.fallible("b") => { check(false).await?; } };
        Ok::<_, Boom>(())
    });
    assert_eq!(value.await.unwrap(), Err(Boom("spawned")));
    let any = log.clone();
    let value = tokio::spawn(async move {
        let n = async_with! { any.fallible("a").enter_fails() => { check(true).await? } };
        anyhow::Ok(n)
    });
    assert_eq!(value.await.unwrap().unwrap_err().to_string(), "boom: a");
    let nested = log.clone();
    let value = tokio::spawn(async move {
        async_with! { nested.manager("a") => {
            async_with! { nested.manager("b") => {
                if nested.take().is_empty() { return None; }
                Some("x")
            }}
        }}
    });
    assert_eq!(value.await.unwrap(), Some("x"));
    let server = log.clone();
    let task = tokio::spawn(async move {
        async_with! { server.manager("server") => {
            loop {
                server.write("round");
                tokio::task::yield_now().await;
            }
        }}
    });
    tokio::task::yield_now().await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    async_with! { log.manager("json") as a => {
        let _ = serde_json::json!({ "a": a.value, "list": [1, 2, { "b": null }] });
    }}
    if log.take().is_empty() {
        async_with! { log.manager("a") => { return; } }
    }
}

/// FLO-7: the body of `#[tokio::main]` is a block without annotation.
#[test]
fn tokio_main_works() {
    #[tokio::main(flavor = "current_thread")]
    async fn main_with(log: Log) -> Result<(), Boom> {
        async_with! { log.manager("a") as a => { a.check(false)?; } }
        Ok(())
    }
    let log = Log::new();
    assert_eq!(main_with(log.clone()), Err(Boom("check")));
    assert_eq!(exits(&log), ["exit a: failed Boom"]);
}
