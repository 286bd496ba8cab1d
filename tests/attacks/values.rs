//! What safe code can do with a manager, its resource and its future by hand: exchange, forget, leave alone, move.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::mem;
use std::pin::Pin;
use std::task::{Context, Waker};

use library::{
    AsyncContextManager, Cause, ScopedAsyncContextManager, async_context_manager, nullcontext,
};

use crate::run;

#[async_context_manager]
async fn number(start: u64) -> Result<Box<u64>, Infallible> {
    let mut number = Box::new(start);
    library::async_with! { nullcontext(String::from("beside")) as beside => {
        yield_!(&mut number);
        beside.push('!');
        assert_eq!(beside, "beside!");
    }}
    *number += 1;
}

#[async_context_manager]
async fn borrowed(list: &mut Vec<u64>) -> Result<Vec<u64>, Infallible> {
    yield_!(&mut *list);
    list.push(9);
}

fn poll<T>(future: Pin<&mut impl Future<Output = T>>) -> bool {
    future
        .poll(&mut Context::from_waker(Waker::noop()))
        .is_ready()
}

/// GEN-5: resources that are exchanged, as values and through what they dereference to.
#[test]
fn resources_are_exchanged() {
    run(async {
        let (mut first, mut second) = (number(1), number(2));
        let (Ok(mut one), Ok(mut two)) = (first.enter().await, second.enter().await);
        mem::swap(&mut *one, &mut *two);
        assert_eq!((**one, **two), (2, 1));
        mem::swap(&mut one, &mut two);
        assert_eq!((**one, **two), (1, 2));
        **one = 5;
        drop(mem::replace(&mut *two, Box::new(7)));
        // Each goes to the manager of the other.
        let Ok(()) = first.exit(two, Cause::Completed).await;
        let Ok(()) = second.exit(one, Cause::Panicked).await;
    });
}

/// GEN-5: entered managers that are forgotten or dropped, before and after what they lend is used.
#[test]
fn resources_are_forgotten() {
    run(async {
        let mut manager = number(1);
        let Ok(mut entered) = manager.enter().await;
        **entered += 1;
        mem::forget(entered);
        mem::forget(manager);
        let mut manager = number(2);
        let Ok(mut entered) = manager.enter().await;
        drop(manager);
        **entered += 1;
        drop(entered);
        let mut list = vec![1];
        {
            let mut manager = borrowed(&mut list);
            let Ok(mut entered) = manager.enter().await;
            entered.push(2);
            let moved = Box::new(entered);
            assert_eq!(***moved, [1, 2]);
            mem::forget(moved);
        }
        assert_eq!(list, [1, 2]);
    });
}

/// GEN-5: blocks that are polled and then leaked, one in the other.
#[test]
fn blocks_are_forgotten() {
    let block = async {
        library::async_with! { number(1) as outer, number(**outer) as inner => {
            mem::swap(outer, inner);
            pending::<()>().await;
        }}
    };
    let mut leaked = Box::pin(block);
    assert!(!poll(leaked.as_mut()));
    assert!(!poll(leaked.as_mut()));
    mem::forget(leaked);
}

/// GEN-5: an enter that is dropped or forgotten at the yield, and one that is moved to another thread.
#[test]
fn enters_are_forgotten_and_moved() {
    let mut manager = number(1);
    mem::forget(manager.enter());
    drop(manager);
    let entered = run(async {
        let mut manager = number(3);
        let entered = manager.enter().await;
        (manager, entered)
    });
    let (manager, Ok(mut entered)) = entered;
    let after = std::thread::spawn(move || {
        **entered += 1;
        let after = **entered;
        run(async move {
            let Ok(()) = manager.exit(entered, Cause::Dropped).await;
        });
        after
    });
    assert_eq!(after.join().ok(), Some(4));
}
