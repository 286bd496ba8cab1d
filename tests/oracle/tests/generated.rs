//! The programs are varied, and what shows a difference is found and shrunk.

use std::panic::catch_unwind;

use async_with_oracle::oracle::{Dialect, predict};

use crate::interpreted::interpret_each;
use crate::{compare, programs};

/// What the rules let happen happens in the programs that are interpreted by default.
#[test]
fn everything_happens() {
    let predicted = programs()
        .take(5000)
        .filter_map(|program| predict(&program, Dialect::Rust));
    let lines: String = predicted.flatten().map(|line| line + "\n").collect();
    let missing: Vec<_> = [
        ": completed",
        ": failed Boom",
        ": panicked",
        ": cancelled",
        ": dropped",
        "abandon ",
        "dropped ",
        "else ",
        "inspect ",
        "value ",
        ": Err(tail ",
        "outcome: Ok(0)",
        "outcome: Err(make ",
        "outcome: Err(enter ",
        "outcome: Err(exit ",
        "outcome: Err(raise ",
        "outcome: Err(return ",
        "outcome: Err(tail ",
        "outcome: Err(interrupt ",
        "outcome: panic make ",
        "outcome: panic enter ",
        "outcome: panic inspect ",
        "outcome: panic exit ",
        "outcome: panic panic ",
        "outcome: dropped",
        "report: body (failed Boom) failed: ",
        "report: body (panicked) panicked: ",
        "report: exit (completed) failed: ",
        "report: exit (failed Boom) failed: ",
        "report: exit (panicked) panicked: ",
        "report: exit (panicked) was not finished",
        "report: exit (cancelled) failed: ",
        "report: exit (dropped) failed: ",
        "report: exit (dropped) panicked: ",
        "report: exit (completed) was not finished",
        "report: interrupt (cancelled) failed: ",
    ]
    .into_iter()
    .filter(|event| !lines.contains(event))
    .collect();
    assert_eq!(missing, Vec::<&str>::new());
}

/// The library is not Python: a comparison with Python's rules fails, and shows a short program.
#[test]
fn a_difference_is_found_and_shrunk() {
    let compared = catch_unwind(|| {
        compare(programs().take(5000), Dialect::Python, interpret_each);
    });
    let payload = compared.expect_err("there is a difference");
    let message = payload.downcast::<String>().expect("a message");
    assert!(message.contains("async fn program(run: &Run)"), "{message}");
    assert!(message.lines().count() < 30, "{message}");
}
