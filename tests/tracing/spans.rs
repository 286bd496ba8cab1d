//! CAN-9 and ERR-5, with the feature `tracing`: spans of detached exits, and reports as events.

// The bodies under test are written to be seen through, not to please.
#![allow(clippy::pedantic)]

use std::convert::Infallible;
use std::fmt::Debug;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use async_with::{
    AsyncContextManager, Cause, ScopedAsyncContextManager, async_with, detach, drain, in_span,
};
use async_with_tests::{Boom, Gate, Log};
use tracing::field::{Field, Visit};
use tracing::{Instrument, info, info_span};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// Writes each event with the names of the spans that it is in, the outermost first.
struct Spans(Log);

#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> tracing_subscriber::Layer<S> for Spans {
    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
        if !event.metadata().target().starts_with("spans")
            && !event.metadata().target().starts_with("async_with")
        {
            return;
        }
        let mut message = Message::default();
        event.record(&mut message);
        let spans = context.event_scope(event).into_iter();
        let spans: Vec<_> = spans
            .flat_map(|scope| scope.from_root())
            .map(|span| span.name())
            .collect();
        let level = match *event.metadata().level() {
            tracing::Level::ERROR => "ERROR ",
            _ => "",
        };
        self.0
            .write(format!("{level}{}: {}", spans.join(">"), message.0));
    }
}

/// Runs a scenario on a current-thread runtime, with the log as the subscriber.
fn traced<F: Future<Output = ()>>(scenario: impl FnOnce(Log) -> F) {
    let log = Log::new();
    let subscriber = tracing_subscriber::registry().with(Spans(log.clone()));
    tracing::subscriber::with_default(subscriber, || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime")
            .block_on(scenario(log));
    });
}

/// Tells in events what happens to it.
struct Traced(&'static str, Gate);

impl AsyncContextManager for Traced {
    type Resource = ();
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<(), Infallible> {
        info!("enter {}", self.0);
        Ok(())
    }

    async fn exit(self, (): (), cause: Cause) -> Result<(), Infallible> {
        info!("exit {}, {cause}", self.0);
        self.1.opened().await;
        info!("exited {}", self.0);
        Ok(())
    }
}

fn open_gate() -> Gate {
    let gate = Gate::new();
    gate.open();
    gate
}

type Block = Pin<Box<dyn Future<Output = ()> + Send>>;

/// CAN-9: an exit that is detached by a drop in the body is in the span that its block was entered in.
#[test]
fn a_detached_exit_keeps_its_span() {
    traced(|log| async move {
        let task = tokio::spawn(
            async {
                async_with! { Traced("a", open_gate()) => { pending::<()>().await } }
            }
            .instrument(info_span!("request")),
        );
        tokio::task::yield_now().await;
        task.abort();
        assert!(task.await.is_err());
        drain().await;
        assert_eq!(
            log.take(),
            [
                "request: enter a",
                "request: exit a, dropped",
                "request: exited a"
            ]
        );
    });
}

/// CAN-9, CAN-2: so is one that is handed over half-way.
#[test]
fn an_exit_that_is_handed_over_keeps_its_span() {
    traced(|log| async move {
        let gate = Gate::new();
        let waits = gate.clone();
        let task = tokio::spawn(
            async move {
                async_with! { Traced("a", waits) => {} }
            }
            .instrument(info_span!("request")),
        );
        tokio::task::yield_now().await;
        task.abort();
        assert!(task.await.is_err());
        gate.open();
        drain().await;
        assert_eq!(
            log.take(),
            [
                "request: enter a",
                "request: exit a, completed",
                "request: exited a"
            ]
        );
    });
}

/// CAN-9: it is the span of the enter, wherever the block is dropped, and nested blocks have their own.
#[test]
fn the_span_is_that_of_the_enter() {
    traced(|log| async move {
        let mut block: Block = Box::pin(async {
            async_with! { Traced("a", open_gate()) => {
                async {
                    async_with! { Traced("b", open_gate()) => { pending::<()>().await } }
                }
                .instrument(info_span!("inner"))
                .await;
            }}
        });
        {
            // Not instrumented itself: the span is current when it is polled, and another when it is dropped.
            let outer = info_span!("outer");
            let _guard = outer.enter();
            assert!(futures::poll!(&mut block).is_pending());
        }
        info_span!("elsewhere").in_scope(|| drop(block));
        drain().await;
        assert_eq!(
            log.take(),
            [
                "outer: enter a",
                "outer>inner: enter b",
                "outer>inner: exit b, dropped",
                "outer>inner: exited b",
                "outer: exit a, dropped",
                "outer: exited a"
            ]
        );
    });
}

/// CAN-9: a clean-up that is handed over is in the span in which that was done; by an `abandon`, in that of the block.
#[test]
fn a_handed_over_clean_up_keeps_its_span() {
    struct HandsOver;
    impl ScopedAsyncContextManager for HandsOver {
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
            detach("abandoned", async { info!("abandoned") });
        }
    }
    traced(|log| async move {
        async {
            async_with! { Traced("a", open_gate()) => {
                info_span!("call").in_scope(|| detach("handed over", async { info!("handed over") }));
            }}
        }
        .instrument(info_span!("outer"))
        .await;
        let mut block = Box::pin(
            async {
                async_with! { HandsOver => { pending::<()>().await } }
            }
            .instrument(info_span!("request")),
        );
        assert!(futures::poll!(&mut block).is_pending());
        drop(block);
        drain().await;
        let events = log.take();
        let of = |what: &str| {
            let event = events.iter().find(|event| event.ends_with(what));
            event.map(String::as_str).unwrap_or_default()
        };
        assert_eq!(of("abandoned"), "request: abandoned");
        assert_eq!(of("handed over"), "outer>call: handed over");
    });
}

/// CAN-9: a span is closed when the last exit in it is done, and not kept for longer.
#[test]
fn a_span_lives_as_long_as_its_exits() {
    struct Closed(Log);
    impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> tracing_subscriber::Layer<S> for Closed {
        fn on_close(&self, id: tracing::span::Id, context: Context<'_, S>) {
            let name = context
                .span(&id)
                .map(|span| span.name())
                .unwrap_or_default();
            self.0.write(format!("closed {name}"));
        }
    }
    let log = Log::new();
    let subscriber = tracing_subscriber::registry()
        .with(Closed(log.clone()))
        .with(Spans(log.clone()));
    tracing::subscriber::with_default(subscriber, || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let gate = Gate::new();
            let mut block = Box::pin(
                async {
                    async_with! { Traced("a", gate.clone()) => { pending::<()>().await } }
                }
                .instrument(info_span!("request")),
            );
            assert!(futures::poll!(&mut block).is_pending());
            drop(block);
            tokio::task::yield_now().await;
            log.write("opened");
            gate.open();
            drain().await;
            tokio::task::yield_now().await;
            log.write("after");
        });
    });
    assert_eq!(
        log.take(),
        [
            "request: enter a",
            "request: exit a, dropped",
            "opened",
            "request: exited a",
            "closed request",
            "after"
        ]
    );
}

/// EXI-6, EXI-7: `in_span` holds its span around the polls of the body and around its drop, not in between; what is
/// entered and exited further in is in it, and what is further out is not.
#[test]
fn a_block_runs_in_its_span() {
    struct Dropped;
    impl Drop for Dropped {
        fn drop(&mut self) {
            info!("dropped");
        }
    }
    traced(|log| async move {
        let block = async {
            async_with! {
                Traced("a", open_gate()), in_span(info_span!("outer")), in_span(info_span!("inner")) as span,
                Traced("b", open_gate()) =>
            {
                let _dropped = Dropped;
                info!("body");
                tokio::task::yield_now().await;
                assert_eq!(tracing::Span::current(), *span);
            }}
        };
        let mut block = Box::pin(block);
        assert!(futures::poll!(&mut block).is_pending());
        info!("outside");
        block.await;
        let expected = [
            ": enter a",
            "outer>inner: enter b",
            "outer>inner: body",
            ": outside",
            "outer>inner: dropped",
            "outer>inner: exit b, completed",
            "outer>inner: exited b",
            ": exit a, completed",
            ": exited a",
        ];
        assert_eq!(log.take(), expected);
    });
}

/// CAN-9: exits of blocks inside an `in_span` keep its span when they are detached.
#[test]
fn a_dropped_block_keeps_its_span() {
    traced(|log| async move {
        let mut block: Block = Box::pin(async {
            async_with! { Traced("a", open_gate()), in_span(info_span!("span")), Traced("b", open_gate()) => {
                pending::<()>().await;
            }}
        });
        assert!(futures::poll!(&mut block).is_pending());
        drop(block);
        drain().await;
        let expected = [
            ": enter a",
            "span: enter b",
            "span: exit b, dropped",
            "span: exited b",
            ": exit a, dropped",
            ": exited a",
        ];
        assert_eq!(log.take(), expected);
    });
}

/// ERR-5: a report that nobody collects is an event of level error, in the span of its exit.
#[test]
fn a_report_is_an_event() {
    traced(|log| async move {
        let silent = Log::new();
        let mut block = Box::pin(
            async {
                let block = async {
                    async_with! { silent.fallible("a").exit_fails() => { pending::<()>().await } }
                    Ok::<_, Boom>(())
                };
                let _ = block.await;
            }
            .instrument(info_span!("request")),
        );
        assert!(futures::poll!(&mut block).is_pending());
        drop(block);
        drain().await;
        let name = std::any::type_name::<async_with_tests::Logged<Boom>>();
        assert_eq!(
            log.take(),
            [format!(
                "ERROR request: exit of {name} (cause: dropped) failed: Boom(\"a\")"
            )]
        );
    });
}

/// CAN-9: a subscriber that is the default of one thread only does not follow an exit to another; nothing breaks.
#[test]
fn spans_may_end_on_another_thread() {
    let log = Log::new();
    let subscriber = tracing_subscriber::registry().with(Spans(log.clone()));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .expect("a runtime");
    tracing::subscriber::with_default(subscriber, || {
        let ended = Arc::new(Mutex::new(None));
        runtime.block_on(async {
            let mut block = Box::pin(
                async {
                    async_with! { Traced("a", open_gate()) => { pending::<()>().await } }
                }
                .instrument(info_span!("request")),
            );
            assert!(futures::poll!(&mut block).is_pending());
            drop(block);
            drain().await;
            *ended.lock().unwrap() = Some(());
        });
        assert!(ended.lock().unwrap().is_some());
    });
    assert_eq!(log.take()[0], "request: enter a");
}
