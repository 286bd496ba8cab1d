//! STK-1, CAN-6: items that interrupt at any time, in the body and during the exits. Entered through a stack they do what
//! nested blocks do.

use std::any::Any;
use std::future::{Future, pending};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::Pin;
use std::time::Duration;

use async_with::report::{self, Entry, Phase};
use async_with::{
    AsyncContextManager, AsyncExitStack, Cause, Interruption, Raised, Verdict, async_with, drain,
};
use async_with_tests::{Log, short};
use futures::FutureExt;
use proptest::prelude::*;
use tokio::runtime::Builder;
use tokio::time::{sleep, timeout};

/// The items, by the order in which they stand, from the outside.
const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

#[derive(Clone, Debug, PartialEq)]
struct Boom(String);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    Succeed,
    Fail,
    Panic,
}

impl Act {
    /// A panic is without a message on standard error.
    fn act(self, what: &str) -> Result<(), Boom> {
        match self {
            Act::Succeed => Ok(()),
            Act::Fail => Err(Boom(what.to_owned())),
            Act::Panic => resume_unwind(Box::new(what.to_owned())),
        }
    }
}

/// A manager. Times are seconds from the beginning, and those that something takes.
#[derive(Clone, Debug)]
struct Item {
    interrupts: Option<u64>,
    exit_takes: u64,
    exit: Act,
    inspect: Act,
    verdict: Verdict,
}

/// Does nothing of note.
const PLAIN: Item = Item {
    interrupts: None,
    exit_takes: 0,
    exit: Act::Succeed,
    inspect: Act::Succeed,
    verdict: Verdict::Propagate,
};

struct Managed {
    item: Item,
    name: &'static str,
    log: Log,
}

impl AsyncContextManager for Managed {
    type Resource = ();
    type Error = Boom;
    type Exit = Verdict;

    async fn enter(&mut self) -> Result<(), Boom> {
        Ok(())
    }

    async fn exit(self, (): (), cause: Cause) -> Result<Verdict, Boom> {
        let Self { item, name, log } = self;
        log.write(format!("exit {name}: {}", short(cause)));
        if item.exit_takes > 0 {
            sleep(Duration::from_secs(item.exit_takes)).await;
            log.write(format!("exited {name}"));
        }
        item.exit.act(&format!("exit {name}"))?;
        Ok(item.verdict)
    }

    fn inspect(&mut self, (): &mut (), raised: Raised<'_>) {
        self.log.write(format!("inspect {}: {raised:?}", self.name));
        let _ = self.item.inspect.act(&format!("inspect {}", self.name));
    }

    fn interrupt(&self, (): &()) -> impl Interruption<Boom> + Send + use<> {
        let (at, name) = (self.item.interrupts, self.name);
        async move {
            match at {
                Some(at) => sleep(Duration::from_secs(at)).await,
                None => pending().await,
            }
            Boom(format!("interrupt {name}"))
        }
    }

    fn name(&self) -> &'static str {
        self.name
    }
}

/// What leaves the body, or stands for it when a failure was suppressed.
enum Value {
    /// It writes when it is dropped, and may panic.
    Left {
        log: Log,
        drop: Act,
    },
    Skipped,
}

impl Drop for Value {
    fn drop(&mut self) {
        if let Value::Left { log, drop } = self {
            log.write("drop the value");
            let _ = drop.act("value");
        }
    }
}

#[derive(Clone, Debug)]
struct Script {
    items: Vec<Item>,
    /// How many of them are blocks around the stack.
    outside: usize,
    /// How many of them are blocks inside of it.
    inside: usize,
    body_takes: u64,
    body: Act,
    value_drop: Act,
    dropped: Option<u64>,
}

/// Ends its body at once, with a value.
const SCRIPT: Script = Script {
    items: Vec::new(),
    outside: 0,
    inside: 0,
    body_takes: 0,
    body: Act::Succeed,
    value_drop: Act::Succeed,
    dropped: None,
};

type Running<'a> = Pin<Box<dyn Future<Output = Result<Value, Boom>> + 'a>>;

impl Script {
    fn manager(&self, number: usize, log: &Log) -> Managed {
        Managed {
            item: self.items[number].clone(),
            name: NAMES[number],
            log: log.clone(),
        }
    }

    async fn body(&self, log: &Log) -> Result<Value, Boom> {
        if self.body_takes > 0 {
            sleep(Duration::from_secs(self.body_takes)).await;
        }
        self.body.act("body")?;
        let (log, drop) = (log.clone(), self.value_drop);
        Ok(Value::Left { log, drop })
    }

    /// The items from this one on, each in a block, but those of the stack.
    fn run<'a>(&'a self, from: usize, is_stacked: bool, log: &'a Log) -> Running<'a> {
        Box::pin(async move {
            let all = self.items.len();
            let end = all.saturating_sub(self.inside);
            if from == all {
                self.body(log).await
            } else if is_stacked && from == self.outside && from < end {
                Ok(async_with! { AsyncExitStack::suppressing() as stack => {
                    for number in from..end {
                        stack.enter(self.manager(number, log)).await?;
                    }
                    self.run(end, is_stacked, log).await?
                } else { Value::Skipped }})
            } else {
                Ok(async_with! { self.manager(from, log) => {
                    self.run(from + 1, is_stacked, log).await?
                } else { Value::Skipped }})
            }
        })
    }

    fn see(&self, is_stacked: bool) -> Seen {
        let log = Log::new();
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let (outcome, entries) = runtime.block_on(report::collect(async {
            let run = AssertUnwindSafe(self.run(0, is_stacked, &log)).catch_unwind();
            let outcome = match self.dropped {
                Some(at) => timeout(Duration::from_secs(at), run).await.ok(),
                None => Some(run.await),
            };
            drain().await;
            outcome
        }));
        let outcome = match outcome {
            None => "dropped".to_owned(),
            Some(Ok(Ok(value))) => {
                let is_left = matches!(value, Value::Left { .. });
                // It is the caller's, and no part of what the blocks do.
                std::mem::forget(value);
                if is_left { "value" } else { "skipped" }.to_owned()
            }
            Some(Ok(Err(Boom(what)))) => format!("raised: {what}"),
            Some(Err(payload)) => format!("panicked: {}", message(&*payload)),
        };
        Seen {
            outcome,
            events: log.take(),
            // Of several that fired, it depends on a poll which are still to be raised when a drop comes.
            reported: entries
                .iter()
                .filter(|entry| (entry.phase, entry.cause) != (Phase::Interrupt, Cause::Dropped))
                .map(told)
                .collect(),
        }
    }

    /// What nested blocks and a stack do.
    fn check(&self) -> Seen {
        let nested = self.see(false);
        assert_eq!(self.see(true), nested);
        nested
    }
}

#[derive(Debug, PartialEq)]
struct Seen {
    outcome: String,
    events: Vec<String>,
    reported: Vec<String>,
}

fn message(payload: &(dyn Any + Send)) -> &str {
    payload.downcast_ref::<String>().map_or("?", String::as_str)
}

fn told(entry: &Entry) -> String {
    let Entry {
        manager,
        phase,
        cause,
        incident,
        ..
    } = entry;
    format!("{manager} {phase} {}: {incident}", short(*cause))
}

/// STK-1, CAN-6, SUP-4: an entry interrupts, a block inside panics, and an entry between them suppresses that. The entry
/// that interrupted is told so, and raises its error.
#[test]
fn an_interrupted_block_panics_and_an_entry_suppresses_it() {
    let deadline = Item {
        interrupts: Some(1),
        ..PLAIN
    };
    let suppresses = Item {
        verdict: Verdict::SuppressPanic,
        ..PLAIN
    };
    let panics = Item {
        exit: Act::Panic,
        ..PLAIN
    };
    // The first one to end is interrupted, and does not hold the value of the body any more.
    let items = vec![deadline, suppresses, panics, PLAIN];
    let seen = Script {
        items,
        inside: 2,
        body_takes: 2,
        ..SCRIPT
    }
    .check();
    assert_eq!(seen.outcome, "raised: interrupt a");
    let events = [
        "exit d: cancelled",
        "exit c: cancelled",
        "exit b: panicked",
        "exit a: cancelled",
    ];
    assert_eq!(seen.events, events);
}

/// STK-1, CAN-6, ERR-5: an entry further out interrupts while the exits after another one's interruption run. That one is
/// told so, fails, and both its errors are reported in their turn.
#[test]
fn an_entry_fails_whose_interruption_was_overtaken() {
    let deadline = |at| Item {
        interrupts: Some(at),
        ..PLAIN
    };
    let fails = Item {
        exit: Act::Fail,
        ..deadline(1)
    };
    let takes = Item {
        exit_takes: 2,
        ..PLAIN
    };
    let seen = Script {
        items: vec![deadline(2), fails, takes],
        body_takes: 9,
        ..SCRIPT
    }
    .check();
    assert_eq!(seen.outcome, "raised: interrupt a");
    let reported = [
        "b exit cancelled: failed: Boom(\"exit b\")",
        "b interrupt cancelled: failed: Boom(\"interrupt b\")",
    ];
    assert_eq!(seen.reported, reported);
}

/// STK-1, SUP-2, CAN-6: an entry suppresses what left the body, after one further out has interrupted its exit. The error of
/// that one is raised, and what was suppressed does not come back.
#[test]
fn a_failure_is_suppressed_after_an_interruption() {
    let deadline = Item {
        interrupts: Some(1),
        ..PLAIN
    };
    for verdict in [Verdict::Suppress, Verdict::SuppressPanic] {
        let suppresses = Item {
            exit_takes: 2,
            verdict,
            ..PLAIN
        };
        let seen = Script {
            items: vec![PLAIN, deadline.clone(), suppresses],
            body: Act::Fail,
            ..SCRIPT
        }
        .check();
        assert_eq!(seen.outcome, "raised: interrupt b");
        assert_eq!(seen.reported, [""; 0]);
        let told = &seen.events[seen.events.len() - 3..];
        let expected = [
            "exit b: cancelled",
            "inspect a: Boom(\"interrupt b\")",
            "exit a: failed Boom",
        ];
        assert_eq!(told, expected);
    }
}

/// STK-1, FLO-6: an exit of a stack fails after the body completed, or an entry further out interrupts it. The value that
/// was to leave the block is dropped then, before the next exit, as in a block of its own; and when that drop panics, the
/// next one is told so. It was dropped after all of them.
#[test]
fn a_value_that_is_given_up_is_dropped_before_the_next_exit() {
    let fails = Item {
        exit: Act::Fail,
        ..PLAIN
    };
    let deadline = Item {
        interrupts: Some(1),
        ..PLAIN
    };
    let takes = Item {
        exit_takes: 2,
        ..PLAIN
    };
    let cases = [
        (vec![PLAIN, fails], "failed Boom"),
        (vec![deadline, PLAIN, takes], "cancelled"),
    ];
    for (items, told) in cases {
        for value_drop in [Act::Succeed, Act::Panic] {
            let items = items.clone();
            let seen = Script {
                items,
                value_drop,
                ..SCRIPT
            }
            .check();
            let dropped = seen.events.iter().position(|it| it == "drop the value");
            let told = if value_drop == Act::Panic {
                "panicked"
            } else {
                told
            };
            let next = seen.events[dropped.expect("it is dropped")..]
                .iter()
                .find(|event| event.starts_with("exit "));
            assert!(next.is_some_and(|next| next.ends_with(told)), "{seen:?}");
        }
    }
}

/// STK-1, CAN-6: a panic takes the place of an entry's interruption, its exit suppresses that, and who is outside of the
/// stack interrupts. The error of the entry is gone; it was reported.
#[test]
fn a_panic_in_place_of_an_interruption_is_suppressed() {
    let deadline = Item {
        interrupts: Some(1),
        exit_takes: 1,
        verdict: Verdict::SuppressPanic,
        ..PLAIN
    };
    let takes = |exit_takes| Item {
        exit_takes,
        ..PLAIN
    };
    // Before that exit is over, and in one after it.
    for (at, name, items) in [
        (3, "b", vec![deadline.clone(), takes(3)]),
        (5, "c", vec![takes(2), deadline, takes(3)]),
    ] {
        let outermost = Item {
            interrupts: Some(at),
            ..PLAIN
        };
        let seen = Script {
            items: [vec![outermost], items].concat(),
            outside: 1,
            body: Act::Panic,
            ..SCRIPT
        }
        .check();
        assert_eq!(seen.outcome, "raised: interrupt a");
        // ERR-5: a panic took the place of that error.
        let overtaken = format!("{name} interrupt cancelled: failed: Boom(\"interrupt {name}\")");
        assert_eq!(seen.reported, [overtaken]);
    }
}

/// STK-1, CAN-6: who is outside of a stack interrupts after one of its entries did, while the blocks inside end. From then on
/// the entries between them do not interrupt any more. They did, and their errors were reported.
#[test]
fn an_entry_does_not_count_after_an_interruption_from_outside() {
    let deadline = |at| Item {
        interrupts: Some(at),
        ..PLAIN
    };
    let takes = Item {
        exit_takes: 4,
        ..PLAIN
    };
    for between in [2, 3] {
        let seen = Script {
            items: vec![deadline(2), deadline(between), deadline(1), takes.clone()],
            outside: 1,
            inside: 1,
            ..SCRIPT
        }
        .check();
        assert_eq!(seen.outcome, "raised: interrupt a");
        let reported = ["c interrupt cancelled: failed: Boom(\"interrupt c\")"];
        assert_eq!(seen.reported, reported);
    }
}

/// STK-1, CAN-6, ERR-5: as above; a block inside panics, and an entry suppresses it. The error of the entry that interrupted
/// first is reported. It was lost.
#[test]
fn a_panic_is_suppressed_after_an_interruption_from_outside() {
    let deadline = |at| Item {
        interrupts: Some(at),
        ..PLAIN
    };
    let suppresses = Item {
        verdict: Verdict::SuppressPanic,
        ..PLAIN
    };
    let takes = Item {
        exit_takes: 1,
        ..PLAIN
    };
    let panics = Item {
        exit: Act::Panic,
        ..takes.clone()
    };
    let seen = Script {
        items: vec![deadline(2), deadline(1), suppresses, takes, panics],
        outside: 1,
        inside: 2,
        body_takes: 1,
        ..SCRIPT
    }
    .check();
    assert_eq!(seen.outcome, "raised: interrupt a");
    let reported = ["b interrupt cancelled: failed: Boom(\"interrupt b\")"];
    assert_eq!(seen.reported, reported);
}

fn item() -> impl Strategy<Value = Item> {
    (
        prop::option::weighted(0.5, 1..7u64),
        prop_oneof![2 => Just(0), 3 => 1..4u64],
        prop_oneof![6 => Just(Act::Succeed), 3 => Just(Act::Fail), 2 => Just(Act::Panic)],
        prop_oneof![9 => Just(Act::Succeed), 1 => Just(Act::Panic)],
        prop_oneof![
            Just(Verdict::Propagate),
            Just(Verdict::Suppress),
            Just(Verdict::SuppressPanic)
        ],
    )
        .prop_map(|(interrupts, exit_takes, exit, inspect, verdict)| Item {
            interrupts,
            exit_takes,
            exit,
            inspect,
            verdict,
        })
}

fn script() -> impl Strategy<Value = Script> {
    (
        prop::collection::vec(item(), 1..=NAMES.len()),
        0..3usize,
        prop_oneof![3 => Just(0), 1 => 1..3usize],
        prop_oneof![Just(0), 1..4u64, Just(9)],
        prop_oneof![3 => Just(Act::Succeed), 2 => Just(Act::Fail), 1 => Just(Act::Panic)],
        // Who drops a block drops what is in it.
        prop_oneof![
            6 => Just((Act::Succeed, None)),
            1 => Just((Act::Panic, None)),
            2 => (1..9u64).prop_map(|at| (Act::Succeed, Some(at))),
        ],
    )
        .prop_map(
            |(items, outside, inside, body_takes, body, (value_drop, dropped))| Script {
                items,
                outside,
                inside,
                body_takes,
                body,
                value_drop,
                dropped,
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// STK-1, CAN-6: whatever interrupts, fails, panics and suppresses, and whenever.
    #[test]
    fn a_stack_is_interrupted_as_nested_blocks_are(script in script()) {
        prop_assert_eq!(script.see(true), script.see(false));
    }
}
