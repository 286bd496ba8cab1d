//! The reference stays small, and a reference.

/// It is what one reads to know what the library does, in one sitting.
const MOST_LINES: usize = 500;

#[test]
fn the_reference_is_short_and_synchronous() {
    let interpreter = include_str!("../src/oracle.rs");
    let lines = interpreter.lines().count();
    assert!(lines <= MOST_LINES, "the reference has {lines} lines");
    let words = include_str!("../src/flow.rs");
    for file in [interpreter, words] {
        let imports = file.lines().filter(|line| line.starts_with("use "));
        for import in imports {
            // A verdict is a word of the programs; nothing else is the library's.
            let is_its_own = ["use std::", "use crate::flow::", "use crate::program::"]
                .iter()
                .any(|own| import.starts_with(own));
            assert!(is_its_own, "the reference stands by itself: {import}");
        }
        for word in ["async fn", "async move", ".await", "Future", "unsafe"] {
            assert!(
                !file.contains(word),
                "the reference is synchronous: `{word}`"
            );
        }
    }
}
