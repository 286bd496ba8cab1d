//! Exit stacks and task groups: what they hold, lend and raise may mention a lifetime.

use std::convert::Infallible;
use std::io;

use async_with::{
    BoxManager, callback, move_on_after, nullcontext, prelude::*, task_group, timeout,
    try_task_group,
};
use async_with_tests::Log;
use tokio::task::yield_now;

use crate::{BoxError, LONG, spawned};

#[async_context_manager]
async fn number(mut number: u8) -> Result<u8, BoxError> {
    yield_now().await;
    let _cause = yield_!(&mut number);
    yield_now().await;
    Ok(())
}

/// TYP-1: the error of a stack mentions a lifetime, though nothing in it does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_error_of_a_stack_may_mention_a_lifetime() {
    async fn boxed(log: Log) -> Result<(), BoxError> {
        async_with! { AsyncExitStack::new() as stack => {
            stack.callback(async move || log.write("boxed"));
            yield_now().await;
        }}
        Ok(())
    }
    async fn text(log: Log) -> Result<(), &'static str> {
        async_with! { AsyncExitStack::new() as stack => {
            stack.callback(async move || log.write("text"));
            yield_now().await;
            Err("failed")
        }}
    }
    let log = Log::new();
    spawned(boxed(log.clone())).await.unwrap();
    assert_eq!(spawned(text(log.clone())).await, Err("failed"));
    assert_eq!(log.take(), ["boxed", "text"]);
}

/// TYP-1: what was entered is held across an await.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_entered_may_mention_a_lifetime() {
    async fn into_another() -> Result<&'static str, io::Error> {
        async_with! { AsyncExitStack::new() as stack => {
            let text = match stack.enter(nullcontext("a")).await {
                Ok(text) => text,
                Err(never) => match never {},
            };
            yield_now().await;
            Ok(*text)
        }}
    }
    async fn into_box() -> Result<u8, BoxError> {
        async_with! { AsyncExitStack::new() as stack => {
            let number = stack.enter(number(1)).await?;
            stack.enter(timeout(LONG)).await?;
            yield_now().await;
            Ok(**number)
        }}
    }
    assert_eq!(spawned(into_another()).await.unwrap(), "a");
    assert_eq!(spawned(into_box()).await.unwrap(), 1);
}

/// TYP-1: what cannot fail is entered, in stacks whose error is a trait object or anyhow's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_fail_may_mention_a_lifetime() {
    async fn text() -> Result<&'static str, BoxError> {
        async_with! { AsyncExitStack::new() as stack => {
            let text = stack.enter_infallible(nullcontext("a")).await;
            yield_now().await;
            Ok(*text)
        }}
    }
    async fn number() -> Result<u8, BoxError> {
        async_with! { AsyncExitStack::new() as stack => {
            let number = stack.enter_infallible(nullcontext(1)).await;
            yield_now().await;
            Ok(*number)
        }}
    }
    async fn anyhow() -> anyhow::Result<&'static str> {
        async_with! { AsyncExitStack::new() as stack => {
            let text = stack.enter_infallible(nullcontext("a")).await;
            stack.enter(timeout(LONG)).await?;
            yield_now().await;
            Ok(*text)
        }}
    }
    assert_eq!(spawned(text()).await.unwrap(), "a");
    assert_eq!(spawned(number()).await.unwrap(), 1);
    assert_eq!(spawned(anyhow()).await.unwrap(), "a");
}

/// TYP-1: a handle and its loan are held across awaits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handle_may_lend_a_lifetime() {
    async fn job() -> Result<Option<&'static str>, io::Error> {
        async_with! { AsyncExitStack::new() as stack => {
            let mut handle = match stack.enter_owned(nullcontext("a")).await {
                Ok(handle) => handle,
                Err(never) => match never {},
            };
            let text = handle.borrow().as_deref().copied();
            yield_now().await;
            let Ok(()) = handle.release().await;
            Ok(text)
        }}
    }
    assert_eq!(spawned(job()).await.unwrap(), Some("a"));
}

/// TYP-1: values and callbacks in a stack.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clean_up_in_a_stack_may_capture_a_lifetime() {
    async fn adopts(log: Log) -> Result<(), BoxError> {
        async_with! { AsyncExitStack::new() as stack => {
            let text = stack.adopt("adopted", async move |text, _| log.write(text));
            yield_now().await;
            assert_eq!(*text, "adopted");
        }}
        Ok(())
    }
    async fn captures(log: Log, name: &'static str) -> Result<(), io::Error> {
        async_with! { AsyncExitStack::new() as stack => {
            stack.callback(async move || log.write(name));
            yield_now().await;
        }}
        Ok(())
    }
    async fn registers(log: Log) -> Result<(), BoxError> {
        async_with! { AsyncExitStack::new() as stack => {
            let registrar = stack.registrar();
            registrar.callback(async move || log.write("registered")).await?;
        }}
        Ok(())
    }
    let log = Log::new();
    spawned(adopts(log.clone())).await.unwrap();
    spawned(captures(log.clone(), "captured")).await.unwrap();
    spawned(registers(log.clone())).await.unwrap();
    assert_eq!(log.take(), ["adopted", "captured", "registered"]);
}

/// TYP-1: a stack that may suppress.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suppressing_stack_may_raise_a_lifetime() {
    async fn job() -> Result<(), BoxError> {
        async_with! { AsyncExitStack::suppressing() as stack => {
            let _ = stack.enter(move_on_after(LONG)).await;
            let number = stack.enter(number(1)).await?;
            yield_now().await;
            Err(format!("number {}", **number))?;
        }}
        Ok(())
    }
    assert_eq!(spawned(job()).await.unwrap_err().to_string(), "number 1");
}

/// TYP-1: a stack without a block.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stack_may_be_closed_by_hand() {
    async fn boxed(log: Log) -> Result<(), BoxError> {
        let mut stack = AsyncExitStack::<BoxError>::new();
        stack.callback(async move || log.write("boxed"));
        let mut kept = stack.pop_all();
        kept.close().await
    }
    async fn text(log: Log) -> Result<(), &'static str> {
        let mut stack = AsyncExitStack::<&'static str>::new();
        stack.callback(async move || log.write("text"));
        stack.close().await
    }
    let log = Log::new();
    spawned(boxed(log.clone())).await.unwrap();
    spawned(text(log.clone())).await.unwrap();
    assert_eq!(log.take(), ["boxed", "text"]);
}

/// TYP-1: a stack is passed to another function, and managers whose types are forgotten are entered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stack_may_be_passed_on() {
    async fn helper(stack: &AsyncExitStack<BoxError>) -> Result<u8, BoxError> {
        let number = stack.enter(number(1)).await?;
        yield_now().await;
        Ok(**number)
    }
    async fn passes() -> Result<u8, BoxError> {
        async_with! { AsyncExitStack::new() as stack => { helper(stack).await } }
    }
    async fn enters(managers: Vec<BoxManager<&'static str, BoxError>>) -> Result<String, BoxError> {
        async_with! { AsyncExitStack::new() as stack => {
            let mut all = String::new();
            for manager in managers {
                all.push_str(stack.enter(manager).await?);
            }
            Ok(all)
        }}
    }
    fn boxed(text: &'static str) -> BoxManager<&'static str, BoxError> {
        let manager = nullcontext(text).map_err(|never: Infallible| -> BoxError { match never {} });
        manager.boxed()
    }
    assert_eq!(spawned(passes()).await.unwrap(), 1);
    let managers = vec![boxed("a"), boxed("b")];
    assert_eq!(spawned(enters(managers)).await.unwrap(), "ab");
}

/// TYP-1: the tasks of a group.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_of_a_group_may_hold_a_lifetime() {
    #[attr::async_with(callback(async move || log.write(name)))]
    async fn attribute(log: Log, name: &'static str) {
        yield_now().await;
    }
    async fn block(log: Log, name: &'static str) {
        async_with! { nullcontext(name) as name => { yield_now().await; log.write(*name); } }
    }
    let log = Log::new();
    let two_groups = spawned({
        let log = log.clone();
        async {
            async_with! { task_group() as group => {
                group.spawn(attribute(log.clone(), "attribute"));
                yield_now().await;
            }}
            async_with! { task_group() as group => {
                group.spawn(block(log, "block"));
                yield_now().await;
            }}
        }
    });
    two_groups.await;
    assert_eq!(log.take(), ["attribute", "block"]);
}

/// TYP-1: the error of a group.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_error_of_a_group_may_mention_a_lifetime() {
    async fn boxed() -> Result<(), BoxError> {
        async_with! { try_task_group::<BoxError>() as group => {
            group.spawn(async { Err::<(), BoxError>("boxed".into()) });
            yield_now().await;
        }}
        Ok(())
    }
    async fn text() -> Result<(), &'static str> {
        async_with! { try_task_group::<&'static str>() as group => {
            group.spawn(async { Err::<(), _>("text") });
            yield_now().await;
        }}
        Ok(())
    }
    assert_eq!(spawned(boxed()).await.unwrap_err().to_string(), "boxed");
    assert_eq!(spawned(text()).await, Err("text"));
}
