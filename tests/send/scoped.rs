//! Managers that borrow, in futures that are `'static` because what is borrowed is theirs.

use std::convert::Infallible;

use async_with::{ScopedAsyncContextManager, nullcontext, prelude::*, scoped_nullcontext};
use tokio::task::yield_now;

use crate::{BoxError, sendable, spawned};

/// Counts while it is open, beside a resource of any type.
struct Counting<'a, T>(Option<(&'a mut u8, T)>);

impl<'a, T> ScopedAsyncContextManager for Counting<'a, T> {
    type Resource = (&'a mut u8, T);
    type Error = BoxError;
    type Exit = ();

    async fn enter(&mut self) -> Result<Self::Resource, BoxError> {
        yield_now().await;
        self.0.take().ok_or_else(|| "entered twice".into())
    }

    async fn exit(self, (count, _): Self::Resource, _: Cause) -> Result<(), BoxError> {
        yield_now().await;
        *count += 1;
        Ok(())
    }
}

/// TYP-1: an own manager that borrows, over a resource and with an error that mention `'static`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scoped_manager_may_borrow() {
    async fn job() -> Result<u8, BoxError> {
        let mut count = 0;
        async_with! { Counting(Some((&mut count, "a"))) as (count, text) => {
            yield_now().await;
            **count += text.len() as u8;
        }}
        Ok(count)
    }
    assert_eq!(spawned(job()).await.unwrap(), 2);
}

/// A manager that is scoped, though its resource is `'static`.
struct Lend<T>(Option<T>);

impl<T: 'static> ScopedAsyncContextManager for Lend<T> {
    type Resource = T;
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<T, Infallible> {
        yield_now().await;
        Ok(self.0.take().expect("a manager is entered once"))
    }

    async fn exit(self, _: T, _: Cause) -> Result<(), Infallible> {
        yield_now().await;
        Ok(())
    }
}

/// TYP-1: an own scoped manager whose resource has to be `'static`, in a block and by hand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scoped_manager_may_ask_for_static() {
    let block = spawned(async {
        async_with! { Lend(Some("a")) as text => { yield_now().await; *text } }
    });
    assert_eq!(block.await, "a");
    let by_hand = spawned(async {
        let mut manager = Lend(Some("a"));
        let Ok(resource) = manager.enter().await;
        yield_now().await;
        let Ok(()) = manager.exit(resource, Cause::Completed).await;
        resource
    });
    assert_eq!(by_hand.await, "a");
}

/// TYP-1: a scoped value and its adaptors.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scoped_value_may_be_adapted() {
    async fn mapped(text: String) -> usize {
        let text = &text;
        async_with! { scoped_nullcontext(text).map(|text| text.len()) as length => { yield_now().await; *length } }
    }
    async fn with_error(text: String) -> Result<usize, BoxError> {
        let text = &text;
        async_with! { scoped_nullcontext(text).map_err(|never| -> BoxError { match never {} }) as text => {
            yield_now().await;
            Ok(text.len())
        }}
    }
    async fn looked_at(text: String) -> Result<usize, BoxError> {
        let text = &text;
        async_with! { scoped_nullcontext(text).on_exit(|_, _| ()) as text => { yield_now().await; Ok(text.len()) } }
    }
    let plain = spawned(async {
        async_with! { scoped_nullcontext("a") as text => { yield_now().await; *text } }
    });
    assert_eq!(plain.await, "a");
    assert_eq!(spawned(mapped("a".to_owned())).await, 1);
    assert_eq!(spawned(looked_at("a".to_owned())).await.unwrap(), 1);
    assert_eq!(spawned(with_error("a".to_owned())).await.unwrap(), 1);
}

/// TYP-1: a local variable and a parameter are borrowed beside what is `'static`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_borrowed_may_be_beside_what_is_static() {
    async fn local(text: String) -> String {
        let text = &text;
        async_with! { nullcontext("a") as a, scoped_nullcontext(text) as b => { yield_now().await; format!("{a}{b}") } }
    }
    async fn parameter(text: &str) -> String {
        async_with! { nullcontext("a") as a, scoped_nullcontext(text) as b => { yield_now().await; format!("{a}{b}") } }
    }
    assert_eq!(spawned(local("b".to_owned())).await, "ab");
    let text = String::from("b");
    assert_eq!(sendable(parameter(&text)).await, "ab");
}
