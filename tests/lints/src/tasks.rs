//! Blocks whose future goes elsewhere.

use std::pin::Pin;

use async_with::prelude::*;
use tokio::task::JoinError;

use crate::managers::{Fallible, Open, Problem};

/// In `tokio::spawn`, annotated and not.
///
/// # Errors
///
/// When a task panics.
pub async fn spawned(start: u64) -> Result<u64, JoinError> {
    let plain = tokio::spawn(async move {
        async_with! { Open(start) as counter => { counter.next() } }
    });
    let statement = tokio::spawn(async move {
        async_with! { Open(start) as counter => {
            let _ = counter.next();
        } }
    });
    let fallible = tokio::spawn(async {
        let value = async_with! { Fallible as counter => { counter.fetch().await? } };
        Ok::<_, Problem>(value)
    });
    let hidden = tokio::spawn(async move {
        async_with! { Open(start) as counter => { format!("{}", counter.next()).len() } }
    });
    statement.await?;
    Ok(plain.await? + fallible.await?.unwrap_or_default() + hidden.await? as u64)
}

/// In an async closure, and in a closure that returns a future.
pub async fn closures() -> u64 {
    let asynchronous =
        async |start: u64| async_with! { Open(start) as counter => { counter.next() } };
    let boxed = |start: u64| -> Pin<Box<dyn Future<Output = u64> + Send>> {
        Box::pin(async move {
            async_with! { Open(start) as counter => { counter.next() } }
        })
    };
    asynchronous(1).await + boxed(2).await
}

/// Recursive.
pub async fn recursive(depth: u64) -> u64 {
    async_with! { Open(depth) as counter => {
        if depth == 0 {
            return counter.next();
        }
        Box::pin(recursive(depth - 1)).await + counter.next()
    } }
}

/// In branches of `select!` and arguments of `join!`.
pub async fn selected() -> u64 {
    let (a, b) = tokio::join!(
        async {
            async_with! { Open(1) as counter => { counter.next() } }
        },
        async {
            async_with! { Open(2) as counter => { counter.next() } }
        },
    );
    tokio::select! {
        value = async { async_with! { Open(a) as counter => { counter.next() } } } => value + b,
    }
}

/// In a function that `#[tokio::main]` makes synchronous.
///
/// # Errors
///
/// With the managers.
///
/// # Panics
///
/// Without a runtime.
#[tokio::main(flavor = "current_thread")]
pub async fn blocking() -> Result<u64, Problem> {
    let value = async_with! { Fallible as counter => { counter.fetch().await? } };
    async_with! { Open(value) as counter => {
        if counter.next() > 100 {
            return Err(Problem);
        }
    } }
    Ok(value)
}

/// Above `#[tokio::main]`.
///
/// # Errors
///
/// With the managers.
///
/// # Panics
///
/// Without a runtime.
#[attr::async_with(Fallible as counter)]
#[tokio::main(flavor = "current_thread")]
pub async fn above() -> Result<u64, Problem> {
    counter.fetch().await
}

/// Below `#[tokio::main]`, bare and with items.
///
/// # Errors
///
/// With the managers.
///
/// # Panics
///
/// Without a runtime.
#[tokio::main(flavor = "current_thread")]
#[attr::async_with(Fallible as counter)]
pub async fn below() -> Result<u64, Problem> {
    counter.fetch().await
}

/// Below `#[tokio::main]`, bare.
///
/// # Panics
///
/// Without a runtime.
#[must_use]
#[tokio::main(flavor = "current_thread")]
#[attr::async_with]
pub async fn bare() -> u64 {
    #[with]
    let counter = Open(1);
    counter.next()
}
