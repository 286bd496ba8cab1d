//! ERR: which error leaves, and where the others go.

use std::convert::Infallible;
use std::error::Error;
use std::fmt::{self, Debug, Display, Formatter};

use async_with::report::{self, Incident, Phase};
use async_with::{AsyncContextManager, Cause, ErrorType, Raised, async_with};
use async_with_tests::{Boom, Log};

/// An error with a source, converted from a [`Boom`].
#[derive(Debug)]
struct Wrapped {
    source: Boom,
    id: usize,
}

impl Display for Wrapped {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("wrapped")
    }
}

impl Error for Wrapped {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

impl From<Boom> for Wrapped {
    fn from(source: Boom) -> Self {
        Wrapped { source, id: 1 }
    }
}

/// Collects what its `inspect` sees, and changes what it can.
struct Inspector(Log);

impl AsyncContextManager for Inspector {
    type Resource = ();
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    async fn exit(self, (): (), cause: Cause) -> Result<(), Infallible> {
        match cause {
            Cause::Failed(error) => self.0.write(format!(
                "exit: boom {}, wrapped {}",
                error.is::<Boom>(),
                error.is::<Wrapped>()
            )),
            cause => self.0.write(format!("exit: {cause}")),
        }
        Ok(())
    }

    fn inspect(&mut self, (): &mut (), mut raised: Raised<'_>) {
        let seen = match raised.as_error() {
            Some(error) => {
                let sources = std::iter::successors(error.source(), |error| (*error).source());
                format!("{error}, sources {}", sources.count())
            }
            None => "no error object".to_owned(),
        };
        self.0.write(format!("{seen}, debug {raised:?}"));
        assert_eq!(
            raised.is::<Wrapped>(),
            raised.type_name().ends_with("Wrapped")
        );
        if let Some(wrapped) = raised.downcast_mut::<Wrapped>() {
            wrapped.id += 1;
        }
        if let Some(boom) = raised
            .as_error_mut()
            .and_then(|error| error.downcast_mut::<Boom>())
        {
            boom.0 = "changed";
        }
    }
}

/// ERR-0: an error type needs no more than `Debug`.
#[tokio::test]
async fn an_error_is_any_debug_type() {
    async fn text(log: &Log) -> Result<u8, String> {
        async_with! { Inspector(log.clone()) => { Err("text".to_owned()) } }
    }
    let log = Log::new();
    assert_eq!(text(&log).await, Err("text".to_owned()));
    assert_eq!(
        log.take(),
        [
            "no error object, debug \"text\"",
            "exit: boom false, wrapped false"
        ]
    );
}

/// ERR-1: errors of enter and exit are raised as `?` would raise them.
#[tokio::test]
async fn manager_errors_are_converted() {
    async fn enter(log: &Log) -> Result<(), Wrapped> {
        async_with! { log.fallible("a").enter_fails() => {} }
        Ok(())
    }
    async fn exit(log: &Log) -> Result<(), Box<dyn Error>> {
        async_with! { log.manager("outer"), log.fallible("a").exit_fails() => {} }
        Ok(())
    }
    async fn infallible(log: &Log) -> Result<(), NoFrom> {
        async_with! { log.manager("a") => {} }
        Ok(())
    }
    #[derive(Debug)]
    struct NoFrom;
    let log = Log::new();
    assert_eq!(enter(&log).await.unwrap_err().source, Boom("a"));
    assert_eq!(
        exit(&log).await.unwrap_err().downcast_ref::<Boom>(),
        Some(&Boom("a"))
    );
    assert!(infallible(&log).await.is_ok());
    assert_eq!(log.take().len(), 8);
}

/// ERR-2: a failure leaves as the very same value.
#[tokio::test]
async fn failures_leave_unchanged() {
    async fn run(log: &Log, error: Box<Wrapped>) -> Result<(), Box<Wrapped>> {
        async_with! { log.manager("a"), log.manager("b"), log.scoped("c") => {
            async_with! { log.manager("d") => { Err(error)?; } }
        }}
        Ok(())
    }
    let log = Log::new();
    let error = Box::new(Wrapped {
        source: Boom("s"),
        id: 5,
    });
    let address = std::ptr::from_ref(&*error);
    let left = run(&log, error).await.unwrap_err();
    assert_eq!(std::ptr::from_ref(&*left), address);
    assert_eq!(
        (left.id, left.source().map(ToString::to_string)),
        (5, Some("boom: s".to_owned()))
    );
}

/// ERR-3: the body's error stays the one that is raised; the exit's is reported.
#[tokio::test]
async fn the_body_error_wins_over_the_exit_error() {
    async fn run(log: &Log) -> Result<(), Boom> {
        async_with! { log.fallible("a").exit_fails(), log.fallible("b").exit_fails() as b => {
            b.check(false)?;
        }}
        Ok(())
    }
    let log = Log::new();
    let (result, entries) = report::collect(run(&log)).await;
    assert_eq!(result, Err(Boom("check")));
    let incidents: Vec<_> = entries
        .iter()
        .map(|entry| entry.incident.to_string())
        .collect();
    assert_eq!(incidents, ["failed: Boom(\"b\")", "failed: Boom(\"a\")"]);
}

/// ERR-4: the same for a panic: errors from exits are reported.
#[tokio::test]
async fn a_panic_wins_over_exit_errors() {
    use futures::FutureExt;
    let log = Log::new();
    let block = async {
        async_with! { log.fallible("a").exit_fails() => { std::panic::panic_any(5_u8); } }
        Ok::<_, Boom>(())
    };
    let caught = std::panic::AssertUnwindSafe(block).catch_unwind();
    let (result, entries) = report::collect(caught).await;
    assert_eq!(result.unwrap_err().downcast_ref::<u8>(), Some(&5));
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].cause, Cause::Panicked);
}

/// ERR-5: the report is flat and ordered, with manager, phase, cause and error.
#[tokio::test]
async fn the_report_says_what_where_and_why() {
    async fn run(log: &Log) -> Result<(), Boom> {
        async_with! { log.fallible("a").exit_fails(), log.manager("b").exit_panics() as b => { b.check(false)?; } }
        Ok(())
    }
    let log = Log::new();
    let caught = futures::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(run(&log)));
    let (result, entries) = report::collect(caught).await;
    // The panic of exit b took the place of the body's error, which is reported.
    assert_eq!(result.unwrap_err().downcast_ref::<&str>(), Some(&"b"));
    let flat: Vec<_> = entries
        .iter()
        .map(|entry| (entry.phase, entry.cause.to_string()))
        .collect();
    let failed = format!("failed ({})", std::any::type_name::<Boom>());
    assert_eq!(
        flat,
        [(Phase::Body, failed), (Phase::Exit, "panicked".to_owned())]
    );
    assert!(
        entries[0].manager.ends_with("Logged"),
        "{}",
        entries[0].manager
    );
    assert_eq!(entries[0].incident.to_string(), "failed: Boom(\"check\")");
    assert!(
        matches!(&entries[1].incident, Incident::Error { debug, .. } if debug == "Boom(\"a\")")
    );
}

/// ERR-5: of nested collectors the inner one gets the entry; what a dropped one has is passed on.
#[tokio::test]
async fn collectors_nest() {
    async fn run(log: &Log) -> Result<(), Boom> {
        async_with! { log.fallible("a").exit_fails() as a => { a.check(false)?; } }
        Ok(())
    }
    let log = Log::new();
    let outer = report::collect(async {
        let ((), inner) = report::collect(async {
            run(&log).await.unwrap_err();
        })
        .await;
        let mut dropped = Box::pin(report::collect(async {
            run(&log).await.unwrap_err();
            std::future::pending::<()>().await;
        }));
        assert!(futures::poll!(&mut dropped).is_pending());
        drop(dropped);
        inner.len()
    });
    let (inner, outer) = outer.await;
    assert_eq!((inner, outer.len()), (1, 1));
}

/// ERR-6: managers see what left, after `?` converted it, from the inside outwards, and can add to it.
#[tokio::test]
async fn inspect_sees_and_changes_the_error() {
    async fn converted(log: &Log) -> Result<(), Wrapped> {
        async_with! { Inspector(log.clone()), Inspector(log.clone()) => { Err(Boom("b"))?; } }
        Ok(())
    }
    async fn boxed(log: &Log) -> Result<(), Box<dyn Error + Send + Sync>> {
        async_with! { Inspector(log.clone()) => { Err(Boom("b"))?; } }
        Ok(())
    }
    async fn any(log: &Log) -> anyhow::Result<()> {
        async_with! { Inspector(log.clone()) => { Err(Boom("b"))?; } }
        Ok(())
    }
    let log = Log::new();
    assert_eq!(converted(&log).await.unwrap_err().id, 3);
    let exit = "exit: boom false, wrapped true";
    let inspected =
        |id| format!("wrapped, sources 1, debug Wrapped {{ source: Boom(\"b\"), id: {id} }}");
    assert_eq!(log.take(), [&inspected(1), exit, &inspected(2), exit]);
    assert_eq!(boxed(&log).await.unwrap_err().to_string(), "boom: changed");
    assert_eq!(
        any(&log).await.unwrap_err().downcast_ref::<Boom>(),
        Some(&Boom("changed"))
    );
    let seen = log.take();
    assert!(
        seen[0].starts_with("boom: b, sources 0") && seen[2].starts_with("boom: b, sources 0"),
        "{seen:?}"
    );
    // In a block that nobody annotated, too.
    let unannotated = async {
        async_with! { Inspector(log.clone()) => { Err(Boom("b"))?; } }
        Ok::<_, Wrapped>(())
    };
    assert_eq!(unannotated.await.unwrap_err().id, 2);
    assert_eq!(log.take(), [&inspected(1), exit]);
}

/// EXI-4: causes are the same when their errors are of the same type, and show it.
#[test]
fn a_cause_is_compared_and_shown_by_the_type_of_its_error() {
    assert!(Cause::Completed.is_completed());
    assert!(!Cause::Dropped.is_completed());
    let boom = Cause::Failed(ErrorType::of::<Boom>());
    assert_eq!(boom, Cause::Failed(ErrorType::of::<Boom>()));
    assert_ne!(boom, Cause::Failed(ErrorType::of::<Wrapped>()));
    assert_eq!(
        format!("{boom:?}"),
        "Failed(ErrorType(\"async_with_tests::Boom\"))"
    );
}
