//! With the feature `tokio`, and without `io`: a program that runs on wasm as well, where a panic is a trap. So it is one
//! `main`, in place of tests that are run by threads.

use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use async_with::{async_with, drain, set_spawner};
use async_with_tests::{Log, pend};

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Polls again and again, since nothing here waits for another thread.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

/// ORD-2, EXI-1: a block whose body and exits wait needs no runtime, and no clock.
fn a_block_that_waits() {
    let log = Log::new();
    let value = block_on(async {
        async_with! { log.manager("a").pending(2), log.scoped("b").pending(2) as b => {
            b.note();
            pend(3).await;
            1
        }}
    });
    assert_eq!(value, 1);
    let expected = [
        "enter a",
        "enter b",
        "use b",
        "exit b: completed",
        "exited b",
        "exit a: completed",
        "exited a",
    ];
    assert_eq!(log.take(), expected);
}

/// CAN-1, CAN-5: a dropped block hands its exit to the spawner, and `drain` waits for it.
fn a_block_that_is_dropped() {
    let jobs: Arc<Mutex<Vec<Job>>> = Arc::default();
    let spawned = jobs.clone();
    set_spawner(move |job| {
        let mut jobs = spawned.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.push(job);
    });
    let log = Log::new();
    {
        let mut block = pin!(async {
            async_with! { log.manager("a").exit_pending(2) => { pending::<()>().await; } }
        });
        let mut context = Context::from_waker(Waker::noop());
        assert!(block.as_mut().poll(&mut context).is_pending());
    }
    let jobs = std::mem::take(&mut *jobs.lock().unwrap_or_else(PoisonError::into_inner));
    jobs.into_iter().for_each(block_on);
    block_on(drain());
    assert_eq!(log.take(), ["enter a", "exit a: dropped", "exited a"]);
}

/// CAN-6: on a runtime with timers, a timeout passes. Those of tokio need a clock, as WASI has one.
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
fn a_block_with_a_timeout() {
    use std::time::Duration;

    use async_with::{Elapsed, timeout};

    const PATIENCE: Duration = Duration::from_millis(1);

    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().build().expect("a runtime");
    let log = Log::new();
    let outcome: Result<(), Elapsed> = runtime.block_on(async {
        async_with! { timeout(PATIENCE), log.manager("a").pending(1) => { pending().await } }
    });
    assert!(outcome.is_err());
    assert_eq!(log.take(), ["enter a", "exit a: cancelled", "exited a"]);
}

fn main() {
    a_block_that_waits();
    a_block_that_is_dropped();
    #[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
    a_block_with_a_timeout();
}
