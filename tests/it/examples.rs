//! The examples: what they print, and that the tour prints what its Python twin prints.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output};

fn root() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests
        .parent()
        .expect("this package is a member of a workspace")
}

/// Runs an example, and returns what it prints when it succeeds.
fn run(example: &str) -> String {
    // The directory in which cargo has built this test, so that nothing is built twice.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("cargo's directory for the files of tests is in the target directory");
    let output = Command::new(env!("CARGO"))
        .args(["run", "-q", "-p", "async-with-examples"])
        .args(["--example", example, "--target-dir"])
        .arg(target)
        .current_dir(root())
        .output();
    stdout(&output.expect("cargo can be run"))
}

fn stdout(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    String::from_utf8(output.stdout.clone()).expect("what is printed is text")
}

fn assert_same_lines(found: &str, expected: &str, remedy: &str) {
    for (number, (found, expected)) in found.lines().zip(expected.lines()).enumerate() {
        assert_eq!(found, expected, "line {}; {remedy}", number + 1);
    }
    let lengths = (found.lines().count(), expected.lines().count());
    assert_eq!(lengths.0, lengths.1, "number of lines; {remedy}");
}

/// The indented lines below the one that begins with `heading`.
fn section<'a>(printed: &'a str, heading: &str) -> Vec<&'a str> {
    printed
        .lines()
        .skip_while(|line| !line.starts_with(heading))
        .skip(1)
        .take_while(|line| line.starts_with(' '))
        .map(str::trim)
        .collect()
}

/// ORD-2, EXI-1, EXI-2, EXI-4, EXI-5, FLO-1, FLO-6, PAN-1, CAN-1 and CAN-3, on real connections and transactions.
#[test]
fn a_transfer_exits_in_reverse_order_whichever_way_it_ends_and_loses_no_money() {
    let printed = run("transfer");
    let dropped = [
        "> audit",
        "> cache",
        "> connection",
        "> transaction",
        "bob has 40 left",
        "= error: deadline has elapsed",
        "< transaction (dropped): rolled back",
        "< connection (dropped): closed",
        "< cache (dropped): forgets bob",
        "< audit (dropped): writes \"dropped\"",
    ];
    assert_eq!(section(&printed, "8."), dropped);
    let log = [
        "ann pays bob 30: completed",
        "eve pays ann 500: eve has only 10",
        "ann pays bob 30: completed",
        "eve pays lea 60: completed",
        "ann pays lea 60: completed",
        "bob pays zoe 20: FOREIGN KEY constraint failed",
        "bob pays ann 5: database is locked",
        "lea pays ann 25: panicked",
        "bob pays eve 40: dropped",
        "bob pays eve 40: completed",
    ];
    assert_eq!(section(&printed, "The audit log"), log);
    let inspection = section(&printed, "What must not be");
    assert_eq!(inspection.len(), 8);
    for count in inspection {
        assert!(count.ends_with(": 0"), "{count}");
    }
    assert_eq!(printed.lines().last(), Some("All is well."));

    let expected = include_str!("../../examples/examples/transfer.txt");
    let remedy =
        "if it shall be so, write what the example prints to examples/examples/transfer.txt";
    assert_same_lines(&printed, expected, remedy);
}

const DIFFERENT: &str = "== where Rust differs";

/// ERR-3, GEN-3, SUP-4 and CAN-1 are where the tour differs from Python; all else is the same.
#[test]
fn the_tour_prints_what_its_python_twin_prints() {
    let rust = run("python_tour");
    let (same, different) = rust.split_once(DIFFERENT).expect("the heading is there");
    let expected = "
-- exit_fails_too
raised: not found
reported: failed: Unreachable
-- no_try
set up
clean up
caught: not found
-- failed_assertion
the bug is noticed
-- given_up
enter a
exited
";
    assert_eq!(different, expected);

    // Python 3.11 has `asyncio.timeout`; some Pythons are built without SQLite.
    let usable = Command::new("python3")
        .args(["-c", "import asyncio, sqlite3; asyncio.timeout"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !usable {
        // Not with `eprintln!`: the test harness would keep that to itself.
        let note = "SKIPPED: the tour is not compared with Python, because there is no `python3` of version 3.11 \
                    or newer with sqlite3\n";
        std::io::stderr()
            .write_all(note.as_bytes())
            .expect("standard error can be written");
        return;
    }
    let output = Command::new("python3")
        .args(["-I", "examples/python/tour.py"])
        .current_dir(root())
        .output();
    let python = stdout(&output.expect("python3 can be run")).replace("\r\n", "\n");
    let (twin, different) = python.split_once(DIFFERENT).expect("the heading is there");
    assert_same_lines(same, twin, "left is Rust, right is Python");
    let expected = "
-- exit_fails_too
raised: unreachable
in its context: not found
-- no_try
set up
caught: not found
-- failed_assertion
the bug goes unnoticed
-- given_up
enter a
not exited
";
    assert_eq!(different, expected);
}
