//! The programs are varied, and what shows a difference is found and shrunk.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::catch_unwind;

use async_with_oracle::oracle::predict;
use async_with_oracle::program::{Call, Dialect, Id, Manager, Program, Stmt};

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

/// What each number is the number of.
type Names = BTreeMap<Id, String>;

fn name_items(items: &[Manager], stacked: bool, names: &mut Names) {
    for item in items {
        let place = if stacked { "stacked " } else { "" };
        let name = format!("{place}{:?}", item.kind);
        if let Some(inside) = &item.inside {
            names.insert(inside.id, format!("{:?} in {name}", inside.kind));
        }
        names.insert(item.id, name);
    }
}

fn name_all(stmts: &[Stmt], names: &mut Names) {
    for stmt in stmts {
        match stmt {
            Stmt::Log(_) | Stmt::Pend(_) | Stmt::Leave { .. } => {}
            Stmt::Loop { body, .. } | Stmt::Labeled { body, .. } | Stmt::Moved { body, .. } => {
                name_all(body, names);
            }
            Stmt::With(with) => {
                let name = if with.stacked { "stack" } else { "block" };
                names.insert(with.id, name.to_owned());
                name_items(&with.items, with.stacked, names);
                name_all(&with.body, names);
            }
            Stmt::Call(Call {
                id, items, body, ..
            }) => {
                names.insert(*id, "call".to_owned());
                name_items(items, false, names);
                name_all(body, names);
            }
        }
    }
}

/// The lines of a program, each with what its number stands for in place of the number.
fn named(program: &Program, lines: &[String]) -> BTreeSet<String> {
    let mut names = Names::new();
    name_all(&program.body, &mut names);
    let name = |line: &String| {
        let number = |word: &str| {
            word.trim_matches(|c: char| !c.is_ascii_digit())
                .parse()
                .ok()
        };
        let id: Id = line.split(' ').rev().find_map(number)?;
        let event = line.replacen(&format!(" {id}"), "", 1);
        Some(format!("{}: {event}", names.get(&id)?))
    };
    lines.iter().filter_map(name).collect()
}

/// What there is happens in every way.
#[test]
fn everything_happens_to_everything() {
    let mut happened = BTreeSet::new();
    for program in programs().take(20000) {
        let lines = predict(&program, Dialect::Rust).unwrap_or_default();
        happened.append(&mut named(&program, &lines));
    }
    let mut expected = BTreeSet::new();
    let mut expect = |names: &[&str], events: &[&str]| {
        let all = |name| events.iter().map(move |event| format!("{name}: {event}"));
        expected.extend(names.iter().flat_map(all));
    };
    let surviving = [
        "Surviving",
        "Generator",
        "stacked Surviving",
        "stacked Generator",
    ];
    let scoped = ["Scoped", "ScopedGenerator"];
    let pushed = ["stacked Pushed"];
    let told = [
        "exit: completed",
        "exit: failed Boom",
        "exit: panicked",
        "exit: cancelled",
    ];
    let raised = ["outcome: Err(exit)", "outcome: panic exit"];
    for names in [&surviving[..], &scoped] {
        // An interruption of a stack is one of its entries.
        let entered = [
            "make",
            "enter",
            "entered",
            "outcome: Err(enter)",
            "outcome: Err(interrupt)",
        ];
        expect(names, &entered);
    }
    for names in [&surviving[..], &scoped, &pushed] {
        expect(names, &told);
        expect(names, &raised);
    }
    expect(&surviving, &["exit: dropped"]);
    expect(&pushed, &["exit: dropped"]);
    expect(&["Scoped"], &["abandon"]);
    expect(
        &["stacked Callback"],
        &["exit", "exited", "outcome: panic exit"],
    );
    for outer in ["Generator", "stacked Generator", "ScopedGenerator"] {
        let inside = format!("Surviving in {outer}");
        expect(&[&inside], &told);
        expect(&[&inside], &["exit: dropped"]);
    }
    expect(&["Scoped in ScopedGenerator"], &told);
    expect(&["Scoped in ScopedGenerator"], &["abandon"]);
    // A suppressed failure, where there is an `else` to tell.
    expect(&["block", "stack"], &["else"]);
    expect(&["stack"], &["pop_all", "closed"]);
    expect(&["call"], &["dropped"]);
    let missing: Vec<_> = expected.difference(&happened).collect();
    assert_eq!(missing, Vec::<&String>::new());
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
