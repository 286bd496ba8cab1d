//! Random programs, run in several ways, against the reference.
//!
//! | variable | meaning | default |
//! | --- | --- | --- |
//! | `ASYNC_WITH_PROGRAMS` | how many programs are interpreted, and how many run in Python | 5000, 1000 |
//! | `ASYNC_WITH_PRINTED` | how many programs are printed, compiled and run | 60 |
//! | `ASYNC_WITH_SEED` | the seed of the first program | 0 |
//!
//! A program that shows a difference is shrunk, and printed as Rust.

mod generated;
mod interpreted;
mod printed;
mod python;
mod reference;

use std::fmt::Write;

use async_with_oracle::generate::{self, shrink};
use async_with_oracle::oracle::predict;
use async_with_oracle::program::{Dialect, Program};
use async_with_oracle::rust;

fn variable(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |value| {
        let number = value.parse();
        number.unwrap_or_else(|_| panic!("{name} is not a number: {value}"))
    })
}

/// Programs for which the reference has one prediction.
fn programs() -> impl Iterator<Item = Program> {
    let first = variable("ASYNC_WITH_SEED", 0) as u64;
    let programs = (first..).map(generate::program);
    programs.filter(|program| predict(program, Dialect::Rust).is_some())
}

/// There may be millions of them.
const AT_ONCE: usize = 2000;

/// Compares what programs write with what the reference predicts. `observe` runs a batch of them.
fn compare(
    programs: impl IntoIterator<Item = Program>,
    dialect: Dialect,
    observe: impl Fn(&[Program]) -> Vec<Vec<String>>,
) {
    let differs = |programs: &[Program]| {
        let observed = observe(programs);
        assert_eq!(observed.len(), programs.len(), "not all programs ran");
        let mut pairs = programs.iter().zip(observed);
        pairs.position(|(program, observed)| {
            predict(program, dialect).is_some_and(|predicted| predicted != observed)
        })
    };
    let mut programs = programs.into_iter();
    let different = loop {
        let mut some: Vec<_> = programs.by_ref().take(AT_ONCE).collect();
        if some.is_empty() {
            return;
        }
        if let Some(index) = differs(&some) {
            break some.swap_remove(index);
        }
    };
    // A few at a time again: where programs are compiled, each costs.
    let smallest = shrink(different, |smaller| {
        let mut some = smaller.chunks(16).enumerate();
        some.find_map(|(chunk, programs)| Some(chunk * 16 + differs(programs)?))
    });
    let observed = observe(std::slice::from_ref(&smallest)).concat();
    let predicted = predict(&smallest, dialect).unwrap_or_default();
    let mut message = String::from("this program shows a difference:\n\n");
    message.push_str(&rust::function("program", &smallest));
    let _ = writeln!(message, "\n{:<50} predicted", "observed");
    for line in 0..observed.len().max(predicted.len()) {
        let [observed, predicted] =
            [&observed, &predicted].map(|lines| lines.get(line).map_or("", String::as_str));
        let mark = if observed == predicted { ' ' } else { '!' };
        let _ = writeln!(message, "{observed:<50} {predicted:<50} {mark}");
    }
    panic!("{message}");
}
