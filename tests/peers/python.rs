//! What Python does in the scenarios that bear the names of CPython's tests.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use async_with_tests::Log;

/// The event logs of all scenarios of `tests/python/peers.py`, which run in one process; `None` without Python.
static LOGS: LazyLock<Option<HashMap<String, Vec<String>>>> = LazyLock::new(|| {
    // `-I`, so that what the environment says to Python changes nothing.
    let version = [
        "-I",
        "-c",
        "import sys; sys.exit(sys.version_info < (3, 11))",
    ];
    let usable = Command::new("python3")
        .args(version)
        .output()
        .is_ok_and(|output| output.status.success());
    if !usable {
        // Not with `eprintln!`: the test harness would keep that to itself.
        let note = "SKIPPED: CPython's own tests are not compared with Python, because there is no `python3` of \
                    version 3.11 or newer\n";
        std::io::stderr()
            .write_all(note.as_bytes())
            .expect("standard error can be written");
        return None;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/peers.py");
    let output = Command::new("python3")
        .arg("-I")
        .arg(script)
        .output()
        .expect("python3 can be run");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    Some(serde_json::from_slice(&output.stdout).expect("the logs, as JSON"))
});

/// Takes the log of a test, and checks that it is as expected, and that Python's of the same name is the same.
#[track_caller]
pub(crate) fn same(scenario: &str, log: &Log, expected: &[&str]) {
    assert_eq!(log.take(), expected, "in Rust");
    logs(scenario, expected);
}

/// Checks what Python does, where Rust does something else.
#[track_caller]
pub(crate) fn logs(scenario: &str, expected: &[&str]) {
    if let Some(logs) = &*LOGS {
        let log = logs
            .get(scenario)
            .unwrap_or_else(|| panic!("no {scenario} in tests/python/peers.py"));
        assert_eq!(log, expected, "in Python");
    }
}
