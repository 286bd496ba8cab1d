//! What blocks cost when many tasks open them at once, and what `drain` costs beside open blocks.
//!
//! Every block enters and leaves the table that `drain` and `pending_exits` look at, and clones the handle of its
//! runtime. Both are shared, so that the price may rise with the number of threads.

use std::pin::pin;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use async_with::{async_with, cancellable, drain, pending_exits};
use async_with_benches::{Block, LEVELS, Repeat, blocks};
use futures::future::join_all;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use crate::count;
use crate::table::Table;

const TASKS: usize = 16;
const ROUNDS: usize = 40;
/// How often each task runs the block in a sample.
const REPETITIONS: usize = 500;

pub(crate) fn measure() {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = Builder::new_multi_thread()
        .worker_threads(threads)
        .build()
        .expect("a runtime without drivers can be built");
    println!("({TASKS} tasks on {threads} threads)");
    let wanted = |block: &Block| [LEVELS[0], LEVELS[LEVELS.len() - 1]].contains(&block.levels);
    let figures = blocks().filter(wanted).map(|block| {
        let fastest = (0..ROUNDS).map(|_| sample(&runtime, block)).min();
        let elapsed = fastest.unwrap_or_default().as_secs_f64() * 1e9 * count(threads);
        (block, elapsed / count(TASKS * REPETITIONS))
    });
    let table = Table::of("thread time per block, nanoseconds", figures);
    print!("{table}");
    runtime.block_on(beside_open_blocks());
}

fn sample(runtime: &Runtime, block: Block) -> Duration {
    runtime.block_on(async {
        let start = Instant::now();
        let tasks = (0..TASKS).map(|_| {
            tokio::spawn(async move {
                block.visit(Repeat(REPETITIONS));
            })
        });
        for task in join_all(tasks).await {
            task.expect("the measurement does not panic");
        }
        start.elapsed()
    })
}

/// The blocks are looked at by a task that does not wait for them.
async fn beside_open_blocks() {
    println!("one look at the open blocks, microseconds");
    println!(
        "{:<14}{:>12}{:>16}",
        "open blocks", "drain", "pending_exits"
    );
    for open in [0, 100, 10_000] {
        let end = CancellationToken::new();
        let mut held: Vec<_> = (0..open)
            .map(|_| {
                Box::pin(async {
                    async_with! { cancellable(CancellationToken::new()) => {
                        end.cancelled().await;
                    }}
                    Ok::<_, async_with::Cancelled>(())
                })
            })
            .collect();
        let mut cx = Context::from_waker(Waker::noop());
        for block in &mut held {
            assert!(block.as_mut().poll(&mut cx).is_pending());
        }
        let look = fastest(|| {
            let polled = pin!(drain()).poll(&mut cx);
            assert_eq!(polled.is_pending(), open > 0);
        });
        let list = fastest(|| assert_eq!(pending_exits().len(), open));
        println!("{open:<14}{look:>12.1}{list:>16.1}");
        end.cancel();
        for ended in join_all(held).await {
            ended.expect("nobody cancels it");
        }
    }
    println!();
}

fn fastest(mut look: impl FnMut()) -> f64 {
    let times = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        look();
        start.elapsed()
    });
    times.min().unwrap_or_default().as_secs_f64() * 1e6
}
