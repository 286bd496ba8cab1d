//! The same programs in Python itself.

use std::fs;
use std::io::{Write, stderr};
use std::path::Path;
use std::process::Command;

use async_with_oracle::oracle::predict;
use async_with_oracle::program::{Dialect, Program};
use async_with_oracle::python::{batch, comparable};
use async_with_oracle::run::printed;

use crate::{compare, programs, variable};

const PYTHON: &str = "python3";

fn observe(programs: &[Program]) -> Vec<Vec<String>> {
    let script = Path::new(env!("CARGO_TARGET_TMPDIR")).join("programs.py");
    let programs: Vec<_> = programs.iter().map(comparable).collect();
    fs::write(&script, batch(&programs)).expect("a file to write to");
    let output = Command::new(PYTHON)
        .arg(&script)
        .output()
        .expect("python3 runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{errors}", output.status);
    printed(&String::from_utf8_lossy(&output.stdout))
}

#[test]
fn python_does_the_same_where_it_is_meant_to() {
    if Command::new(PYTHON).arg("--version").output().is_err() {
        // The test harness keeps to itself what `eprintln!` writes.
        let _ = writeln!(
            stderr(),
            "skipped: there is no {PYTHON} to compare the rules with"
        );
        return;
    }
    let count = variable("ASYNC_WITH_PROGRAMS", 1000);
    let programs = || programs().take(count).map(|program| comparable(&program));
    compare(programs(), Dialect::Python, observe);

    // The reference stands between the library and CPython: for most programs it predicts one thing for both.
    let events = |program: &Program, dialect| {
        let mut lines = predict(program, dialect).unwrap_or_default();
        lines.retain(|line| !line.starts_with("report: "));
        lines
    };
    let means_the_same =
        |program: &Program| events(program, Dialect::Rust) == events(program, Dialect::Python);
    let same = programs().filter(means_the_same).count();
    assert!(
        same * 4 > count * 3,
        "only {same} of {count} programs mean the same"
    );
}
