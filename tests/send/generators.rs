//! Managers that are functions with a yield.

use std::convert::Infallible;
use std::io;

use async_with::prelude::*;
use async_with_tests::Log;
use tokio::task::yield_now;

use crate::{BoxError, spawned};

#[async_context_manager]
async fn text(log: Log, text: &'static str) -> Result<&'static str, Infallible> {
    yield_now().await;
    let (text, cause) = yield_!(text);
    yield_now().await;
    log.write(format!("{text}: {cause}"));
    Ok(())
}

/// TYP-1: a generator that takes and gives away what mentions a lifetime.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generator_may_yield_a_lifetime() {
    let log = Log::new();
    let given = spawned({
        let log = log.clone();
        async {
            async_with! { text(log, "given") as text => { yield_now().await; *text } }
        }
    });
    assert_eq!(given.await, "given");
    let unnamed = spawned({
        let log = log.clone();
        async {
            async_with! { text(log, "unnamed") => { yield_now().await; } }
        }
    });
    unnamed.await;
    assert_eq!(log.take(), ["given: completed", "unnamed: completed"]);
}

/// TYP-1: a generator with adaptors.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generator_may_be_adapted() {
    let log = Log::new();
    let boxed = spawned({
        let log = log.clone();
        async {
            async_with! { text(log, "boxed").boxed() as text => { yield_now().await; text.len() } }
        }
    });
    assert_eq!(boxed.await, 5);
    let mapped = spawned({
        let log = log.clone();
        async {
            async_with! { text(log, "mapped").map(|text| text.len()) as length => { yield_now().await; *length } }
        }
    });
    assert_eq!(mapped.await, 6);
    assert_eq!(log.take(), ["boxed: completed", "mapped: completed"]);
}

/// TYP-1: a generator around whose yield there is a block of another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generator_may_be_in_a_generator() {
    #[async_context_manager]
    async fn outer(log: Log, name: &'static str) -> Result<Vec<&'static str>, Infallible> {
        async_with! { text(log.clone(), name) as text => {
            yield_now().await;
            let (list, _cause) = yield_!(vec![*text]);
            log.write(list.concat());
        }}
        Ok(())
    }
    let log = Log::new();
    let list = spawned({
        let log = log.clone();
        async {
            async_with! { outer(log, "a") as list => { yield_now().await; list.push("b"); list.len() } }
        }
    });
    assert_eq!(list.await, 2);
    assert_eq!(log.take(), ["ab", "a: completed"]);
}

/// TYP-1: a generator of any type.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generator_may_be_generic() {
    #[async_context_manager]
    async fn lend<T: Send + Sync + 'static>(value: T) -> Result<T, Infallible> {
        yield_now().await;
        let (value, _cause) = yield_!(value);
        yield_now().await;
        drop(value);
        Ok(())
    }
    let text = spawned(async {
        async_with! { lend("a") as text => { yield_now().await; *text } }
    });
    assert_eq!(text.await, "a");
}

/// TYP-1: the error of a generator mentions a lifetime, and comes from its clean-up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generator_may_fail_with_a_lifetime() {
    #[async_context_manager]
    async fn boxed(mut number: u8) -> Result<u8, BoxError> {
        yield_now().await;
        let _cause = yield_!(&mut number);
        yield_now().await;
        Err(format!("boxed {number}").into())
    }
    #[async_context_manager]
    async fn text(mut number: u8) -> Result<u8, &'static str> {
        yield_now().await;
        let _cause = yield_!(&mut number);
        yield_now().await;
        if number > 1 { Err("text") } else { Ok(()) }
    }
    async fn in_box() -> Result<(), BoxError> {
        async_with! { boxed(1) as number => { yield_now().await; *number += 1; } }
        Ok(())
    }
    async fn as_text() -> Result<(), &'static str> {
        async_with! { text(1) as number => { yield_now().await; *number += 1; } }
        Ok(())
    }
    assert_eq!(spawned(in_box()).await.unwrap_err().to_string(), "boxed 2");
    assert_eq!(spawned(as_text()).await, Err("text"));
}

/// TYP-1: a generator that borrows, beside a resource and an error that mention `'static`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generator_may_borrow() {
    #[async_context_manager]
    async fn boxed(number: &mut u8) -> Result<&'static str, BoxError> {
        yield_now().await;
        *number += 1;
        let _cause = yield_!(&mut "a");
        yield_now().await;
        *number += 2;
        Ok(())
    }
    #[async_context_manager]
    async fn plain(number: &mut u8) -> Result<&'static str, io::Error> {
        yield_now().await;
        *number += 1;
        let _cause = yield_!(&mut "a");
        yield_now().await;
        *number += 4;
        Ok(())
    }
    async fn with_box() -> Result<u8, BoxError> {
        let mut number = 0;
        async_with! { boxed(&mut number) as text => { yield_now().await; assert_eq!(*text, "a"); } }
        Ok(number)
    }
    async fn with_plain() -> Result<u8, io::Error> {
        let mut number = 0;
        async_with! { plain(&mut number) as text => { yield_now().await; assert_eq!(*text, "a"); } }
        Ok(number)
    }
    assert_eq!(spawned(with_box()).await.unwrap(), 3);
    assert_eq!(spawned(with_plain()).await.unwrap(), 5);
}
