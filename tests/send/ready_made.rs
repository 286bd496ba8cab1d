//! The managers that come with the crate, each over a resource that mentions a lifetime.

use std::any::Any;
use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use async_with::{
    AsyncClose, Backoff, Either, Elapsed, closing, join, move_on_after, move_on_when_cancelled,
    nullcontext, prelude::*, reading, releasable, retry, suppress, suppress_if, timeout, writing,
};
use tokio::sync::{Mutex, RwLock};
use tokio::task::yield_now;

use crate::{BoxError, LONG, spawnable, spawned};

/// TYP-1: a reference, alone and inside other types.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_may_mention_a_lifetime() {
    let text = spawned(async {
        async_with! { nullcontext("a") as text => { yield_now().await; *text } }
    });
    assert_eq!(text.await, "a");
    let list = spawned(async {
        async_with! { nullcontext(vec!["a"]) as list => { yield_now().await; list.push("b"); list.len() } }
    });
    assert_eq!(list.await, 2);
    let cow = spawned(async {
        async_with! { nullcontext(Cow::Borrowed("a")) as cow => { yield_now().await; cow.to_string() } }
    });
    assert_eq!(cow.await, "a");
    let option = spawned(async {
        async_with! { Some(nullcontext("a")) as option => { yield_now().await; *option } }
    });
    assert_eq!(option.await, Some("a"));
    // Without `spawned` around it, nothing says early what the future has to be.
    let direct = tokio::spawn(async {
        async_with! { nullcontext("a") as text => { yield_now().await; text.len() } }
    });
    assert_eq!(direct.await.unwrap(), 1);
}

/// TYP-1: a trait object, whose type has a `'static` that nobody wrote.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_may_be_a_trait_object() {
    let called = spawned(async {
        let function: Box<dyn Fn() -> u8 + Send> = Box::new(|| 1);
        async_with! { nullcontext(function) as function => { yield_now().await; function() } }
    });
    assert_eq!(called.await, 1);
    let downcast = spawned(async {
        let any: Box<dyn Any + Send> = Box::new(2_u8);
        async_with! { nullcontext(any) as any => { yield_now().await; any.downcast_ref().copied() } }
    });
    assert_eq!(downcast.await, Some(2_u8));
}

/// TYP-1: one item uses another, and the value of the block outlives both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn items_may_share_a_lifetime() {
    let nested = spawned(async {
        async_with! { nullcontext("a") as text, nullcontext(vec![*text]) as list => {
            yield_now().await;
            list.push("b");
            list.concat()
        }}
    });
    assert_eq!(nested.await, "ab");
    let kept = spawned(async {
        let value = async_with! { nullcontext("a") as text => { yield_now().await; *text } };
        yield_now().await;
        value
    });
    assert_eq!(kept.await, "a");
    let looped = spawned(async {
        let mut seen = Vec::new();
        for name in ["a", "b"] {
            async_with! { nullcontext(name) as name => {
                yield_now().await;
                if *name == "a" { continue; }
                seen.push(*name);
            }}
        }
        seen
    });
    assert_eq!(looped.await, ["b"]);
}

/// TYP-1: managers that have other managers in them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn managers_may_be_combined() {
    let either = spawned(async {
        let manager = if true {
            Either::Left(nullcontext("a"))
        } else {
            Either::Right(nullcontext("b"))
        };
        async_with! { manager as text => {
            yield_now().await;
            *text
        }}
    });
    assert_eq!(either.await, "a");
    let joined = spawned(async {
        async_with! { join((nullcontext("a"), nullcontext(vec!["b"]))) as (text, list) => {
            yield_now().await;
            list.push(text);
            list.concat()
        }}
    });
    assert_eq!(joined.await, "ba");
    let retried = spawned(async {
        async_with! { retry(Backoff::attempts(3), || nullcontext("a")) as text => { yield_now().await; *text } }
    });
    assert_eq!(retried.await, "a");
}

/// TYP-1: what is given up early.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resource_may_be_released() {
    let held = spawned(async {
        async_with! { releasable(nullcontext("a")) as held => { yield_now().await; held.get().copied() } }
    });
    assert_eq!(held.await, Some("a"));
    let released = spawned(async {
        async_with! { releasable(nullcontext("a")) as held => {
            yield_now().await;
            let Ok(()) = held.release(Cause::Completed).await;
            held.get().copied()
        }}
    });
    assert_eq!(released.await, None);
}

/// TYP-1: locks over what mentions a lifetime.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locks_may_hold_a_lifetime() {
    let shared = Arc::new(Mutex::new("a"));
    let lock = shared.clone();
    spawned(async {
        async_with! { lock as text => { yield_now().await; **text = "b"; } }
    })
    .await;
    assert_eq!(*shared.lock().await, "b");
    let called = spawned(async {
        let function: Box<dyn Fn() -> u8 + Send> = Box::new(|| 1);
        let lock = Arc::new(Mutex::new(function));
        async_with! { lock as function => { yield_now().await; function() } }
    });
    assert_eq!(called.await, 1);
    let borrowed = spawned(async {
        let lock = Mutex::new("a");
        async_with! { &lock as text => { yield_now().await; **text = "b"; } }
        lock.into_inner()
    });
    assert_eq!(borrowed.await, "b");
    let read = spawned(async {
        let lock = Arc::new(RwLock::new("a"));
        let before = async_with! { reading(lock.clone()) as text => { yield_now().await; **text } };
        async_with! { writing(lock.clone()) as text => { yield_now().await; **text = "b"; } }
        [before, *lock.read().await]
    });
    assert_eq!(read.await, ["a", "b"]);
}

/// TYP-1: what interrupts or suppresses, around what mentions a lifetime.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deadlines_and_suppression_may_be_around_it() {
    let timed = spawned(async {
        let result: Result<&'static str, Elapsed> = async {
            async_with! { timeout(LONG), nullcontext("a") as text => { yield_now().await; Ok(*text) } }
        }
        .await;
        result
    });
    assert_eq!(timed.await.unwrap(), "a");
    let moved_on = spawned(async {
        let mut seen = None;
        async_with! { move_on_after(LONG), nullcontext("a") as text => { yield_now().await; seen = Some(*text); } }
        seen
    });
    assert_eq!(moved_on.await, Some("a"));
    let not_cancelled = spawned(async {
        let name = "a";
        let mut seen = None;
        async_with! { move_on_when_cancelled(Default::default()), nullcontext(name) as text => {
            yield_now().await;
            seen = Some(*text);
        }}
        seen
    });
    assert_eq!(not_cancelled.await, Some("a"));
    let suppressed = spawned(async {
        let result: Result<u8, io::Error> = async {
            async_with! { suppress::<io::Error>(), nullcontext("a") as text => {
                yield_now().await;
                Err(io::Error::other(*text))?;
            }}
            Ok(1)
        }
        .await;
        result
    });
    assert_eq!(suppressed.await.unwrap(), 1);
    let nothing_lent = spawned(async {
        let result: Result<u8, std::fmt::Error> = async {
            async_with! { suppress::<std::fmt::Error>() => { yield_now().await; Err(std::fmt::Error)?; } }
            Ok(1)
        }
        .await;
        result
    });
    assert_eq!(nothing_lent.await, Ok(1));
}

/// TYP-1: an error that is a trait object, raised and suppressed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_may_be_a_trait_object() {
    async fn raised() -> Result<(), BoxError> {
        async_with! { nullcontext("a") as text => { yield_now().await; Err(BoxError::from(*text))?; } }
        Ok(())
    }
    async fn suppressed() -> Result<u8, BoxError> {
        async_with! { suppress_if(|_: &Raised<'_>| true) => { yield_now().await; Err(BoxError::from("a"))?; } }
        Ok(1)
    }
    assert_eq!(spawned(raised()).await.unwrap_err().to_string(), "a");
    assert_eq!(spawned(suppressed()).await.unwrap(), 1);
}

/// A stream that is closed only where what it borrows lives for ever.
struct Stream<'a>(&'a u8);

impl AsyncClose for Stream<'static> {
    type Error = io::Error;

    async fn close(self) -> io::Result<()> {
        yield_now().await;
        Ok(())
    }
}

/// TYP-1: what is closed has a lifetime as a parameter.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_closed_may_have_a_parameter() {
    async fn read() -> io::Result<u8> {
        async_with! { closing(Stream(&1)) as stream => { yield_now().await; Ok(*stream.0) } }
    }
    assert_eq!(spawned(read()).await.unwrap(), 1);
    fn file() -> tokio::fs::File {
        unreachable!("it is only compiled")
    }
    spawnable(async {
        async_with! { closing(file()) as file => { yield_now().await; file.sync_all().await?; } }
        Ok::<(), io::Error>(())
    });
}

/// TYP-1: a resource and an argument of no type of this crate's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_argument_may_be_lent() {
    struct Token;
    async fn job(token: Token) -> Result<u8, BoxError> {
        async_with! { nullcontext(token) as Token => { yield_now().await; Ok(1) } }
    }
    assert_eq!(spawned(job(Token)).await.unwrap(), 1);
}
