//! The runtimes that tests run on. More than one binary has this module.

use std::future::Future;
use std::time::Duration;

use async_with_tests::Log;
use tokio::runtime::{Builder, Runtime};
use tokio::task::{LocalSet, yield_now};

/// A current-thread and a multi-thread runtime.
pub(crate) fn runtimes() -> [Runtime; 2] {
    let current_thread = Builder::new_current_thread().enable_all().build();
    let multi_thread = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    [current_thread, multi_thread].map(|runtime| runtime.expect("a runtime"))
}

/// Fails when the future hangs, in place of hanging.
pub(crate) async fn within_reason<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), future)
        .await
        .expect("it does not hang")
}

/// Runs a scenario on each kind of runtime, and in a `LocalSet`.
pub(crate) fn on_each_runtime<F: Future<Output = ()>>(scenario: impl Fn() -> F) {
    for runtime in runtimes() {
        runtime.block_on(within_reason(scenario()));
    }
    let [runtime, _] = runtimes();
    LocalSet::new().block_on(&runtime, within_reason(scenario()));
}

/// Lets other tasks run until the event was written.
pub(crate) async fn until(log: &Log, event: &str) {
    while !log.events().iter().any(|written| written == event) {
        yield_now().await;
    }
}
