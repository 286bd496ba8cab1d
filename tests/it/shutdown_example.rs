//! The service that is shut down in the middle of its work, with the library and without.

use std::path::Path;
use std::process::Command;

/// Runs the example, and returns what it prints when it ends as expected.
fn run(arguments: &[&str], succeeds: bool) -> String {
    // The directory in which cargo has built this test, so that nothing is built twice.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("cargo's directory for the files of tests is in the target directory");
    let output = Command::new(env!("CARGO"))
        .args(["run", "-q", "-p", "async-with-examples"])
        .args(["--example", "graceful_shutdown", "--target-dir"])
        .arg(target)
        .arg("--")
        .args(arguments)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .expect("cargo can be run");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(i32::from(!succeeds)),
        "{}\n{printed}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr),
    );
    printed.into_owned()
}

const CLIENTS: &str = "\
The service has stopped: cancelled
The clients
   booked: 12
   cut off: 5
   hung up: 4
   refused: 6
";

/// CAN-1, CAN-3, CAN-5 and CAN-6, EXI-1 and EXI-4: every transfer that was entered is exited once, told how it ended;
/// transactions are rolled back and connections closed, when the client hangs up, keeps silent, or is cut off by the
/// shutdown. Of the same clients, the service without the library loses all that did not complete.
#[test]
fn graceful_shutdown_loses_nothing() {
    let transfers = "\
The transfers
   entered: 27
   exited: 27
   completed: 12
   failed: 4
   panicked: 0
   cancelled: 2
   dropped: 9
What must not be
   transactions neither committed nor rolled back: 0
   connections not closed: 0
   transfers not exited exactly once: 0
   money made or lost: 0
   accounts that differ from their bookings: 0
   bookings without an account: 0
   faults in the file: 0
   exits still owed: 0
   errors nobody was told of: 0
Nothing is lost.
";
    assert_eq!(run(&[], true), format!("{CLIENTS}{transfers}"));

    let transfers = "\
The transfers
   entered: 27
   exited: 12
   completed: 12
   failed: 0
   panicked: 0
   cancelled: 0
   dropped: 0
What must not be
   transactions neither committed nor rolled back: 11
   connections not closed: 15
   transfers not exited exactly once: 15
";
    let by_hand = run(&["--without"], false);
    let expected = format!("{CLIENTS}{transfers}");
    assert!(by_hand.starts_with(&expected), "{by_hand}");
    assert_eq!(by_hand.lines().last(), Some("Something is lost."));
}
