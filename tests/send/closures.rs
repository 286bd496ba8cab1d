//! Clean-up as a closure: what it captures, is given and returns may mention a lifetime.

use std::sync::Mutex;

use async_with::{callback, manage, prelude::*};
use async_with_tests::Log;
use tokio::task::yield_now;

use crate::{BoxError, spawned};

/// TYP-1: a callback that captures a reference, as an `async` closure and as one that returns a block.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_may_capture_a_lifetime() {
    async fn closure(log: Log, name: &'static str) {
        async_with! { callback(async move || log.write(name)) => { yield_now().await; } }
    }
    async fn block(log: Log, name: &'static str) {
        async_with! { callback(move || async move { log.write(name) }) => { yield_now().await; } }
    }
    #[attr::async_with(callback(async move || log.write(name)))]
    async fn attribute(log: Log, name: &'static str) {
        yield_now().await;
    }
    let log = Log::new();
    spawned(closure(log.clone(), "closure")).await;
    spawned(block(log.clone(), "block")).await;
    spawned(attribute(log.clone(), "attribute")).await;
    assert_eq!(log.take(), ["closure", "block", "attribute"]);
}

/// TYP-1: a pool that lives as long as the program.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_may_use_what_lives_for_ever() {
    static POOL: Mutex<u8> = Mutex::new(0);
    async fn job(pool: &'static Mutex<u8>) {
        async_with! { callback(async move || { *pool.lock().unwrap() = 1; }) => { yield_now().await; } }
    }
    spawned(job(&POOL)).await;
    assert_eq!(*POOL.lock().unwrap(), 1);
}

struct Borrows<'a>(&'a u8);

/// TYP-1: the value mentions a lifetime, with and without its type in the closure.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_managed_value_may_mention_a_lifetime() {
    let log = Log::new();
    let text = spawned({
        let log = log.clone();
        async {
            async_with! { manage("untyped", async move |text, _| log.write(text)) as text => {
                yield_now().await;
                text.len()
            }}
        }
    });
    assert_eq!(text.await, 7);
    let typed = spawned({
        let log = log.clone();
        async {
            async_with! { manage("typed", async move |text: &'static str, _: Cause| log.write(text)) as text => {
                yield_now().await;
                text.len()
            }}
        }
    });
    assert_eq!(typed.await, 5);
    let list = spawned({
        let log = log.clone();
        async {
            async_with! { manage(vec!["a"], async move |list, _| log.write(list.concat())) as list => {
                yield_now().await;
                list.push("b");
            }}
        }
    });
    list.await;
    let block = spawned({
        let log = log.clone();
        async {
            async_with! { manage(vec!["c"], |list, _| async move { log.write(list.concat()) }) as list => {
                yield_now().await;
                list.push("d");
            }}
        }
    });
    block.await;
    assert_eq!(log.take(), ["untyped", "typed", "ab", "cd"]);
}

/// TYP-1: a value with a parameter, and a capture beside a value that has none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_managed_value_may_have_a_parameter() {
    async fn captures(log: Log, name: &'static str) {
        async_with! { manage(1, async move |_, _| log.write(name)) as number => { yield_now().await; *number += 1; } }
    }
    let log = Log::new();
    let parameter = spawned({
        let log = log.clone();
        async {
            async_with! { manage(Borrows(&1), async move |value, _| log.write(value.0.to_string())) as value => {
                yield_now().await;
                *value.0
            }}
        }
    });
    assert_eq!(parameter.await, 1);
    spawned(captures(log.clone(), "captured")).await;
    assert_eq!(log.take(), ["1", "captured"]);
}

/// TYP-1: clean-up that fails with what mentions a lifetime.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clean_up_may_fail_with_a_lifetime() {
    let text = spawned(async {
        let result: Result<(), &'static str> = async {
            async_with! { manage(1, async |_: i32, _: Cause| Err::<(), &'static str>("bad")) => { yield_now().await; } }
            Ok(())
        }
        .await;
        result
    });
    assert_eq!(text.await, Err("bad"));
    let boxed = spawned(async {
        let result: Result<(), BoxError> = async {
            async_with! { manage(1, async |_: i32, _: Cause| Err::<(), BoxError>("bad".into())) => {
                yield_now().await;
            }}
            Ok(())
        }
        .await;
        result
    });
    assert_eq!(boxed.await.unwrap_err().to_string(), "bad");
}
