//! test262's `test/built-ins/AsyncDisposableStack/prototype`, named by folder and file.

use std::any::type_name_of_val;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use async_with::{AsyncExitStack, async_with, drain, report};
use async_with_tests::{Boom, Log};

use super::{reported, witness};

type Stack = AsyncExitStack<Boom>;

/// Uses, adopts and defers one each, of which each writes one event.
async fn filled(log: &Log) -> Stack {
    let stack = Stack::new();
    stack
        .enter(witness(log, "use"))
        .await
        .expect("it does not fail");
    let (adopt, defer) = (log.clone(), log.clone());
    stack.adopt("adopt", async move |value, _| adopt.write(value));
    stack.callback(async move || defer.write("defer"));
    let _ = log.take();
    stack
}

const DISPOSED: [&str; 3] = ["defer", "adopt", "exit use: completed"];

/// `adopt/adds-value-onDisposeAsync`: STK-3.
#[tokio::test]
async fn adopt_adds_value_on_dispose_async() {
    let log = Log::new();
    let mut stack = Stack::new();
    let disposed = log.clone();
    stack.adopt("value", async move |value, _| disposed.write(value));
    assert_eq!(log.take(), Vec::<String>::new());
    assert_eq!(stack.close().await, Ok(()));
    assert_eq!(log.take(), ["value"]);
}

/// `adopt/allows-any-value`: STK-3. Any value that can be sent to another task, of any type.
#[tokio::test]
async fn adopt_allows_any_value() {
    let mut stack = Stack::new();
    stack.adopt((), async |(), _| {});
    stack.adopt(None::<Log>, async |_, _| {});
    stack.adopt(witness(&Log::new(), "not entered"), async |_, _| {});
    stack.adopt(|| 1, async |_, _| {});
    stack.adopt(true, async |_, _| {});
    stack.adopt(1, async |_, _| {});
    stack.adopt("text", async |_, _| {});
    stack.adopt(vec![Box::new(std::cell::Cell::new('c'))], async |_, _| {});
    assert_eq!(stack.len(), 8);
    assert_eq!(stack.close().await, Ok(()));
}

/// `adopt/puts-value-onDisposeAsync-on-top-of-stack`: ORD-2.
#[tokio::test]
async fn adopt_puts_value_on_dispose_async_on_top_of_stack() {
    let log = Log::new();
    let mut stack = Stack::new();
    let (one, two) = (log.clone(), log.clone());
    stack.adopt("value 1", async move |value, _| {
        one.write(format!("dispose 1 of {value}"))
    });
    // One that is not async.
    stack.adopt("value 2", move |value, _| async move {
        two.write(format!("dispose 2 of {value}"))
    });
    assert_eq!(stack.close().await, Ok(()));
    assert_eq!(log.take(), ["dispose 2 of value 2", "dispose 1 of value 1"]);
}

/// `adopt/returns-value`: STK-3. The value is lent, and what is changed in it, the exit sees.
#[tokio::test]
async fn adopt_returns_value() {
    let log = Log::new();
    let mut stack = Stack::new();
    let disposed = log.clone();
    let value = stack.adopt(vec![1], async move |value, _| {
        disposed.write(format!("{value:?}"))
    });
    assert_eq!(*value, [1]);
    value.push(2);
    assert_eq!(stack.close().await, Ok(()));
    assert_eq!(log.take(), ["[1, 2]"]);
}

/// `defer/adds-onDisposeAsync`: STK-3.
#[tokio::test]
async fn defer_adds_on_dispose_async() {
    let log = Log::new();
    let mut stack = Stack::new();
    let disposed = log.clone();
    stack.callback(async move || disposed.write("disposed"));
    assert_eq!(log.take(), Vec::<String>::new());
    assert_eq!(stack.close().await, Ok(()));
    assert_eq!(log.take(), ["disposed"]);
}

/// `defer/puts-onDisposeAsync-on-top-of-stack`: ORD-2.
#[tokio::test]
async fn defer_puts_on_dispose_async_on_top_of_stack() {
    let log = Log::new();
    let mut stack = Stack::new();
    let (one, two) = (log.clone(), log.clone());
    stack.callback(async move || one.write("1"));
    stack.callback(move || async move { two.write("2") });
    assert_eq!(stack.close().await, Ok(()));
    assert_eq!(log.take(), ["2", "1"]);
}

/// `disposeAsync/disposes-resources-in-reverse-order`: ORD-2, STK-3. Managers, guards, adopted values and callbacks.
#[tokio::test]
async fn dispose_async_disposes_resources_in_reverse_order() {
    struct Guard(Log);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.write("guard");
        }
    }
    let log = Log::new();
    let mut stack = Stack::new();
    stack
        .enter(witness(&log, "1"))
        .await
        .expect("it does not fail");
    stack.keep(Guard(log.clone()));
    let logs = [(); 4].map(|()| log.clone());
    let [one, two, three, four] = logs;
    stack.adopt("adopted, async", async move |value, _| one.write(value));
    stack.adopt("adopted", move |value, _| async move { two.write(value) });
    stack.callback(async move || three.write("deferred, async"));
    stack.callback(move || async move { four.write("deferred") });
    let _ = log.take();
    assert_eq!(stack.close().await, Ok(()));
    let expected = [
        "deferred",
        "deferred, async",
        "adopted",
        "adopted, async",
        "guard",
        "exit 1: completed",
    ];
    assert_eq!(log.take(), expected);
}

/// `disposeAsync/does-not-reinvoke-disposers-if-already-disposed`: EXI-1, STK-4.
#[tokio::test]
async fn dispose_async_does_not_reinvoke_disposers_if_already_disposed() {
    let log = Log::new();
    let mut stack = filled(&log).await;
    assert_eq!(stack.close().await, Ok(()));
    assert_eq!(log.take(), DISPOSED);
    assert_eq!(stack.close().await, Ok(()));
    drop(stack);
    assert_eq!(log.take(), Vec::<String>::new());
}

/// `disposeAsync/does-not-reinvoke-disposers-if-dispose-already-started`: EXI-1, STK-4. The second call comes while the
/// first, which was dropped, goes on by itself: both cannot borrow the stack at once.
#[tokio::test]
async fn dispose_async_does_not_reinvoke_disposers_if_dispose_already_started() {
    let log = Log::new();
    let mut stack = filled(&log).await;
    let started = log.clone();
    stack.callback(async move || {
        started.write("started");
        tokio::task::yield_now().await;
    });
    {
        let mut first = pin!(stack.close());
        assert!(
            first
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
    }
    assert_eq!(log.take(), ["started"]);
    assert_eq!(stack.close().await, Ok(()));
    assert_eq!(log.take(), ["defer", "adopt", "exit use: dropped"]);
}

/// `disposeAsync/does-not-reject-if-already-disposed`: STK-4.
#[tokio::test]
async fn dispose_async_does_not_reject_if_already_disposed() {
    let mut stack = Stack::new();
    for _ in 0..3 {
        assert_eq!(stack.close().await, Ok(()));
    }
}

/// `disposeAsync/explicit-await-skipped-when-empty`, and `explicit-await-for-null` and `-undefined`: ORD-6. Nothing is
/// awaited but what an exit awaits. (JavaScript awaits one turn where a resource is `null`.)
#[tokio::test]
async fn dispose_async_explicit_await_skipped_when_empty() {
    let mut context = Context::from_waker(Waker::noop());
    let mut stack = Stack::new();
    assert!(pin!(stack.close()).poll(&mut context).is_ready());
    stack.keep(None::<Log>);
    assert!(pin!(stack.close()).poll(&mut context).is_ready());
}

/// `disposeAsync/rejects-with-error-as-is-if-only-one-error-during-disposal`: ERR-2.
#[tokio::test]
async fn dispose_async_rejects_with_error_as_is_if_only_one_error_during_disposal() {
    let mut stack = Stack::new();
    stack.push(async |_| Err::<(), _>(Boom("my error")));
    stack.callback(async || {});
    let (closed, entries) = report::collect(stack.close()).await;
    assert_eq!(closed, Err(Boom("my error")));
    assert_eq!(entries, []);
}

/// `disposeAsync/rejects-with-suppressederror-if-multiple-errors-during-disposal`: ERR-3, ERR-5. JavaScript raises the
/// last error, around the one before it, and so on; here the first is raised, and the others are in the report.
#[tokio::test]
async fn dispose_async_rejects_with_suppressederror_if_multiple_errors_during_disposal() {
    let mut stack = Stack::new();
    stack.push(async |_| Err::<(), _>(Boom("error 1")));
    stack.push(async |_| Err::<(), _>(Boom("error 2")));
    stack.push(async |_| Err::<(), _>(Boom("error 3")));
    let (closed, entries) = report::collect(stack.close()).await;
    assert_eq!(closed, Err(Boom("error 3")));
    assert_eq!(reported(&entries), ["error 2", "error 1"]);
}

/// `disposeAsync/sets-state-to-disposed`, and `disposed/returns-true-when-disposed` and `-false-when-not-disposed`:
/// STK-4. As in Python, a stack that was closed is empty, and can be filled again.
#[tokio::test]
async fn dispose_async_sets_state_to_disposed() {
    let log = Log::new();
    let mut stack = filled(&log).await;
    assert_eq!((stack.len(), stack.is_empty()), (3, false));
    assert_eq!(stack.close().await, Ok(()));
    assert_eq!((stack.len(), stack.is_empty()), (0, true));
}

/// `use/throws-if-disposed`, `adopt/throws-if-disposed`, `defer/throws-if-disposed`: STK-4, STK-5. A stack that was
/// closed can be used again, as in Python. What throws is to register on one whose block is over: and what was
/// registered is run, so that nothing is lost.
#[tokio::test]
async fn use_throws_if_disposed() {
    let log = Log::new();
    let mut stack = filled(&log).await;
    assert_eq!(stack.close().await, Ok(()));
    let _ = log.take();
    stack
        .enter(witness(&log, "again"))
        .await
        .expect("it does not fail");
    assert_eq!(stack.close().await, Ok(()));
    assert_eq!(log.take(), ["enter again", "exit again: completed"]);

    let block = async {
        let registrar = async_with! { AsyncExitStack::new() as stack => { stack.registrar() } };
        Ok::<_, Boom>(registrar)
    };
    let registrar = block.await.expect("nothing fails");
    let late = log.clone();
    assert!(
        registrar
            .callback(async move || late.write("late"))
            .await
            .is_err()
    );
    assert_eq!(log.take(), ["late"]);
}

/// `move/does-not-dispose-resources`: STK-4, CAN-1. Not before the new stack is dropped.
#[tokio::test]
async fn move_does_not_dispose_resources() {
    let log = Log::new();
    let mut stack = filled(&log).await;
    let moved = stack.pop_all();
    drop(stack);
    drain().await;
    assert_eq!(log.take(), Vec::<String>::new());
    drop(moved);
    drain().await;
    assert_eq!(log.take(), ["defer", "adopt", "exit use: dropped"]);
}

/// `move/returns-new-asyncdisposablestack-that-contains-moved-resources`: STK-4.
#[tokio::test]
async fn move_returns_new_asyncdisposablestack_that_contains_moved_resources() {
    let log = Log::new();
    let mut stack = filled(&log).await;
    let mut moved = stack.pop_all();
    assert_eq!(stack.close().await, Ok(()));
    assert_eq!(log.take(), Vec::<String>::new());
    assert_eq!(moved.close().await, Ok(()));
    assert_eq!(log.take(), DISPOSED);
}

/// `move/returns-new-asyncdisposablestack-that-is-still-pending` and `move/returns-new-asyncdisposablestack`: STK-4.
#[tokio::test]
async fn move_returns_new_asyncdisposablestack_that_is_still_pending() {
    let log = Log::new();
    let mut stack = filled(&log).await;
    let mut moved = stack.pop_all();
    assert_eq!(moved.len(), 3);
    assert_eq!(type_name_of_val(&moved), type_name_of_val(&stack));
    moved.callback(async || {});
    assert_eq!(moved.len(), 4);
    assert_eq!(moved.close().await, Ok(()));
}

/// `move/sets-state-to-disposed` and `move/throws-if-disposed`: STK-4. The stack that things were moved from is empty, and
/// can be filled again.
#[tokio::test]
async fn move_sets_state_to_disposed() {
    let log = Log::new();
    let mut stack = filled(&log).await;
    let mut moved = stack.pop_all();
    assert!(stack.is_empty());
    assert!(stack.pop_all().is_empty());
    assert_eq!(moved.close().await, Ok(()));
}

/// `use/adds-async-disposable-value`: STK-2.
#[tokio::test]
async fn use_adds_async_disposable_value() {
    let log = Log::new();
    let mut stack = Stack::new();
    assert!(stack.enter(witness(&log, "a")).await.is_ok());
    assert_eq!(stack.close().await, Ok(()));
    assert_eq!(log.take(), ["enter a", "exit a: completed"]);
}

/// `use/adds-sync-disposable-value`: STK-3. What is disposed of without awaiting is a guard, and is kept.
#[tokio::test]
async fn use_adds_sync_disposable_value() {
    let guard = std::sync::Arc::new(());
    let mut stack = Stack::new();
    stack.keep(guard.clone());
    assert_eq!(std::sync::Arc::strong_count(&guard), 2);
    assert_eq!(stack.close().await, Ok(()));
    assert_eq!(std::sync::Arc::strong_count(&guard), 1);
}

/// `use/puts-value-on-top-of-stack`: ORD-2.
#[tokio::test]
async fn use_puts_value_on_top_of_stack() {
    let log = Log::new();
    let mut stack = Stack::new();
    assert!(stack.enter(witness(&log, "1")).await.is_ok());
    assert!(stack.enter(witness(&log, "2")).await.is_ok());
    assert_eq!(stack.close().await, Ok(()));
    let expected = [
        "enter 1",
        "enter 2",
        "exit 2: completed",
        "exit 1: completed",
    ];
    assert_eq!(log.take(), expected);
}

/// `use/returns-value`: STK-2. What enter gives is lent; several at once.
#[tokio::test]
async fn use_returns_value() {
    let log = Log::new();
    let stack = Stack::new();
    let one = stack
        .enter(witness(&log, "1"))
        .await
        .expect("it is entered");
    let two = stack
        .enter(witness(&log, "2"))
        .await
        .expect("it is entered");
    std::mem::swap(one, two);
    assert_eq!((*one, *two), ("2", "1"));
}
