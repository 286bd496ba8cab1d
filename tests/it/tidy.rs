//! What keeps the repository in order.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use expect_test::expect_file;

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
    ("STK", &[0, 1, 2, 3, 4, 5]),
    ("GEN", &[1, 2, 3, 4, 5, 6]),
    ("ATT", &[1, 2, 3, 4]),
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

/// The Rust files below a directory, in order.
fn sources(directory: &str) -> Vec<PathBuf> {
    files(directory, "rs")
}

fn files(directory: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root().join(directory)];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).expect("a directory of the repository") {
            let path = entry.expect("a directory entry").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// What looks like the id of a rule.
fn rules_in(text: &str) -> impl Iterator<Item = String> {
    words(text).into_iter().filter_map(|word| {
        let (group, number) = word.split_once('-')?;
        let is_group = group.len() == 3 && group.chars().all(|c| c.is_ascii_uppercase());
        let is_number = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit());
        (is_group && is_number && group != "UTF").then(|| word.to_owned())
    })
}

/// The tests below a directory, with the rules that their doc comments name.
fn tests_of(directory: &str) -> Vec<(String, BTreeSet<String>)> {
    let mut tests = Vec::new();
    for path in sources(directory) {
        if path.ends_with("it/tidy.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a source file");
        let module = path
            .strip_prefix(root().join("tests"))
            .expect("below the tests")
            .with_extension("");
        let module = module.display().to_string().replace('/', "::");
        let module = module.trim_start_matches("it::");
        let mut rules = BTreeSet::new();
        for line in text.lines().map(str::trim_start) {
            if let Some(doc) = line.strip_prefix("///") {
                rules.extend(rules_in(doc));
            } else if let Some((_, name)) = line.split_once("fn ") {
                let name: String = name
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                let named = std::mem::take(&mut rules);
                if !named.is_empty() {
                    tests.push((format!("{module}::{name}"), named));
                }
            } else if !line.starts_with('#') && !line.starts_with("//") {
                let named = std::mem::take(&mut rules);
                if !named.is_empty() {
                    tests.push((module.to_owned(), named));
                }
            }
        }
    }
    tests
}

/// Which rule is proved by which test, and said on which page. `UPDATE_EXPECT=1` writes it anew.
#[test]
fn every_rule_has_a_test_and_every_test_a_rule_that_exists() {
    let tests: Vec<_> = [
        "tests/it",
        "tests/managers",
        "tests/peers",
        "tests/process",
        "tests/rebuild",
        "tests/send",
        "tests/no_io",
        "tests/no_runtime",
        "tests/tracing",
    ]
    .into_iter()
    .flat_map(tests_of)
    .collect();
    let known: BTreeSet<String> = rules().collect();
    let unknown: Vec<_> = tests
        .iter()
        .filter(|(_, rules)| !rules.is_subset(&known))
        .collect();
    assert!(unknown.is_empty(), "unknown rules: {unknown:?}");

    let mut pages = vec![("DESIGN.md".to_owned(), read("DESIGN.md"))];
    pages.push(("README.md".to_owned(), read("README.md")));
    for path in sources("runtime/src") {
        let text = fs::read_to_string(&path).expect("a source file");
        let docs = text
            .lines()
            .filter(|line| line.trim_start().starts_with("//"));
        let name = path.strip_prefix(root().join("runtime/src"));
        let name = name.expect("below the sources").display().to_string();
        pages.push((name, docs.flat_map(|line| [line, "\n"]).collect()));
    }
    for path in files("runtime/docs", "md") {
        let text = fs::read_to_string(&path).expect("a page of the guide");
        let unknown: Vec<_> = rules_in(&text)
            .filter(|rule| !known.contains(rule))
            .collect();
        let name = path.strip_prefix(root().join("runtime"));
        let name = name.expect("below the runtime").display().to_string();
        assert!(unknown.is_empty(), "unknown rules in {name}: {unknown:?}");
        pages.push((name, text));
    }
    let mut table = String::from(
        "# Rules, their tests, and where they are documented\n\n\
         Generated: `UPDATE_EXPECT=1 cargo test -p async-with-tests --test it tidy`. The rules themselves are in \
         `DESIGN.md`; sources are below `runtime/src`, pages of the guide in `runtime/docs`, tests below `tests`.\n\n\
         | rule | tests | documentation |\n| --- | --- | --- |\n",
    );
    let mut missing = Vec::new();
    for rule in rules() {
        let proved: Vec<_> = tests
            .iter()
            .filter(|(_, rules)| rules.contains(&rule))
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        let said: Vec<_> = pages
            .iter()
            .filter(|(_, text)| words(text).contains(rule.as_str()))
            .map(|(name, _)| name.as_str())
            .collect();
        if proved.is_empty() || said.is_empty() {
            missing.push(rule.clone());
        }
        let _ = writeln!(
            table,
            "| {rule} | {} | {} |",
            proved.join(", "),
            said.join(", ")
        );
    }
    expect_file!["../TRACEABILITY.md"].assert_eq(&table);
    assert_eq!(
        missing,
        Vec::<String>::new(),
        "without test or documentation"
    );
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

#[test]
fn the_published_crates_and_the_manual_name_the_same_oldest_rust() {
    let oldest = |manifest: &str| {
        let manifest = read(manifest);
        let mut lines = manifest.lines();
        let version = lines.find_map(|line| line.strip_prefix("rust-version = "));
        version
            .map(|version| version.trim_matches('"').to_owned())
            .unwrap_or_default()
    };
    let promised = oldest("runtime/Cargo.toml");
    assert_eq!(oldest("macros/Cargo.toml"), promised);
    for page in ["README.md", "CHANGELOG.md"] {
        assert!(
            read(page).contains(&format!("Rust {promised} ")),
            "{page}: not Rust {promised}"
        );
    }
}

/// What is public and asynchronous says what happens when it is dropped half-way.
#[test]
fn every_async_function_says_whether_it_can_be_dropped() {
    let mut silent = Vec::new();
    let mut said = 0;
    for path in sources("runtime/src") {
        let text = fs::read_to_string(&path).expect("a source file");
        let mut docs = String::new();
        let mut lines = text.lines().map(str::trim_start);
        while let Some(line) = lines.next() {
            if line.starts_with("///") {
                docs.push_str(line);
            } else if line.starts_with("pub fn") || line.starts_with("pub async fn") {
                let mut signature = line.to_owned();
                while !signature.ends_with(['{', ';']) {
                    signature.push_str(lines.next().expect("the rest of a signature"));
                }
                let returns_future = signature
                    .split_once("->")
                    .is_some_and(|(_, output)| output.contains("impl Future"));
                let is_async = signature.contains("async fn") || returns_future;
                match docs.contains("# Cancel safety") {
                    _ if !is_async => {}
                    true => said += 1,
                    false => silent.push(format!("{}: {line}", path.display())),
                }
                docs.clear();
            } else if !line.starts_with('#') {
                docs.clear();
            }
        }
    }
    assert_eq!(silent, Vec::<String>::new());
    assert!(said > 10, "only {said} functions were found");
}
