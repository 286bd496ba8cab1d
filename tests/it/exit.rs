//! EXI: when exit runs, and what it is told.

use std::convert::Infallible;

use async_with::{AsyncContextManager, Cause, async_with};
use async_with_tests::{Boom, Log, pend};
use futures::FutureExt;
use std::panic::AssertUnwindSafe;

/// EXI-1, EXI-4: exit runs exactly once for each way out of the body, and is told which.
#[tokio::test]
async fn exit_runs_once_and_is_told_the_cause() {
    async fn run(log: &Log, how: &str) -> Result<Option<u8>, Boom> {
        loop {
            async_with! { log.manager("a") as a => {
                match how {
                    "end" => {}
                    "return" => return Ok(Some(1)),
                    "none" => return Ok(None),
                    "break" => break,
                    "continue" => continue_once(log)?,
                    "question" => { a.check(false)?; }
                    "error" => return Err(Boom("error")),
                    _ => panic!("panic"),
                }
            }}
            return Ok(None);
        }
        Ok(Some(2))
    }
    fn continue_once(log: &Log) -> Result<(), Boom> {
        log.write("went on");
        Ok(())
    }
    let told = [
        ("end", "completed"),
        ("return", "completed"),
        ("none", "completed"),
        ("break", "completed"),
        ("continue", "completed"),
        ("question", "failed Boom"),
        ("error", "failed Boom"),
        ("panic", "panicked"),
    ];
    for (how, cause) in told {
        let log = Log::new();
        let _ = AssertUnwindSafe(run(&log, how)).catch_unwind().await;
        let events = log.take();
        let exits: Vec<_> = events
            .iter()
            .filter(|event| event.starts_with("exit"))
            .collect();
        assert_eq!(exits, [&format!("exit a: {cause}")], "{how}: {events:?}");
        assert_eq!(events[0], "enter a");
    }
}

/// EXI-2: a failing item skips what is inside it, and the items before it are told.
#[tokio::test]
async fn a_failing_enter_reaches_the_exits_outside() {
    async fn enter_fails(log: &Log) -> Result<(), Boom> {
        async_with! { log.manager("a"), log.fallible("b").enter_fails(), log.manager("c") => {
            log.write("body");
        }}
        Ok(())
    }
    async fn expression_fails(log: &Log) -> Result<(), Boom> {
        async_with! { log.manager("a"), Err(Boom("expression")).map(|()| log.manager("b"))? => {
            log.write("body");
        }}
        Ok(())
    }
    let log = Log::new();
    assert_eq!(enter_fails(&log).await, Err(Boom("b")));
    assert_eq!(
        log.take(),
        [
            "enter a",
            "enter b",
            "inspect a: Boom(\"b\")",
            "exit a: failed Boom"
        ]
    );
    assert_eq!(expression_fails(&log).await, Err(Boom("expression")));
    assert_eq!(
        log.take(),
        [
            "enter a",
            "inspect a: Boom(\"expression\")",
            "exit a: failed Boom"
        ]
    );
}

/// EXI-3: the binding is inside the protected region.
#[tokio::test]
async fn a_panic_in_the_binding_reaches_the_exit() {
    struct Manager(Log);
    struct Bomb(u8);
    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(self.0 != 1, "bomb");
        }
    }
    impl AsyncContextManager for Manager {
        type Resource = Bomb;
        type Error = Infallible;
        type Exit = ();

        async fn enter(&mut self) -> Result<Bomb, Infallible> {
            Ok(Bomb(0))
        }

        async fn exit(self, _: Bomb, cause: Cause) -> Result<(), Infallible> {
            self.0.write(format!("exit: {cause}"));
            Ok(())
        }
    }
    let log = Log::new();
    // Of a pattern, only what the body does first with it can panic.
    let block = async {
        async_with! { Manager(log.clone()) as bomb => { drop(std::mem::replace(bomb, Bomb(0))); drop(Bomb(1)); } }
    };
    assert!(AssertUnwindSafe(block).catch_unwind().await.is_err());
    assert_eq!(log.take(), ["exit: panicked"]);
}

/// EXI-5: each outer exit sees the current state.
#[tokio::test]
async fn outer_exits_see_what_inner_exits_changed() {
    async fn raised_by_an_exit(log: &Log) -> Result<u8, Boom> {
        async_with! { log.manager("a"), log.fallible("b").exit_fails(), log.manager("c") => { Ok(1) } }
    }
    async fn suppressed(log: &Log) -> Result<u8, Boom> {
        async_with! { log.manager("a"), log.suppressing("b"), log.manager("c") as c => { c.check(false)?; } }
        Ok(2)
    }
    let log = Log::new();
    assert_eq!(raised_by_an_exit(&log).await, Err(Boom("b")));
    let exits = |log: &Log| {
        let mut events = log.take();
        events.retain(|event| event.starts_with("exit"));
        events
    };
    assert_eq!(
        exits(&log),
        [
            "exit c: completed",
            "exit b: completed",
            "exit a: failed Boom"
        ]
    );
    assert_eq!(suppressed(&log).await, Ok(2));
    assert_eq!(
        exits(&log),
        [
            "exit c: failed Boom",
            "exit b: failed Boom",
            "exit a: completed"
        ]
    );
}

/// A manager whose guard surrounds the polls of its body.
struct Around(Log);

struct Guard<'a>(&'a Log);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.write(")");
    }
}

impl AsyncContextManager for Around {
    type Resource = ();
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<(), Infallible> {
        self.0.write("enter");
        Ok(())
    }

    async fn exit(self, (): (), cause: Cause) -> Result<(), Infallible> {
        self.0.write(format!("exit: {cause}"));
        Ok(())
    }

    fn around_poll(&self) -> impl Sized {
        self.0.write("(");
        Guard(&self.0)
    }
}

/// EXI-6: the guard surrounds every poll of the body and its drop, and nothing else.
#[tokio::test]
async fn around_poll_surrounds_the_body() {
    struct Dropped(Log);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.write("drop");
        }
    }
    let log = Log::new();
    let moved = Dropped(log.clone());
    async_with! { Around(log.clone()) => {
        let _moved = moved;
        log.write("1");
        pend(1).await;
        log.write("2");
    }}
    assert_eq!(
        log.take(),
        [
            "enter",
            "(",
            "1",
            ")",
            "(",
            "2",
            "drop",
            ")",
            "(",
            ")",
            "exit: completed"
        ]
    );
    let moved = Dropped(log.clone());
    let mut block = Box::pin(async {
        async_with! { Around(log.clone()) => {
            let _moved = moved;
            pend(9).await;
        }}
    });
    assert!(futures::poll!(&mut block).is_pending());
    drop(block);
    tokio::task::yield_now().await;
    assert_eq!(
        log.take(),
        ["enter", "(", ")", "(", "drop", ")", "exit: dropped"]
    );
}

/// EXI-6: a tracing span as a manager; the events of the body lie inside it.
#[test]
fn a_tracing_span_can_be_a_manager() {
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::layer::{Context, SubscriberExt};
    use tracing_subscriber::registry::LookupSpan;

    struct InSpan(tracing::Span);

    impl AsyncContextManager for InSpan {
        type Resource = ();
        type Error = Infallible;
        type Exit = ();

        async fn enter(&mut self) -> Result<(), Infallible> {
            Ok(())
        }

        async fn exit(self, (): (), _: Cause) -> Result<(), Infallible> {
            Ok(())
        }

        fn around_poll(&self) -> impl Sized {
            self.0.enter()
        }
    }

    #[derive(Clone, Default)]
    struct Scopes(Arc<Mutex<Vec<Option<&'static str>>>>);

    impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> tracing_subscriber::Layer<S> for Scopes {
        fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
            let name = context.event_span(event).map(|span| span.metadata().name());
            self.0.lock().unwrap().push(name);
        }
    }

    let scopes = Scopes::default();
    let subscriber = tracing_subscriber::registry().with(scopes.clone());
    tracing::subscriber::with_default(subscriber, || {
        let block = async {
            tracing::info!("before");
            async_with! { InSpan(tracing::info_span!("outer")), InSpan(tracing::info_span!("inner")) => {
                tracing::info!("first");
                pend(1).await;
                tracing::info!("second");
            }}
            tracing::info!("after");
        };
        futures::executor::block_on(block);
    });
    assert_eq!(
        *scopes.0.lock().unwrap(),
        [None, Some("inner"), Some("inner"), None]
    );
}

/// EXI-7: `inspect` of a manager runs directly before its exit.
#[tokio::test]
async fn inspect_runs_directly_before_exit() {
    async fn run(log: &Log) -> Result<(), Boom> {
        async_with! { log.manager("a").pending(1), log.scoped("b") as b => { b.check(false)?; } }
        Ok(())
    }
    let log = Log::new();
    assert_eq!(run(&log).await, Err(Boom("check")));
    let events = log.take();
    assert_eq!(
        events[2..],
        [
            "inspect b: Boom(\"check\")",
            "exit b: failed Boom",
            "inspect a: Boom(\"check\")",
            "exit a: failed Boom",
            "exited a"
        ]
    );
}

/// EXI-7: an exit is polled in the scope of the enclosing block: what it detaches is waited for there.
#[tokio::test]
async fn exits_are_polled_in_the_enclosing_scope() {
    struct Leaves(Log);
    impl AsyncContextManager for Leaves {
        type Resource = ();
        type Error = Infallible;
        type Exit = ();

        async fn enter(&mut self) -> Result<(), Infallible> {
            Ok(())
        }

        async fn exit(self, (): (), _: Cause) -> Result<(), Infallible> {
            // A block that is dropped inside the exit.
            let log = self.0;
            let mut inner = Box::pin(async {
                async_with! { log.manager("dropped").pending(3) => { std::future::pending::<()>().await } }
            });
            for _ in 0..5 {
                assert!(futures::poll!(&mut inner).is_pending());
            }
            drop(inner);
            log.write("exit leaves");
            Ok(())
        }
    }
    let log = Log::new();
    async_with! { log.manager("outer"), Leaves(log.clone()) => {} }
    assert_eq!(
        log.take(),
        [
            "enter outer",
            "enter dropped",
            "exit leaves",
            "exit dropped: dropped",
            "exited dropped",
            "exit outer: completed"
        ]
    );
}
