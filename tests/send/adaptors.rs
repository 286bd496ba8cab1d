//! The adaptors, alone and on each other.

use std::convert::Infallible;
use std::io;

use async_with::{Elapsed, OrElapsed, nullcontext, prelude::*, timeout};
use async_with_tests::Log;
use tokio::task::yield_now;

use crate::{BoxError, LONG, spawned};

/// TYP-1: adaptors that leave the resource as it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_adapted_may_mention_a_lifetime() {
    let boxed = spawned(async {
        async_with! { nullcontext("a").boxed() as text => { yield_now().await; *text } }
    });
    assert_eq!(boxed.await, "a");
    let named = spawned(async {
        async_with! { nullcontext("a").named("name") as text => { yield_now().await; *text } }
    });
    assert_eq!(named.await, "a");
    let finished = spawned(async {
        async_with! { nullcontext("a").finish_enter() as text => { yield_now().await; *text } }
    });
    assert_eq!(finished.await, "a");
    let limited = spawned(async {
        let result: Result<&'static str, Elapsed> = async {
            Ok(async_with! { nullcontext("a").exit_within(LONG) as text => { yield_now().await; *text } })
        }
        .await;
        result
    });
    assert_eq!(limited.await.unwrap(), "a");
    async fn entered_in_time() -> Result<&'static str, OrElapsed<Infallible>> {
        async_with! { nullcontext("a").enter_within(LONG) as text => { yield_now().await; Ok(*text) } }
    }
    assert_eq!(spawned(entered_in_time()).await.unwrap(), "a");
}

/// TYP-1: another resource, of a closure that captures, takes or returns what mentions a lifetime.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resource_may_be_mapped_to_and_from_a_lifetime() {
    async fn captures(name: &'static str) -> usize {
        async_with! { nullcontext(1).map(move |number| name.len() + *number) as length => {
            yield_now().await;
            *length
        }}
    }
    let returned = spawned(async {
        async_with! { nullcontext(1).map(|_| "a") as text => { yield_now().await; *text } }
    });
    assert_eq!(returned.await, "a");
    assert_eq!(spawned(captures("a")).await, 2);
    let taken = spawned(async {
        async_with! { nullcontext("a").map(|text: &mut &'static str| text.len()) as length => {
            yield_now().await;
            *length
        }}
    });
    assert_eq!(taken.await, 1);
}

/// TYP-1: closures that look on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_looks_on_may_see_a_lifetime() {
    async fn captures(log: Log, name: &'static str) {
        async_with! { nullcontext(1).on_exit(move |_, _| log.write(name)) as number => {
            yield_now().await;
            *number += 1;
        }}
    }
    let log = Log::new();
    let entered = spawned({
        let log = log.clone();
        async {
            async_with! { nullcontext("enter").on_enter(move |text| log.write(*text)) as text => {
                yield_now().await;
                *text
            }}
        }
    });
    assert_eq!(entered.await, "enter");
    let exited = spawned({
        let log = log.clone();
        async {
            async_with! { nullcontext("exit").on_exit(move |text, _| log.write(*text)) as text => {
                yield_now().await;
                *text
            }}
        }
    });
    assert_eq!(exited.await, "exit");
    spawned(captures(log.clone(), "captured")).await;
    assert_eq!(log.take(), ["enter", "exit", "captured"]);
}

/// TYP-1: another error, which mentions a lifetime.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_may_be_mapped_to_a_lifetime() {
    async fn boxed() -> Result<u8, BoxError> {
        async_with! { timeout(LONG).map_err(|elapsed| -> BoxError { elapsed.into() }) => { yield_now().await; Ok(1) } }
    }
    async fn text() -> Result<u8, &'static str> {
        async_with! { timeout(LONG).map_err(|_| "late") => { yield_now().await; Ok(1) } }
    }
    assert_eq!(spawned(boxed()).await.unwrap(), 1);
    assert_eq!(spawned(text()).await, Ok(1));
}

/// TYP-1: six adaptors on each other, boxed and not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn adaptors_may_be_chained() {
    async fn boxed(log: Log) -> Result<usize, BoxError> {
        async_with! {
            nullcontext("a")
                .map(|text| text.len())
                .on_exit(move |_, _| log.write("boxed"))
                .named("length")
                .map_err(|never| -> BoxError { match never {} })
                .boxed() as length => { yield_now().await; Ok(*length) }
        }
    }
    async fn unboxed(log: Log) -> Result<usize, BoxError> {
        async_with! {
            nullcontext("a")
                .map(|text| text.len())
                .on_exit(move |_, _| log.write("unboxed"))
                .named("length")
                .map_err(|never| -> BoxError { match never {} })
                .finish_enter() as length => { yield_now().await; Ok(*length) }
        }
    }
    let log = Log::new();
    assert_eq!(spawned(boxed(log.clone())).await.unwrap(), 1);
    assert_eq!(spawned(unboxed(log.clone())).await.unwrap(), 1);
    assert_eq!(log.take(), ["boxed", "unboxed"]);
}

/// TYP-1: `run` over what mentions no lifetime; what the closure captures and fails with may.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_may_capture_a_lifetime() {
    async fn captures(name: &'static str) -> Result<usize, Elapsed> {
        timeout(LONG)
            .run(async |_| {
                yield_now().await;
                Ok(name.len())
            })
            .await
    }
    assert_eq!(spawned(captures("a")).await.unwrap(), 1);
    let boxed = spawned(async {
        let result: Result<u8, BoxError> = timeout(LONG)
            .run(async |_| {
                yield_now().await;
                Err("a".into())
            })
            .await;
        result
    });
    assert_eq!(boxed.await.unwrap_err().to_string(), "a");
    let number = spawned(async {
        let result: Result<u8, io::Error> = nullcontext(1)
            .map_err(|never| -> io::Error { match never {} })
            .run(async |number| {
                yield_now().await;
                Ok(*number)
            })
            .await;
        result
    });
    assert_eq!(number.await.unwrap(), 1);
}
