//! Time per block.
//!
//! The blocks are timed in turns, in many short samples, and of each the fastest sample counts: what disturbs a
//! measurement only ever makes it slower.

use std::time::{Duration, Instant};

use async_with_benches::{Block, Repeat, blocks};

use crate::aims::Aims;
use crate::count;
use crate::table::Table;

/// How long one sample takes, about. Shorter than a time slice of the scheduler.
const SAMPLE: Duration = Duration::from_micros(100);
const ROUNDS: usize = 1500;

struct Timed {
    block: Block,
    repetitions: usize,
    fastest: Duration,
}

impl Timed {
    fn new(block: Block) -> Self {
        let mut repetitions = 1;
        while sample(block, repetitions) < SAMPLE {
            repetitions *= 2;
        }
        Self {
            block,
            repetitions,
            fastest: Duration::MAX,
        }
    }

    fn sample(&mut self) {
        self.fastest = self.fastest.min(sample(self.block, self.repetitions));
    }

    fn nanoseconds(&self) -> f64 {
        self.fastest.as_secs_f64() * 1e9 / count(self.repetitions)
    }
}

fn sample(block: Block, repetitions: usize) -> Duration {
    let start = Instant::now();
    block.visit(Repeat(repetitions));
    start.elapsed()
}

pub(crate) fn measure(aims: &mut Aims) {
    // In a task, as most blocks are: a block asks which task it is in.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime without drivers can be built");
    let task = runtime.spawn(async {
        let mut timed: Vec<Timed> = blocks().map(Timed::new).collect();
        for _ in 0..ROUNDS {
            timed.iter_mut().for_each(Timed::sample);
        }
        timed
    });
    let timed = runtime
        .block_on(task)
        .expect("the measurement does not panic");
    let figures = timed.iter().map(|timed| (timed.block, timed.nanoseconds()));
    let table = Table::of("time per block, nanoseconds", figures);
    print!("{table}");
    aims.time(&table);
}
