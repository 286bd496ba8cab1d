//! What keeps the repository in order.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rules that the tests are held to, by group and how many there are.
const RULES: &[(&str, &[u32])] = &[
    ("SYN", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
    ("ORD", &[1, 2, 3, 4, 5, 6]),
    ("EXI", &[1, 2, 3, 4, 5, 6, 7]),
    ("FLO", &[1, 2, 3, 4, 5, 6, 7]),
    ("ERR", &[0, 1, 2, 3, 4, 5, 6]),
    ("SUP", &[1, 2, 3, 4]),
    ("PAN", &[1, 2, 3]),
    ("CAN", &[1, 2, 3, 4, 5, 6, 7, 8, 9]),
    ("ATT", &[1, 2, 3]),
    ("TYP", &[1, 2, 3]),
];

fn rules() -> impl Iterator<Item = String> {
    RULES.iter().flat_map(|(group, numbers)| {
        numbers
            .iter()
            .map(move |number| format!("{group}-{number}"))
    })
}

fn words(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        .collect()
}

#[test]
fn every_rule_has_a_test_that_names_it() {
    let mut named = String::new();
    for entry in fs::read_dir(root().join("tests/it")).expect("the directory of this file") {
        let path = entry.expect("a directory entry").path();
        if path.ends_with("tidy.rs") {
            continue;
        }
        let text = fs::read_to_string(path).expect("a source file");
        // The doc comments of tests.
        let lines = text
            .lines()
            .filter(|line| line.trim_start().starts_with("///"));
        named.extend(lines.flat_map(|line| [line, "\n"]));
    }
    let named = words(&named);
    let missing: Vec<_> = rules()
        .filter(|rule| !named.contains(rule.as_str()))
        .collect();
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn the_design_page_says_every_rule() {
    let design = read("DESIGN.md");
    let said = words(&design);
    let missing: Vec<_> = rules()
        .filter(|rule| !said.contains(rule.as_str()))
        .collect();
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn versions_and_changelog_agree() {
    let manifest = read("Cargo.toml");
    let version = |key: &str| {
        let line = manifest
            .lines()
            .find(|line| line.starts_with(key))
            .unwrap_or_else(|| panic!("no {key}"));
        line.split('"')
            .find(|part| {
                part.trim_start_matches('=')
                    .starts_with(|c: char| c.is_ascii_digit())
            })
            .unwrap_or_default()
            .to_owned()
    };
    let released = version("version");
    assert_eq!(
        version("async-with-macros").trim_start_matches('='),
        released
    );
    assert_eq!(version("async-with ="), released);
    assert!(read("CHANGELOG.md").contains(&format!("## {released}")));
}
