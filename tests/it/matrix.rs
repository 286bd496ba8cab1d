//! CAN, exhaustively: every shape of a program is dropped, and interrupted, after each of its polls.
//!
//! The run that nobody disturbs is the reference. Up to the drop, a disturbed run must be the same; what comes after it
//! follows from what is open then.

use std::any::Any;
use std::fmt::Debug;
use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use async_with::report::{self, Entry, Phase};
use async_with::{Cancelled, async_with, cancellable, drain, pending_exits};
use async_with_tests::{Boom, Gate, Log, Logged, Scoped, pend};
use futures::FutureExt;
use tokio_util::sync::CancellationToken;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Surviving,
    Scoped,
}

/// How control leaves the body.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Leaves {
    Value,
    QuestionMark,
    Return,
    Break,
    Panic,
}

/// What takes two more polls.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Slow {
    Enter,
    Body,
    Exit,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Drop,
    Abort,
    Timeout,
    Select,
    Interrupt,
}

#[derive(Clone, Copy, Debug)]
struct Shape {
    kind: Kind,
    managers: usize,
    leaves: Leaves,
    slow: Slow,
}

const WAYS: [Way; 5] = [
    Way::Drop,
    Way::Abort,
    Way::Timeout,
    Way::Select,
    Way::Interrupt,
];

fn shapes() -> impl Iterator<Item = Shape> {
    let leaves = [
        Leaves::Value,
        Leaves::QuestionMark,
        Leaves::Return,
        Leaves::Break,
        Leaves::Panic,
    ];
    let slow = [Slow::Enter, Slow::Body, Slow::Exit];
    let kinds = [Kind::Surviving, Kind::Scoped];
    kinds.into_iter().flat_map(move |kind| {
        (1..=4).flat_map(move |managers| {
            leaves.into_iter().flat_map(move |leaves| {
                slow.map(|slow| Shape {
                    kind,
                    managers,
                    leaves,
                    slow,
                })
            })
        })
    })
}

impl Shape {
    fn pends(self, slow: Slow) -> usize {
        if self.slow == slow { 2 } else { 0 }
    }

    fn surviving(self, log: &Log, name: &'static str) -> Logged {
        log.manager(name)
            .enter_pending(self.pends(Slow::Enter))
            .exit_pending(self.pends(Slow::Exit))
    }

    fn scoped<'a>(self, log: &'a Log, name: &'static str) -> Scoped<'a> {
        log.scoped(name)
            .enter_pending(self.pends(Slow::Enter))
            .exit_pending(self.pends(Slow::Exit))
    }

    fn program(self, log: Log) -> Program {
        let run = async move {
            match (self.kind, self.managers) {
                (Kind::Surviving, 1) => surviving_1(&log, self).await,
                (Kind::Surviving, 2) => surviving_2(&log, self).await,
                (Kind::Surviving, 3) => surviving_3(&log, self).await,
                (Kind::Surviving, _) => surviving_4(&log, self).await,
                (Kind::Scoped, 1) => scoped_1(&log, self).await,
                (Kind::Scoped, 2) => scoped_2(&log, self).await,
                (Kind::Scoped, 3) => scoped_3(&log, self).await,
                (Kind::Scoped, _) => scoped_4(&log, self).await,
            }
        };
        Box::pin(run)
    }
}

macro_rules! program {
    ($program:ident: $kind:ident $($name:literal)+) => {
        async fn $program(log: &Log, shape: Shape) -> Result<u8, Boom> {
            let value = loop {
                break async_with! { $(shape.$kind(log, $name)),+ => {
                    pend(shape.pends(Slow::Body)).await;
                    match shape.leaves {
                        Leaves::Value => 1,
                        Leaves::QuestionMark => Err(Boom("body"))?,
                        Leaves::Return => return Ok(2),
                        Leaves::Break => break 3,
                        // A panic without the hook, which would print thousands of messages.
                        Leaves::Panic => resume_unwind(Box::new("body")),
                    }
                }};
            };
            Ok(value)
        }
    };
}

program!(surviving_1: surviving "a");
program!(surviving_2: surviving "a" "b");
program!(surviving_3: surviving "a" "b" "c");
program!(surviving_4: surviving "a" "b" "c" "d");
program!(scoped_1: scoped "a");
program!(scoped_2: scoped "a" "b");
program!(scoped_3: scoped "a" "b" "c");
program!(scoped_4: scoped "a" "b" "c" "d");

type Program = Pin<Box<dyn Future<Output = Result<u8, Boom>> + Send>>;

/// How a program ended.
#[derive(Clone, Debug, PartialEq)]
enum Ended {
    Value(u8),
    Failed(Boom),
    Panicked(String),
    Cancelled,
    /// It did not: it was dropped.
    Dropped,
}

impl From<Cancelled> for Ended {
    fn from(_: Cancelled) -> Self {
        Ended::Cancelled
    }
}

fn ended(result: Result<Result<u8, Boom>, Box<dyn Any + Send>>) -> Ended {
    match result {
        Ok(Ok(value)) => Ended::Value(value),
        Ok(Err(error)) => Ended::Failed(error),
        Err(payload) => Ended::Panicked(match payload.downcast::<&'static str>() {
            Ok(message) => (*message).to_owned(),
            Err(_) => "another payload".to_owned(),
        }),
    }
}

/// The run that nobody disturbs.
struct Reference {
    events: Vec<String>,
    /// How many of the events there are after so many polls.
    after: Vec<usize>,
    ended: Ended,
}

impl Reference {
    async fn run(shape: Shape) -> Self {
        let log = Log::new();
        let mut program = AssertUnwindSafe(shape.program(log.clone())).catch_unwind();
        let mut after = vec![0];
        loop {
            let polled = futures::poll!(&mut program);
            after.push(log.events().len());
            if let Poll::Ready(result) = polled {
                return Self {
                    events: log.take(),
                    after,
                    ended: ended(result),
                };
            }
        }
    }

    /// The number of polls to completion.
    fn polls(&self) -> usize {
        self.after.len() - 1
    }

    /// What a run that is disturbed after so many polls must come to.
    fn disturbed(&self, shape: Shape, way: Way, polls: usize) -> Outcome {
        if polls == self.polls() {
            return Outcome {
                events: self.events.clone(),
                ended: self.ended.clone(),
                reported: Vec::new(),
            };
        }
        let before = &self.events[..self.after[polls]];
        let mut events = before.to_vec();
        let (open, exiting) = open_managers(before, shape.slow);
        let interrupted = way == Way::Interrupt;
        let cause = match way {
            Way::Interrupt if exiting && shape.leaves == Leaves::Panic => "panicked",
            Way::Interrupt => "cancelled",
            _ => "dropped",
        };
        let mut reported = Vec::new();
        for (index, name) in open.iter().rev().enumerate() {
            let started = exiting && index == 0;
            match shape.kind {
                Kind::Scoped if !interrupted && started => {
                    reported.push("exit was not finished".to_owned());
                    continue;
                }
                Kind::Scoped if !interrupted => {
                    events.push(format!("abandon {name}"));
                    continue;
                }
                _ => {}
            }
            if !started {
                events.push(format!("exit {name}: {cause}"));
            }
            if shape.slow == Slow::Exit {
                events.push(format!("exited {name}"));
            }
        }
        let ended = match way {
            Way::Interrupt if cause == "panicked" => {
                reported.push("interrupt failed: Cancelled".to_owned());
                self.ended.clone()
            }
            Way::Interrupt => {
                // The failure that was on its way out has nowhere to go any more.
                if exiting && shape.leaves == Leaves::QuestionMark {
                    reported.push("body failed: Boom(\"body\")".to_owned());
                }
                Ended::Cancelled
            }
            _ => Ended::Dropped,
        };
        Outcome {
            events,
            ended,
            reported,
        }
    }
}

/// The managers that are entered and not exited, and whether the innermost of them is in its exit.
fn open_managers(events: &[String], slow: Slow) -> (Vec<&str>, bool) {
    let mut open = Vec::new();
    let mut exiting = false;
    for event in events {
        let (what, name) = event.split_once(' ').expect("two words");
        match what {
            "enter" => open.push(name),
            "exit" if slow == Slow::Exit => exiting = true,
            "exit" | "exited" => {
                open.pop();
                exiting = false;
            }
            _ => {}
        }
    }
    (open, exiting)
}

/// What a run came to.
#[derive(Debug, PartialEq)]
struct Outcome {
    events: Vec<String>,
    ended: Ended,
    /// The phases and incidents.
    reported: Vec<String>,
}

fn reported(entries: Vec<Entry>) -> Vec<String> {
    let entries = entries.into_iter();
    entries
        .map(|entry| format!("{} {}", entry.phase, entry.incident))
        .collect()
}

/// Lets a program take so many steps, and then no more.
struct Stepped {
    program: Option<Program>,
    left: usize,
    /// Open when no step is left.
    done: Gate,
    /// What was reported when the program was dropped. The task that drops it may be none that is being collected from.
    entries: Arc<Mutex<Vec<Entry>>>,
}

impl Future for Stepped {
    type Output = Ended;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ended> {
        let this = &mut *self;
        if let Some(program) = &mut this.program
            && this.left > 0
        {
            this.left -= 1;
            let mut caught = AssertUnwindSafe(program).catch_unwind();
            if let Poll::Ready(result) = Pin::new(&mut caught).poll(cx) {
                this.done.open();
                return Poll::Ready(ended(result));
            }
        }
        if this.left == 0 {
            this.done.open();
        }
        Poll::Pending
    }
}

impl Drop for Stepped {
    fn drop(&mut self) {
        let program = self.program.take();
        let dropped = report::collect(async move { drop(program) }).now_or_never();
        let ((), entries) = dropped.expect("a drop has nothing to wait for");
        let mut all = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(entries);
    }
}

/// Drops a run after so many polls.
async fn drop_after(shape: Shape, way: Way, polls: usize) -> Outcome {
    let log = Log::new();
    let entries = Arc::default();
    let done = Gate::new();
    let mut stepped = Stepped {
        program: Some(shape.program(log.clone())),
        left: polls,
        done: done.clone(),
        entries: Arc::clone(&entries),
    };
    let ended = match way {
        Way::Drop => {
            let mut ended = Ended::Dropped;
            for _ in 0..polls {
                if let Poll::Ready(with) = futures::poll!(&mut stepped) {
                    ended = with;
                }
            }
            drop(stepped);
            ended
        }
        Way::Abort => {
            let task = tokio::spawn(stepped);
            done.opened().await;
            task.abort();
            task.await.unwrap_or(Ended::Dropped)
        }
        Way::Timeout => tokio::time::timeout(Duration::from_secs(1), stepped)
            .await
            .unwrap_or(Ended::Dropped),
        _ => tokio::select! {
            biased;
            ended = stepped => ended,
            () = done.opened() => Ended::Dropped,
        },
    };
    drain().await;
    let mut entries = std::mem::take(&mut *entries.lock().unwrap_or_else(PoisonError::into_inner));
    // What becomes of a failure that was on its way out is not the question here.
    entries.retain(|entry| entry.phase != Phase::Body);
    Outcome {
        events: log.take(),
        ended,
        reported: reported(entries),
    }
}

/// Interrupts a run in the poll with this number.
async fn interrupt_in(shape: Shape, polls: usize) -> Outcome {
    async fn block(mut program: Program, polls: usize) -> Result<u8, Ended> {
        let token = CancellationToken::new();
        async_with! { cancellable(token.clone()) => {
            let mut polled = 0;
            let result = std::future::poll_fn(|cx| {
                polled += 1;
                if polled == polls {
                    token.cancel();
                }
                program.as_mut().poll(cx)
            });
            result.await.map_err(Ended::Failed)
        }}
    }
    let log = Log::new();
    let block = AssertUnwindSafe(block(shape.program(log.clone()), polls)).catch_unwind();
    let (result, entries) = report::collect(block).await;
    let ended = match result {
        Ok(Err(ended)) => ended,
        Ok(Ok(value)) => Ended::Value(value),
        Err(payload) => ended(Err(payload)),
    };
    // Nothing was detached.
    assert!(pending_exits().is_empty());
    Outcome {
        events: log.take(),
        ended,
        reported: reported(entries),
    }
}

/// CAN-1, CAN-2, CAN-3, CAN-6, CAN-7, CAN-8, EXI-1: whatever the shape of a program is, and wherever and however it is
/// dropped or interrupted: what was entered is exited, or abandoned, once, inside first.
#[tokio::test(start_paused = true)]
async fn every_shape_of_a_program_is_dropped_and_interrupted_at_every_poll() {
    let mut cells = 0;
    for shape in shapes() {
        let reference = Reference::run(shape).await;
        let entered = |events: &[String]| {
            let entered = events.iter().filter(|event| event.starts_with("enter"));
            entered.count()
        };
        assert_eq!(entered(&reference.events), shape.managers);
        for way in WAYS {
            // A token that is cancelled before the first poll is seen in it.
            let first = usize::from(way == Way::Interrupt);
            for polls in first..=reference.polls() {
                let outcome = if way == Way::Interrupt {
                    interrupt_in(shape, polls).await
                } else {
                    drop_after(shape, way, polls).await
                };
                let expected = reference.disturbed(shape, way, polls);
                assert_eq!(outcome, expected, "{shape:?}, {way:?} after {polls} polls");
                cells += 1;
            }
        }
    }
    println!("{cells} cells");
    assert!(cells >= 2_000, "only {cells} cells");
}
