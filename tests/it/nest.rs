//! What levels of different kinds are to each other: generators, exits in the middle of a body, enters that outlive theirs.

use std::convert::Infallible;
use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use async_with::{Elapsed, async_with, detach, drain, drain_timeout, move_on_after, prelude::*};
use async_with::{report, timeout, try_task_group};
use async_with_tests::{Boom, Log, short};
use futures::FutureExt;
use tokio::time::{sleep, timeout as within};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[async_context_manager]
async fn with_deadline(log: Log) -> Result<(), Elapsed> {
    async_with! { timeout(ms(10)), log.manager("around") => {
        let ((), cause) = yield_!();
        log.write(format!("behind: {}", short(cause)));
        async_with! { log.manager("clean-up") => { sleep(ms(5)).await; } }
        sleep(ms(1)).await;
        log.write("end");
    }}
}

/// GEN-3, GEN-6: a deadline around the yield interrupts the user's block; what stands behind the yield is run to its end.
#[tokio::test(start_paused = true)]
async fn a_deadline_around_a_yield_interrupts_the_users_block() {
    let log = Log::new();
    let block = async {
        async_with! { log.manager("outer"), with_deadline(log.clone()) => {
            async_with! { log.scoped("inner") => { pending::<()>().await } }
        }}
        Ok::<(), Elapsed>(())
    };
    let raised = within(ms(1000), block).await.expect("it ends");
    assert!(raised.is_err());
    assert_eq!(
        log.take(),
        [
            "enter outer",
            "enter around",
            "enter inner",
            "exit inner: cancelled",
            "behind: cancelled",
            "enter clean-up",
            "exit clean-up: completed",
            "end",
            "exit around: cancelled",
            "inspect outer: Elapsed",
            "exit outer: failed Elapsed",
        ]
    );
    assert_eq!(drain_timeout(ms(1000)).await, Ok(()));
}

/// GEN-3, GEN-6: the same where nothing is open in the user's block.
#[tokio::test(start_paused = true)]
async fn what_stands_behind_a_yield_is_run_to_its_end() {
    let log = Log::new();
    let block = async {
        async_with! { with_deadline(log.clone()) => { pending::<()>().await } }
        Ok::<(), Elapsed>(())
    };
    assert!(within(ms(1000), block).await.expect("it ends").is_err());
    assert_eq!(
        log.take(),
        [
            "enter around",
            "behind: cancelled",
            "enter clean-up",
            "exit clean-up: completed",
            "end",
            "exit around: cancelled",
        ]
    );
    assert_eq!(drain_timeout(ms(1000)).await, Ok(()));
}

/// CAN-6, PAN-1: the exit after a hook that panicked is not interrupted.
#[tokio::test(start_paused = true)]
async fn the_exit_after_a_hook_that_panicked_is_not_interrupted() {
    struct Slow(Log);
    impl AsyncContextManager for Slow {
        type Resource = ();
        type Error = Infallible;
        type Exit = ();

        async fn enter(&mut self) -> Result<(), Infallible> {
            Ok(())
        }

        async fn exit(self, (): (), cause: Cause) -> Result<(), Infallible> {
            async_with! { self.0.manager("in exit") => { sleep(ms(30)).await } }
            self.0.write(format!("exited: {}", short(cause)));
            Ok(())
        }
    }
    let log = Log::new();
    let block = AssertUnwindSafe(async {
        async_with! { timeout(ms(10)), Slow(log.clone()).on_enter(|()| panic!("hook")) => {} }
        Ok::<(), Elapsed>(())
    });
    let ended = within(ms(1000), block.catch_unwind()).await;
    assert!(ended.expect("it ends").is_err());
    let events = [
        "enter in exit",
        "exit in exit: completed",
        "exited: panicked",
    ];
    assert_eq!(log.take(), events);
}

/// PAN-1, PAN-3: a panic of a task exits the managers inside in place, scoped ones included.
#[tokio::test]
async fn a_panic_of_a_task_exits_in_place() {
    let log = Log::new();
    let block = AssertUnwindSafe(async {
        async_with! { try_task_group::<Boom>() as group, log.scoped("a") => {
            group.spawn(async { panic!("in a task") });
            pending::<()>().await;
        }}
        Ok::<(), Boom>(())
    });
    assert!(block.catch_unwind().await.is_err());
    assert_eq!(log.take(), ["enter a", "exit a: cancelled"]);
}

/// CAN-5: `drain`s in two blocks do not wait for each other; one outside of blocks waits for both.
#[tokio::test(start_paused = true)]
async fn drains_do_not_wait_for_each_other() {
    let log = Log::new();
    let service = || async {
        async_with! { log.manager("a") => {
            tokio::task::yield_now().await;
            drain().await;
        }}
    };
    let both = async { tokio::join!(service(), service()) };
    within(ms(1000), both).await.expect("they end");
    assert_eq!(log.take().len(), 4);
    within(ms(1000), drain()).await.expect("nothing is owed");
}

/// CAN-5: a task of a group does not wait for the block that waits for it.
#[tokio::test(start_paused = true)]
async fn a_task_does_not_wait_for_its_group() {
    let group = async {
        async_with! { try_task_group::<Boom>() as group => {
            group.spawn(async {
                async_with! { move_on_after(ms(100)) => { drain().await } }
            });
        }}
        Ok::<(), Boom>(())
    };
    assert_eq!(within(ms(50), group).await, Ok(Ok(())));
}

/// CAN-4, STK-4: `close` waits for what was detached since the first entry, and for nothing before.
#[tokio::test(start_paused = true)]
async fn close_waits_for_what_was_detached_since() {
    let log = Log::new();
    async_with! { log.manager("outer") => {
        let later = |name: &'static str, after| {
            let log = log.clone();
            detach(name, async move {
                sleep(ms(after)).await;
                log.write(name);
            });
        };
        later("before", 50);
        let mut stack = AsyncExitStack::<Infallible>::new();
        stack.enter_infallible(log.manager("entry")).await;
        later("since", 10);
        let Ok(()) = stack.close().await;
        log.write("closed");
    }}
    assert_eq!(
        log.take(),
        [
            "enter outer",
            "enter entry",
            "since",
            "exit entry: completed",
            "closed",
            "before",
            "exit outer: completed",
        ]
    );
}

/// CAN-5: the parts of a stack and of a `join` are listed by their names, and are not waited for beside it.
#[tokio::test]
async fn parts_are_listed_by_their_names() {
    let log = Log::new();
    let names = || {
        let pending = async_with::pending_exits().into_iter();
        pending.map(|exit| exit.manager).collect::<Vec<_>>()
    };
    let named = |name: &'static str| log.manager("a").named(name);
    async_with! { async_with::join((named("one"), named("two"))) => {
        let listed = names();
        assert!(["one", "two"].iter().all(|name| listed.contains(name)), "{listed:?}");
        drain().await;
    }}
    let block = async {
        async_with! { AsyncExitStack::new() as stack => {
            stack.enter_infallible(named("one")).await;
            stack.enter_owned(named("two")).await.map_err(|never| match never {})?;
            let listed = names();
            assert!(["one", "two"].iter().all(|name| listed.contains(name)), "{listed:?}");
            drain().await;
        }}
        Ok::<(), Boom>(())
    };
    let (ended, reported) = report::collect(block).await;
    assert_eq!((ended, reported), (Ok(()), Vec::new()));
    assert_eq!(names(), <[&str; 0]>::default());
}
