//! The README says what the library does.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use async_with::{Elapsed, async_with, drain, timeout};
use async_with_tests::{Boom, Log};
use futures::FutureExt;

#[derive(Debug, PartialEq)]
enum Fail {
    Boom,
    Elapsed,
}

impl From<Boom> for Fail {
    fn from(_: Boom) -> Self {
        Fail::Boom
    }
}

impl From<Elapsed> for Fail {
    fn from(_: Elapsed) -> Self {
        Fail::Elapsed
    }
}

/// Ends a block in the way that a row of the table says, and returns what the function does then.
async fn end(log: &Log, row: &str, breaks: bool) -> Result<&'static str, Fail> {
    'end: loop {
        let value = async_with! { timeout(Duration::from_secs(1)), log.manager("m") as m => {
            match row {
                "falls through with a value" => Ok("value"),
                "leaves with `return`, `break` or `continue`" if breaks => break 'end Ok("left"),
                "leaves with `return`, `break` or `continue`" => return Ok("left"),
                "leaves with `?`, `return Err(..)` or `break Err(..)`" if breaks => break 'end Err(Fail::Boom),
                "leaves with `?`, `return Err(..)` or `break Err(..)`" => { m.check(false)?; unreachable!() }
                "has the value `Err(..)`" => Err(Boom("value")),
                "panics" => std::panic::panic_any("payload"),
                "is interrupted by a manager, as by `timeout`"
                | "is dropped, with the future around it" => std::future::pending().await,
                row => unreachable!("the README has a row that is not tested: {row}"),
            }
        }};
        return value.or(Ok("gave the error"));
    }
}

/// EXI-4: each row of the table in the README, run.
#[tokio::test(start_paused = true)]
async fn the_truth_table_is_true() {
    let readme = include_str!("../../README.md");
    let table = readme
        .split("| the body |")
        .nth(1)
        .expect("the table")
        .split("\n\n")
        .next();
    let mut rows = 0;
    for line in table
        .into_iter()
        .flat_map(str::lines)
        .filter(|line| line.starts_with("| "))
        .skip(1)
    {
        let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [row, exit, told, block] = cells[..] else {
            panic!("four columns: {line}")
        };
        if row == "---" {
            continue;
        }
        rows += 1;
        check(row, exit, told, block, false).await;
        if row.contains("break") {
            check(row, exit, told, block, true).await;
        }
    }
    assert_eq!(rows, 7);
}

/// Runs one row.
async fn check(row: &str, exit: &str, told: &str, block: &str, breaks: bool) {
    let log = Log::new();
    let mut future = Box::pin(AssertUnwindSafe(end(&log, row, breaks)).catch_unwind());
    let result = if exit == "runs on the runtime" {
        assert!(futures::poll!(&mut future).is_pending());
        drop(future);
        drain().await;
        None
    } else {
        Some(future.await)
    };
    let exits: Vec<_> = log
        .take()
        .into_iter()
        .filter(|event| event.starts_with("exit"))
        .collect();
    let expected = if told == "failed" {
        "exit m: failed Boom".to_owned()
    } else {
        format!("exit m: {told}")
    };
    let expected = expected.replace(
        "failed Boom",
        if row.contains('?') {
            "failed Fail"
        } else {
            "failed Boom"
        },
    );
    assert_eq!(exits, [expected], "{row}");
    let did = match result {
        Some(Ok(Ok("value"))) => "gives the value",
        Some(Ok(Ok("left"))) => "leaves, as written",
        Some(Ok(Ok("gave the error"))) => "gives that value",
        Some(Ok(Err(Fail::Boom))) => "leaves with that very error",
        Some(Ok(Err(Fail::Elapsed))) => "raises the manager's error",
        Some(Err(payload)) if payload.downcast_ref() == Some(&"payload") => {
            "panics on, with the same payload"
        }
        None => "gives nothing: nobody is there",
        other => panic!("{row}: {other:?}"),
    };
    assert_eq!(block, did, "{row}");
}

/// The first example is short.
#[test]
fn the_example_has_at_most_twenty_lines() {
    let readme = include_str!("../../README.md");
    let example = readme
        .split("```rust\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let lines = example
        .expect("an example")
        .lines()
        .filter(|line| !line.trim().is_empty())
        .count();
    assert!((5..=20).contains(&lines), "{lines}");
}
