//! ORD: what happens when.

use std::sync::Mutex;

use async_with::async_with;
use async_with_tests::{Boom, Log, Logged, pend};

use crate::support::lend;

fn made(log: &Log, name: &'static str) -> Logged {
    log.write(format!("make {name}"));
    log.manager(name)
}

/// ORD-1: expression, enter, binding, per item; item k may use item k-1.
#[tokio::test]
async fn items_are_lazy() {
    let log = Log::new();
    async_with! {
        made(&log, "a") as a,
        { a.note(); a.value += 1; made(&a.log.clone(), "b") } as b,
        made(&log, if b.value == 0 { "c" } else { "d" }) => {
            log.write("body");
        }
    }
    let expected = [
        "make a",
        "enter a",
        "use a",
        "make b",
        "enter b",
        "make c",
        "enter c",
        "body",
        "exit c: completed",
        "exit b: completed",
        "exit a: completed",
    ];
    assert_eq!(log.take(), expected);
}

/// ORD-2: exits are awaited one at a time, in reverse; each finishes before the next starts.
#[tokio::test]
async fn exits_run_in_reverse_one_after_the_other() {
    let log = Log::new();
    async_with! {
        log.manager("a").pending(2), log.manager("b").pending(1), log.scoped("c").pending(3) => {}
    }
    let expected = [
        "enter a",
        "enter b",
        "enter c",
        "exit c: completed",
        "exited c",
        "exit b: completed",
        "exited b",
        "exit a: completed",
        "exited a",
    ];
    assert_eq!(log.take(), expected);
}

/// ORD-3: n items mean what n nested blocks mean, on every way out.
#[tokio::test]
async fn several_items_are_nested_blocks() {
    async fn listed(log: &Log, how: u8) -> Result<u8, Boom> {
        loop {
            async_with! { log.manager("a") as a, log.fallible("b"), log.suppressing("c") as c => {
                a.note();
                match how {
                    0 => {}
                    1 => return Ok(1),
                    2 => break,
                    3 => { c.check(false)?; }
                    _ => { return Err(Boom("left")); }
                }
            }}
            return Ok(0);
        }
        Ok(2)
    }
    async fn nested(log: &Log, how: u8) -> Result<u8, Boom> {
        loop {
            async_with! { log.manager("a") as a => {
                async_with! { log.fallible("b") => {
                    async_with! { log.suppressing("c") as c => {
                        a.note();
                        match how {
                            0 => {}
                            1 => return Ok(1),
                            2 => break,
                            3 => { c.check(false)?; }
                            _ => { return Err(Boom("left")); }
                        }
                    }}
                }}
            }}
            return Ok(0);
        }
        Ok(2)
    }
    for how in 0..5 {
        let (one, other) = (Log::new(), Log::new());
        assert_eq!(listed(&one, how).await, nested(&other, how).await);
        let events = one.take();
        assert_eq!(events, other.take());
        assert!(events.len() >= 7, "{events:?}");
    }
}

/// ORD-4: temporaries of an item's expression are gone before the enter.
#[tokio::test]
async fn temporaries_are_dropped_before_the_enter() {
    struct Noisy<'a>(&'a Log);
    impl Noisy<'_> {
        fn manager(&self) -> Logged {
            self.0.manager("a")
        }
    }
    impl Drop for Noisy<'_> {
        fn drop(&mut self) {
            self.0.write("drop temporary");
        }
    }
    let log = Log::new();
    async_with! { Noisy(&log).manager() as a => { a.note(); } }
    assert_eq!(
        log.take(),
        ["drop temporary", "enter a", "use a", "exit a: completed"]
    );

    // A lock that is taken in the expression is free in the enter and in the body.
    let lock = Mutex::new(5);
    async_with! { lend(*lock.lock().unwrap()) as n => {
        assert_eq!(lock.try_lock().map(|n| *n).ok(), Some(*n));
    }}
}

/// ORD-5: the body may borrow and change its surroundings; item 2 may borrow item 1's resource.
#[tokio::test]
async fn the_body_borrows_what_surrounds_it() {
    let log = Log::new();
    let mut seen = Vec::new();
    let mut count = 0;
    let longest = async_with! { lend(vec![1, 2]) as list => {
        list.push(3);
        async_with! { lend(&mut count) as count, log.scoped("b") => {
            let count: &mut i32 = count;
            *count += 1;
            seen.push(list.len());
        }}
        seen.iter().max().copied()
    }};
    seen.push(9);
    assert_eq!((longest, count, seen), (Some(3), 1, vec![3, 9]));
}

/// ORD-6: a block suspends where its parts do, and nowhere else.
#[test]
fn the_expansion_adds_no_suspension_point() {
    use std::future::Future;
    use std::task::{Context, Poll, Waker};

    for (pending, expected) in [(0, 1), (1, 5), (3, 13)] {
        let log = Log::new();
        let block = async {
            async_with! { log.manager("a").pending(pending), log.scoped("b").pending(pending) => {
                pend(0).await;
            }}
        };
        let mut block = std::pin::pin!(block);
        let mut context = Context::from_waker(Waker::noop());
        let mut polls = 1;
        while let Poll::Pending = block.as_mut().poll(&mut context) {
            polls += 1;
        }
        assert_eq!(polls, expected);
    }
}
