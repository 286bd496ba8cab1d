//! CAN: the future that holds a block is dropped.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use async_with::async_with;
use async_with_tests::{Log, pend};

/// Lets what was spawned run.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// CAN-1: dropped in the body, the exit runs to completion on the runtime.
#[tokio::test]
async fn dropped_in_the_body_the_exit_runs() {
    let log = Log::new();
    let inside = log.clone();
    let task = tokio::spawn(async move {
        async_with! { inside.manager("a").pending(2) => { std::future::pending::<()>().await } };
    });
    settle().await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    settle().await;
    assert_eq!(log.take(), ["enter a", "exit a: dropped", "exited a"]);
}

/// CAN-7: dropped inside an enter, nothing is owed to that manager; outer exits run. Never polled, nothing runs.
#[tokio::test]
async fn dropped_inside_an_enter_nothing_is_owed() {
    let log = Log::new();
    let mut block = Box::pin(async {
        async_with! { log.manager("a"), log.manager("b").pending(5) => {} }
    });
    assert!(futures::poll!(&mut block).is_pending());
    drop(block);
    settle().await;
    assert_eq!(log.take(), ["enter a", "exit a: dropped"]);

    let block = async {
        async_with! { log.manager("a") => {} }
    };
    drop(block);
    settle().await;
    assert_eq!(log.take(), <[&str; 0]>::default());
}

/// CAN-8: wherever the future is dropped, what was entered is exited.
#[tokio::test]
async fn there_is_no_gap_in_which_an_exit_is_lost() {
    for polls in 0.. {
        let log = Log::new();
        let mut finished = false;
        {
            let mut block = pin!(async {
                async_with! { log.manager("a").pending(2), log.manager("b").pending(1) => {
                    pend(2).await;
                }}
            });
            for _ in 0..polls {
                let mut context = Context::from_waker(Waker::noop());
                finished = block.as_mut().poll(&mut context).is_ready();
            }
        }
        settle().await;
        let events = log.take();
        let count = |what: &str| {
            events
                .iter()
                .filter(|event| event.starts_with(what))
                .count()
        };
        assert_eq!(count("enter"), count("exit "), "{polls}: {events:?}");
        assert_eq!(count("enter"), count("exited"), "{polls}: {events:?}");
        let exits: Vec<_> = events
            .iter()
            .filter(|event| event.starts_with("exit"))
            .map(|event| {
                event
                    .split(' ')
                    .nth(1)
                    .unwrap_or_default()
                    .trim_end_matches(':')
            })
            .collect();
        assert!(exits.is_sorted_by(|a, b| a >= b), "{polls}: {events:?}");
        if finished {
            assert_eq!(polls, 9);
            break;
        }
    }
}
