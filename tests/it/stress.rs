//! EXI-1, CAN-1, CAN-5: a million blocks on real threads; every enter has its exit, and `drain` misses none.
//!
//! `STRESS_BLOCKS` sets how many, half of them on each runtime.

use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};

use async_with::{
    AsyncContextManager, AsyncExitStack, Cause, async_context_manager, async_with, drain,
    pending_exits,
};
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinSet, yield_now};

/// How many tasks live at once.
const TASKS: usize = 100;

#[derive(Clone, Default)]
struct Counts(Arc<[AtomicUsize; 2]>);

impl Counts {
    fn entered(&self) -> usize {
        self.0[0].load(Ordering::SeqCst)
    }

    fn exited(&self) -> usize {
        self.0[1].load(Ordering::SeqCst)
    }

    fn one_entered(&self) {
        self.0[0].fetch_add(1, Ordering::SeqCst);
    }

    fn one_exited(&self) {
        self.0[1].fetch_add(1, Ordering::SeqCst);
    }
}

impl AsyncContextManager for Counts {
    type Resource = ();
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<(), Infallible> {
        yield_now().await;
        self.one_entered();
        Ok(())
    }

    async fn exit(self, (): (), _: Cause) -> Result<(), Infallible> {
        yield_now().await;
        self.one_exited();
        Ok(())
    }
}

#[async_context_manager]
async fn generated(counts: Counts) -> Result<usize, Infallible> {
    async_with! { counts.clone() => {
        counts.one_entered();
        let mut number = 1;
        let _ = yield_!(&mut number);
        yield_now().await;
        counts.one_exited();
    }}
}

/// Opens blocks, and ends them in one of several ways.
async fn work(counts: Counts, number: usize) {
    let nested = async || {
        async_with! { counts.clone(), counts.clone() => {
            yield_now().await;
            if number.is_multiple_of(2) {
                pending().await
            }
        }}
    };
    match number % 5 {
        0 => async_with! { counts.clone() => { yield_now().await } },
        1 => async_with! { generated(counts.clone()) as one => {
            *one += 1;
            pending().await
        }},
        2 => nested().await,
        3 => {
            let mut block = pin!(nested());
            let mut cx = Context::from_waker(Waker::noop());
            for _ in 0..number / 5 % 9 {
                if block.as_mut().poll(&mut cx).is_ready() {
                    return;
                }
            }
        }
        _ => async_with! { AsyncExitStack::new() as stack => {
            for _ in 0..3 {
                let Ok(()) = stack.enter(counts.clone()).await.map(drop);
            }
            if number.is_multiple_of(2) {
                pending().await
            }
        }},
    }
}

/// Opens so many blocks, and drains now and then.
async fn run(blocks: usize) {
    let counts = Counts::default();
    let mut number = 0;
    while counts.entered() < blocks {
        let mut tasks = JoinSet::new();
        for _ in 0..TASKS {
            tasks.spawn(work(counts.clone(), number));
            number += 1;
        }
        for _ in 0..number / TASKS % 16 {
            yield_now().await;
        }
        tasks.abort_all();
        // Aborted while it is polled, a task may still enter its first block.
        if (number / TASKS).is_multiple_of(2) {
            while tasks.join_next().await.is_some() {}
            drain().await;
            assert_eq!(counts.exited(), counts.entered());
        } else {
            let (drained, ()) = tokio::join!(tokio::spawn(drain()), async {
                while tasks.join_next().await.is_some() {}
            });
            drained.expect("`drain` does not panic");
        }
    }
    drain().await;
    assert!(counts.entered() >= blocks);
    assert_eq!(counts.exited(), counts.entered());
    assert_eq!(pending_exits(), []);
    println!("{} entered, {} exited", counts.entered(), counts.exited());
}

fn blocks() -> usize {
    let blocks = std::env::var("STRESS_BLOCKS").ok();
    let blocks = blocks.map_or(1_000_000, |blocks| blocks.parse().expect("a number"));
    blocks / 2
}

fn stress(runtime: &Runtime) {
    // On a thread of the runtime, unlike what `block_on` polls.
    let run = async { tokio::spawn(run(blocks())).await };
    runtime
        .block_on(run)
        .expect("every block that was entered is exited");
}

#[test]
fn every_enter_has_its_exit_on_many_threads() {
    stress(
        &Builder::new_multi_thread()
            .worker_threads(4)
            .build()
            .expect("a runtime"),
    );
}

#[test]
fn every_enter_has_its_exit_on_one_thread() {
    stress(&Builder::new_current_thread().build().expect("a runtime"));
}
