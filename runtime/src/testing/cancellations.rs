//! A future, dropped at every point at which it can be.

use std::future::Future;
use std::task::Poll;

use super::bench::Bench;
use crate::report::{self, Entry};

/// How one run of [`explore_cancellations`] ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct Explored<T> {
    /// After how many polls the future was dropped, or completed.
    pub polls: usize,
    /// What it returned: `None` unless it completed, which the last run does.
    pub output: Option<T>,
    /// What was [reported](crate::report) in the run, clean-up included.
    pub reports: Vec<Entry>,
}

/// Runs a future again and again, drops it after 0, 1, 2, .. polls, until it completes, and calls `check` each time, when
/// all exits are done that the drop detached. Returns how many polls the future takes.
///
/// The future is polled when it was woken, as an executor does. Exits that it detaches run here, on any runtime or on
/// none ([`block_on`](super::block_on)); other tests on other threads are not disturbed.
///
/// The idea is fault injection by enumeration, as in the out-of-memory tests of `SQLite`.
///
/// ```
/// use async_with::async_with;
/// use async_with::testing::{EventLog, block_on, explore_cancellations, pend};
///
/// let log = EventLog::new();
/// let transfer = || async {
///     async_with! { log.manager("connection").pending(1) => {
///         pend(1).await;
///     }}
/// };
/// let polls = block_on(explore_cancellations(transfer, |run| {
///     let events = log.take();
///     match run.polls {
///         0 | 1 => assert!(events.is_empty()),
///         2 => assert_eq!(events[1], "exit connection: dropped"),
///         _ => assert_eq!(events[1], "exit connection: completed"),
///     }
///     assert!(run.reports.is_empty());
/// }));
/// assert_eq!(polls, 4);
/// ```
///
/// # Panics
///
/// With what the future or `check` panics with; standard error then says after how many polls. Also, when the future has not
/// completed after 1,000 polls.
///
/// # Cancel safety
///
/// When it is dropped, the run is given up, and with it the exits that are still owed.
pub async fn explore_cancellations<F: Future>(
    mut make: impl FnMut() -> F,
    mut check: impl FnMut(Explored<F::Output>),
) -> usize {
    const LIMIT: usize = 1_000;
    for polls in 0..=LIMIT {
        let place = Place(polls);
        let run = async {
            let bench = Bench::new(None);
            let output = polled(&bench, make(), polls).await;
            bench.settled().await;
            output
        };
        let (output, reports) = report::collect(run).await;
        let completed = output.is_some();
        check(Explored {
            polls,
            output,
            reports,
        });
        drop(place);
        if completed {
            return polls;
        }
    }
    panic!("the future has not completed after {LIMIT} polls");
}

/// Polls a future so many times, and drops it.
async fn polled<F: Future>(bench: &Bench, future: F, polls: usize) -> Option<F::Output> {
    let mut future = bench.hold(future);
    let flag = bench.flag();
    for _ in 0..polls {
        bench.woken(&flag).await;
        if let Poll::Ready(output) = bench.poll(future.as_mut(), &flag) {
            return Some(output);
        }
    }
    None
}

/// Tells where a panic came from.
struct Place(usize);

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the future was dropped after {} polls", self.0);
        }
    }
}
