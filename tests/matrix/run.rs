//! Runs a program, on a runtime of its own, and writes down what it came to.

use std::any::Any;
use std::cell::{Cell as Variable, RefCell};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use async_with::drain_timeout;
use async_with::report::{self, Incident};
use async_with_tests::Gate;
use futures::FutureExt;
use tokio::runtime::{Builder, Runtime};

use crate::constructs::{Construct, Program};
use crate::managers::{Ending, Failure, Item, Managed, Point, Run, Source};

/// A part of a program, around the next one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Layer {
    Managers(Construct, Vec<Item>),
    /// A part of the body is dropped before it goes on.
    Detached,
}

/// A program and what befalls it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Cell {
    /// The first one is the outermost block.
    pub(crate) layers: Vec<Layer>,
    pub(crate) ending: Ending,
    pub(crate) hit: Option<(Point, Source)>,
    pub(crate) threads: usize,
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    pub(crate) events: Vec<String>,
    pub(crate) outcome: String,
    pub(crate) reports: Vec<Reported>,
    /// How many events there were when it was hit.
    pub(crate) mark: Option<usize>,
    pub(crate) hangs: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reported {
    pub(crate) manager: String,
    pub(crate) phase: String,
    pub(crate) cause: String,
    pub(crate) incident: String,
    pub(crate) unfinished: bool,
}

impl Cell {
    fn program(&self, run: &Arc<Run>) -> Program {
        let mut program: Program = Box::pin(Arc::clone(run).body());
        for (number, layer) in self.layers.iter().enumerate().rev() {
            program = match layer {
                Layer::Managers(construct, items) => {
                    let items = items.iter();
                    let managers = items.map(|item| Managed::new(*item, run)).collect();
                    construct.around(managers, program, run)
                }
                Layer::Detached => Box::pin(beside_detached(Arc::clone(run), program)),
            };
            if number == 1 && run.source == Source::Cut {
                program = Box::pin(cut(Arc::clone(run), program));
            }
        }
        program
    }

    pub(crate) fn run(&self) -> Record {
        let run = Run::new(self.hit, self.ending, self.misses());
        let runtime = kept(self.threads).unwrap_or_else(|| runtime(self.threads));
        let watchdog = watch();
        let program = self.program(&run);
        let scenario = report::collect(scenario(program, Arc::clone(&run)));
        let threads = self.threads;
        let ended = runtime.block_on(async move {
            let scenario = async move {
                if threads == 0 {
                    scenario.await
                } else {
                    tokio::spawn(scenario).await.expect("it catches panics")
                }
            };
            // With the paused clock, time passes when nothing else does.
            let idle = async {
                if threads == 0 {
                    tokio::time::sleep(Duration::from_mins(1)).await;
                } else {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                biased;
                ended = scenario => Ok(ended),
                () = idle => Err("hangs"),
                () = watchdog.opened() => Err(if threads == 0 { "spins" } else { "hangs" }),
            }
        });
        let mut record = Record {
            events: run.log.events(),
            mark: run.mark(),
            ..Record::default()
        };
        // One with nothing owed on it is as good as new.
        if matches!(ended, Ok(((_, true), _))) {
            KEPT.with_borrow_mut(|kept| *kept = Some((self.threads, runtime)));
        } else {
            runtime.shutdown_background();
        }
        match ended {
            Ok(((outcome, drained), entries)) => {
                record.outcome = outcome;
                record.reports = entries.iter().map(reported).collect();
                if !drained {
                    record.hangs = Some("drain hangs");
                }
            }
            Err(hangs) => {
                record.hangs = Some(hangs);
                if self.threads > 0 || hangs == "spins" {
                    PATIENCE.set(Duration::from_millis(300));
                }
            }
        }
        record.reports.extend(run.lost().into_iter().map(lost));
        record
    }
}

fn reported(entry: &report::Entry) -> Reported {
    let cause = async_with_tests::short(entry.cause);
    Reported {
        manager: entry.manager.to_owned(),
        phase: entry.phase.to_string(),
        cause,
        unfinished: entry.incident == Incident::Unfinished,
        incident: entry.incident.to_string(),
    }
}

fn lost(failure: Failure) -> Reported {
    Reported {
        manager: String::new(),
        phase: "lost".to_owned(),
        cause: String::new(),
        incident: format!("{failure:?}"),
        unfinished: false,
    }
}

async fn scenario(program: Program, run: Arc<Run>) -> (String, bool) {
    let mut program = Box::pin(AssertUnwindSafe(program).catch_unwind());
    let outcome = if run.source == Source::Drop {
        tokio::select! {
            biased;
            ended = &mut program => Some(ended),
            () = run.fired.opened() => None,
        }
    } else {
        Some(program.as_mut().await)
    };
    drop(program);
    if outcome.is_none() {
        run.noticed.open();
    }
    let drained = drain_timeout(Duration::from_secs(5)).await.is_ok();
    (outcome.map_or_else(|| "dropped".to_owned(), ended), drained)
}

fn ended(result: Result<Result<u8, Failure>, Box<dyn Any + Send>>) -> String {
    match result {
        Ok(Ok(value)) => format!("value {value}"),
        Ok(Err(failure)) => format!("failed {failure:?}"),
        Err(payload) => match payload.downcast::<&'static str>() {
            Ok(message) => format!("panicked {message}"),
            Err(_) => "panicked otherwise".to_owned(),
        },
    }
}

/// Drops what is inside when it is hit, and goes on.
async fn cut(run: Arc<Run>, inside: Program) -> Result<u8, Failure> {
    let ended = {
        let mut inside = inside;
        tokio::select! {
            biased;
            ended = &mut inside => Some(ended),
            () = run.fired.opened() => None,
        }
    };
    run.noticed.open();
    ended.unwrap_or(Ok(9))
}

async fn beside_detached(run: Arc<Run>, inside: Program) -> Result<u8, Failure> {
    let _shed = run.shed().await;
    inside.await
}

thread_local! {
    static KEPT: RefCell<Option<(usize, Runtime)>> = const { RefCell::new(None) };
}

/// The runtime of the last run.
fn kept(threads: usize) -> Option<Runtime> {
    let kept = KEPT.take();
    let (_, runtime) = kept.filter(|(of, _)| *of == threads)?;
    Some(runtime)
}

fn runtime(threads: usize) -> Runtime {
    let runtime = if threads == 0 {
        Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
    } else {
        Builder::new_multi_thread()
            .worker_threads(threads)
            .enable_time()
            .build()
    };
    runtime.expect("a runtime")
}

thread_local! {
    /// How long a run may take, in real time. Each row has a thread of its own: where one of its runs hangs, the row fails,
    /// and need not wait that long for the others.
    static PATIENCE: Variable<Duration> = const { Variable::new(Duration::from_secs(5)) };
}

/// Opens when a run takes longer than any should.
fn watch() -> Gate {
    type Watched = Arc<Mutex<Vec<(Instant, Gate)>>>;
    static WATCHED: OnceLock<Watched> = OnceLock::new();
    let watched = WATCHED.get_or_init(|| {
        report::set_sink(|_| {});
        let watched = Watched::default();
        let list = Arc::clone(&watched);
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(Duration::from_millis(50));
                let now = Instant::now();
                let mut list = list.lock().unwrap_or_else(PoisonError::into_inner);
                list.retain(|(until, gate)| {
                    let is_over = *until < now;
                    if is_over {
                        gate.open();
                    }
                    !is_over
                });
            }
        });
        watched
    });
    let gate = Gate::new();
    let until = Instant::now() + PATIENCE.get();
    let mut watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
    watched.push((until, gate.clone()));
    gate
}
