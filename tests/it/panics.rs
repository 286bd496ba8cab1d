//! PAN: a panic anywhere runs every exit that is owed, and is resumed.

use std::any::Any;
use std::convert::Infallible;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_with::report::{self, Entry, Phase};
use async_with::{
    AsyncContextManager, AsyncExitStack, Cause, Interruption, Raised, ScopedAsyncContextManager,
    Verdict, async_with,
};
use async_with_tests::{Boom, Log, short};
use futures::FutureExt;

async fn caught<T>(
    future: impl Future<Output = T>,
) -> (Result<T, Box<dyn Any + Send>>, Vec<Entry>) {
    report::collect(AssertUnwindSafe(future).catch_unwind()).await
}

fn payload<T: std::fmt::Debug>(result: Result<T, Box<dyn Any + Send>>) -> &'static str {
    result
        .expect_err("it panics")
        .downcast_ref::<&'static str>()
        .copied()
        .unwrap_or("other")
}

/// PAN-1: in expression, enter, body and exit.
#[tokio::test]
async fn a_panic_runs_what_is_owed_and_is_resumed() {
    async fn run(log: &Log, place: &'static str) -> u8 {
        let enter = |manager: async_with_tests::Logged| {
            if place == "enter" {
                manager.enter_panics()
            } else {
                manager
            }
        };
        let exit = |manager: async_with_tests::Logged| {
            if place == "exit" {
                manager.exit_panics()
            } else {
                manager
            }
        };
        async_with! {
            log.manager("a").pending(1),
            { if place == "expression" { std::panic::panic_any("expression"); } exit(enter(log.manager("b"))) } => {
                if place == "body" { std::panic::panic_any("body"); }
                1
            }
        }
    }
    let table = [
        (
            "expression",
            "expression",
            &["enter a", "exit a: panicked", "exited a"][..],
        ),
        (
            "enter",
            "b",
            &["enter a", "enter b", "exit a: panicked", "exited a"],
        ),
        (
            "body",
            "body",
            &[
                "enter a",
                "enter b",
                "exit b: panicked",
                "exit a: panicked",
                "exited a",
            ],
        ),
        (
            "exit",
            "b",
            &[
                "enter a",
                "enter b",
                "exit b: completed",
                "exit a: panicked",
                "exited a",
            ],
        ),
    ];
    for (place, message, events) in table {
        let log = Log::new();
        let (result, entries) = caught(run(&log, place)).await;
        assert_eq!(payload(result), message, "{place}");
        assert_eq!(log.take(), events, "{place}");
        assert_eq!(entries, []);
    }
}

/// PAN-2: the first panic's payload is resumed, later ones are reported, and a pending failure is reported.
#[tokio::test]
async fn the_first_panic_wins() {
    let log = Log::new();
    let block = async {
        async_with! { log.manager("a").exit_panics(), log.manager("b").exit_panics(), log.manager("c") => {
            std::panic::panic_any("body");
        }}
    };
    let (result, entries) = caught(block).await;
    assert_eq!(payload(result), "body");
    let reported: Vec<_> = entries
        .iter()
        .map(|entry| entry.incident.to_string())
        .collect();
    assert_eq!(reported, ["panicked: b", "panicked: a"]);
    let mut events = log.take();
    events.retain(|event| event.starts_with("exit"));
    assert_eq!(
        events,
        ["exit c: panicked", "exit b: panicked", "exit a: panicked"]
    );

    let block = async {
        async_with! { log.manager("a"), log.manager("b").exit_panics() => { Err(Boom("pending"))?; } }
        Ok::<_, Boom>(())
    };
    let (result, entries) = caught(block).await;
    assert_eq!(payload(result), "b");
    assert_eq!(entries.len(), 1);
    assert_eq!(
        (entries[0].phase, entries[0].incident.to_string()),
        (Phase::Body, "failed: Boom(\"pending\")".to_owned())
    );
    let events = log.take();
    assert_eq!(events.last().map(String::as_str), Some("exit a: panicked"));
}

/// A manager that panics in one of its hooks.
struct Hook(Log, &'static str);

impl AsyncContextManager for Hook {
    type Resource = ();
    type Error = Boom;
    type Exit = ();

    async fn enter(&mut self) -> Result<(), Boom> {
        Ok(())
    }

    async fn exit(self, (): (), cause: Cause) -> Result<(), Boom> {
        self.0
            .write(format!("exit hook: {}", async_with_tests::short(cause)));
        Ok(())
    }

    fn inspect(&mut self, (): &mut (), _: Raised<'_>) {
        if self.1 == "inspect" {
            std::panic::panic_any("inspect");
        }
    }

    fn interrupt(&self, (): &()) -> impl Interruption<Boom> + Send + use<> {
        let hook = self.1;
        if hook == "interrupt" {
            std::panic::panic_any("interrupt");
        }
        std::future::poll_fn(move |_| {
            if hook == "interrupt poll" {
                std::panic::panic_any("interrupt poll");
            }
            std::task::Poll::Pending
        })
    }

    fn around_poll(&self) -> impl Sized {
        if self.1 == "around_poll" {
            std::panic::panic_any("around_poll");
        }
    }
}

/// PAN-3: panics in the hooks are treated like panics of the body.
#[tokio::test]
async fn a_panic_in_a_hook_is_a_panic_of_the_body() {
    for hook in ["inspect", "interrupt", "interrupt poll", "around_poll"] {
        let log = Log::new();
        let block = async {
            async_with! { log.manager("a"), Hook(log.clone(), hook) => {
                if hook == "inspect" { Err(Boom("lost"))?; }
                std::future::pending::<()>().await;
            }}
            Ok::<_, Boom>(())
        };
        let (result, entries) = caught(block).await;
        assert_eq!(payload(result), hook);
        assert_eq!(
            log.take(),
            ["enter a", "exit hook: panicked", "exit a: panicked"],
            "{hook}"
        );
        // The failure that the panic took the place of; the second panic, when the body was dropped.
        let reported = usize::from(matches!(hook, "inspect" | "around_poll"));
        assert_eq!(entries.len(), reported, "{hook}: {entries:?}");
    }
}

/// PAN-3: a panic while the body is dropped, on a normal end, on a panic, and on a drop of the block.
#[tokio::test]
async fn a_panic_in_the_drop_of_the_body_is_caught() {
    struct Bomb(&'static str);
    impl Drop for Bomb {
        fn drop(&mut self) {
            if self.0 == "bomb" {
                std::panic::panic_any("bomb");
            }
        }
    }
    // The body owns the bomb until it is dropped itself.
    let bomb = Bomb("bomb");
    let log = Log::new();
    let block = async {
        async_with! { log.manager("a"), log.scoped("b") => {
            let held = &bomb;
            let _ = held.0;
            if log.take().len() == 2 { let bomb = bomb; std::mem::drop(async move { let _bomb = bomb; }); }
        }}
    };
    let (result, _) = caught(block).await;
    assert_eq!(payload(result), "bomb");
    assert_eq!(log.take(), ["exit b: panicked", "exit a: panicked"]);

    // Dropped in the body: the exits run all the same, and nothing aborts.
    let bomb = Bomb("bomb");
    let mut block = Box::pin(report::collect(async {
        async_with! { log.manager("a"), log.scoped("b") => {
            let _bomb = bomb;
            std::future::pending::<()>().await;
        }}
    }));
    assert!(futures::poll!(&mut block).is_pending());
    drop(block);
    tokio::task::yield_now().await;
    assert_eq!(
        log.take(),
        ["enter a", "enter b", "abandon b", "exit a: dropped"]
    );
}

/// PAN-3: a panic in `abandon` and in the report's sink.
#[tokio::test]
async fn a_panic_in_abandon_is_reported() {
    struct Abandons;
    impl ScopedAsyncContextManager for Abandons {
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
            std::panic::panic_any("abandon");
        }
    }
    let log = Log::new();
    let outer = report::collect(async {
        let mut block = Box::pin(async {
            async_with! { log.manager("a"), Abandons => { std::future::pending::<()>().await; } }
        });
        assert!(futures::poll!(&mut block).is_pending());
        drop(block);
    });
    let ((), entries) = outer.await;
    tokio::task::yield_now().await;
    assert_eq!(log.take(), ["enter a", "exit a: dropped"]);
    assert_eq!(entries.len(), 1);
    assert_eq!(
        (entries[0].phase, entries[0].incident.to_string()),
        (Phase::Abandon, "panicked: abandon".to_owned())
    );
}

/// Panics when it is dropped.
struct Fuse(&'static str);

impl Drop for Fuse {
    fn drop(&mut self) {
        std::panic::panic_any(self.0);
    }
}

/// Has a guard, or an interrupt, that panics when it is dropped; or panics when it is asked for its interrupt.
struct Breaks<'a>(&'a Log, &'static str);

impl<'a> ScopedAsyncContextManager for Breaks<'a> {
    type Resource = ();
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    async fn exit(self, (): (), cause: Cause) -> Result<(), Infallible> {
        self.0.write(format!("exit: {cause}"));
        Ok(())
    }

    fn abandon(self, (): ()) {
        self.0.write("abandon");
    }

    fn around_poll(&self) -> impl Sized {
        (self.1 == "guard").then(|| Fuse("guard"))
    }

    fn interrupt(&self, (): &()) -> impl Interruption<Infallible> + use<'a> {
        if self.1 == "asked" {
            std::panic::panic_any("asked");
        }
        let fuse = (self.1 == "interrupt").then(|| Fuse("interrupt"));
        async move {
            let _fuse = fuse;
            std::future::pending().await
        }
    }
}

/// PAN-2, PAN-3: a guard or an interrupt that panics when it is dropped, beside a body that panics or does not. It ended the
/// process, or took the place of the body's panic; that of an interrupt that nobody came to poll was lost.
#[tokio::test]
async fn guards_and_interrupts_may_panic_when_they_are_dropped() {
    for hook in ["guard", "interrupt", "asked"] {
        for body_panics in [false, true] {
            let log = Log::new();
            let (result, reported) = caught(async {
                async_with! { Breaks(&log, hook) => {
                    if body_panics {
                        std::panic::panic_any("body");
                    }
                }}
            })
            .await;
            let is_first = body_panics && hook != "asked";
            assert_eq!(payload(result), if is_first { "body" } else { hook });
            // A guard is dropped after each poll, and after the drop of the body.
            let others = usize::from(hook == "guard") + usize::from(is_first);
            assert_eq!(reported.len(), others, "{hook} {body_panics}: {reported:?}");
            assert_eq!(log.take(), ["exit: panicked"], "{hook} {body_panics}");
        }
    }
}

/// PAN-3: an interrupt that panics when it is dropped during another panic does not end the process.
#[tokio::test]
async fn an_interrupt_may_panic_when_it_is_dropped_with_its_block() {
    let log = Log::new();
    let (result, reported) = caught(async {
        let block = async {
            async_with! { Breaks(&log, "interrupt") => { std::future::pending::<()>().await } }
        };
        let sibling = async {
            tokio::task::yield_now().await;
            std::panic::panic_any("sibling");
        };
        futures::join!(block, sibling);
    })
    .await;
    assert_eq!(payload(result), "sibling");
    assert_eq!(reported.len(), 1, "{reported:?}");
    assert_eq!(log.take(), ["abandon"]);
}

/// PAN-2, ERR-5: a value that is given up for the error of an exit may panic when it is dropped; the error is reported.
#[tokio::test]
async fn a_value_that_is_given_up_may_panic_when_it_is_dropped() {
    let log = Log::new();
    let (result, reported) = caught(async {
        let value = async_with! { log.fallible("a").exit_fails() => { Fuse("value") } };
        Ok::<_, Boom>(value)
    })
    .await;
    let result = result.map(|value| value.map(std::mem::forget));
    assert_eq!(payload(result), "value");
    assert!(
        matches!(&*reported, [entry] if entry.phase == Phase::Exit),
        "{reported:?}"
    );
}

/// PAN-2, PAN-3: a guard that panics when it is dropped takes the place of what left the body, which is reported.
#[tokio::test]
async fn what_left_the_body_is_reported_when_the_guard_panics() {
    let log = Log::new();
    let (result, reported) = caught(async {
        async_with! { Breaks(&log, "guard") => { Err(Boom("body"))? } }
        Ok::<(), Boom>(())
    })
    .await;
    assert_eq!(payload(result), "guard");
    let incidents: Vec<_> = reported
        .iter()
        .map(|entry| entry.incident.to_string())
        .collect();
    // The guard around the drop of the body panics as well.
    assert!(
        matches!(&*incidents, [guard, body] if guard.contains("guard") && body.contains("body")),
        "{incidents:?}"
    );
    assert_eq!(log.take(), ["exit: panicked"]);
}

/// PAN-3, SUP-1: an error that is suppressed, and panics when it is dropped: the panic goes on, of a block and of a stack,
/// whose next exits are told of it.
#[tokio::test]
async fn a_suppressed_error_that_panics_when_it_is_dropped() {
    #[derive(Debug)]
    struct Volatile;
    impl Drop for Volatile {
        fn drop(&mut self) {
            panic!("volatile");
        }
    }
    let log = Log::new();
    let (result, reported) = caught(async {
        async_with! { log.manager("b"), log.suppressing("a") => { Err(Volatile)?; } }
        Ok::<(), Volatile>(())
    })
    .await;
    assert_eq!((payload(result), reported), ("volatile", vec![]));
    let events = log.take();
    assert_eq!(events.last().map(String::as_str), Some("exit b: panicked"));
    let (result, reported) = caught(async {
        async_with! { AsyncExitStack::<Volatile, Verdict>::suppressing() as stack => {
            stack.enter_infallible(log.manager("b")).await;
            stack.enter_infallible(log.suppressing("a")).await;
            Err(Volatile)?;
        }}
        Ok::<(), Volatile>(())
    })
    .await;
    assert_eq!((payload(result), reported), ("volatile", vec![]));
    assert_eq!(log.take(), events);
}

/// PAN-3, EXI-1: a panic of what tells whether an interruption ever fires, or of its drop, is that of `interrupt`.
#[tokio::test]
async fn a_panic_of_an_interruption_that_never_fires() {
    struct Never {
        asked: bool,
    }

    impl Interruption<Infallible> for Never {
        fn is_never(&self) -> bool {
            assert!(!self.asked, "is_never");
            true
        }

        fn poll_interruption(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Infallible> {
            Poll::Pending
        }
    }

    impl Drop for Never {
        fn drop(&mut self) {
            assert!(self.asked, "drop");
        }
    }

    struct Writes {
        log: Log,
        asked: bool,
    }

    impl ScopedAsyncContextManager for Writes {
        type Resource = ();
        type Error = Infallible;
        type Exit = ();

        async fn enter(&mut self) -> Result<(), Infallible> {
            Ok(())
        }

        async fn exit(self, (): (), cause: Cause) -> Result<(), Infallible> {
            self.log.write(format!("exit {}", short(cause)));
            Ok(())
        }

        fn interrupt(&self, (): &()) -> impl Interruption<Infallible> + use<> {
            Never { asked: self.asked }
        }
    }

    for (asked, message) in [(true, "is_never"), (false, "drop")] {
        let log = Log::new();
        let manager = Writes {
            log: log.clone(),
            asked,
        };
        let block = async {
            async_with! { manager => { log.write("body"); } }
        };
        let panic = AssertUnwindSafe(block).catch_unwind().await.unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&message));
        assert_eq!(log.take(), ["exit panicked"]);
    }
}
