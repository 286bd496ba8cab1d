//! A program is edited and built again, as one does all day.
//!
//! Where rustc infers a type anew each time that it asks whether a bound holds, its answers do not compare with those
//! that it stored at the build before, and it stops with "unstable fingerprints". That goes on until the stored answers
//! are deleted. So no bound that the expansion asks about may depend on such a type.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What is edited, one after the other: what it is, what is there, and what is written in its place.
const EDITS: &[(&str, &str, &str)] = &[
    (
        "a statement before the work",
        "    closures().await;\n",
        "    println!(\"edited\");\n    closures().await;\n",
    ),
    ("a statement in a body", "*value += 1;", "*value += 2;"),
    (
        "a closure",
        "async || println!(\"callback\")",
        "async || { println!(\"callback\"); println!(\"edited\"); }",
    ),
    (
        "the type of a manager",
        "    name: &'static str,\n}\n\nfn connect(name: &'static str) -> Connection {\n    Connection { name }",
        "    name: &'static str,\n    #[allow(dead_code)]\n    attempts: u8,\n}\n\n\
         fn connect(name: &'static str) -> Connection {\n    Connection { name, attempts: 1 }",
    ),
    (
        "a new function, in front of the others",
        "async fn closures() {\n",
        "async fn added() {\n    \
             async_with! { callback(async || println!(\"added\")) => {} }\n\
         }\n\n\
         async fn closures() {\n    added().await;\n",
    ),
    (
        "a block around another",
        "println!(\"{name} {text} {number}\");",
        "async_with! { manage(3, async |_, _| println!(\"around\")) as three => {\n            \
             println!(\"{name} {text} {number} {three}\");\n        }}",
    ),
    ("the type of a value", "manage(1_u8,", "manage(1_u64,"),
    (
        "a variable that a closure captures",
        "async_with! { manage(1_u64, async |value, cause| println!(\"manage {value}: {cause}\")) as value",
        "let name = String::from(\"captured\");\n    \
         async_with! { manage(1_u64, async move |value, cause| println!(\"{name} {value}: {cause}\")) as value",
    ),
    (
        "the type of an error",
        "    reason: &'static str,\n}\n\nfn no_name() -> Failure {\n    Failure { reason: \"no name\" }",
        "    #[allow(dead_code)]\n    code: u8,\n    reason: &'static str,\n}\n\n\
         fn no_name() -> Failure {\n    Failure { code: 1, reason: \"no name\" }",
    ),
    (
        "what is behind a yield",
        "let _cause = yield_!(count);",
        "let cause = yield_!(count);\n        println!(\"{cause}\");",
    ),
];

/// What the program prints after all edits.
const PRINTED: &[&str] = &[
    "edited",
    "added",
    "callback",
    "edited",
    "captured 3: completed",
    "boxed hook",
    "hook",
    "named",
    "boxed",
    "joined 2",
    "connection owned 1 3",
    "around",
    "completed",
    "inside of a generator",
    "owned: completed",
    "exit connection",
    "adopted [1, 7]",
    "exit entered",
    "callback of a stack",
    "managed by let",
    "exit let",
    "attribute task",
    "attribute of 4",
    "job 1",
    "counted 1",
    "counted 0",
    "left 0",
    "left 1",
    "exit task",
    "spawned",
];

/// A package of its own that depends on the runtime. Its folder stays, so that its dependencies are built once.
struct Package(PathBuf);

impl Package {
    fn new() -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rebuild");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let root = root.canonicalize().expect("the workspace");
        fs::create_dir_all(folder.join("src")).expect("a folder of the target directory");
        let manifest = format!(
            "[package]\n\
             name = \"rebuild\"\n\
             edition = \"2024\"\n\n\
             [dependencies]\n\
             async-with = {{ path = '{}' }}\n\
             tokio = {{ version = \"1\", features = [\"macros\", \"rt\", \"time\"] }}\n\n\
             [profile.dev]\n\
             debug = false\n\n\
             [workspace]\n",
            root.join("runtime").display()
        );
        fs::write(folder.join("Cargo.toml"), manifest).expect("it can be written");
        // With the versions of the workspace, nothing has to be fetched.
        fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).expect("it can be written");
        let package = Self(folder);
        // What an earlier run has stored belongs to another history of edits.
        let stored = package.target().join("debug/incremental");
        if stored.exists() {
            fs::remove_dir_all(stored).expect("it can be removed");
        }
        package
    }

    fn target(&self) -> PathBuf {
        self.0.join("target")
    }

    fn build(&self, source: &str) -> Output {
        fs::write(self.0.join("src/main.rs"), source).expect("it can be written");
        Command::new(env!("CARGO"))
            .args(["build", "--offline", "--quiet", "--target-dir"])
            .arg(self.target())
            .env("CARGO_INCREMENTAL", "1")
            .current_dir(&self.0)
            .output()
            .expect("cargo can be run")
    }

    fn run(&self) -> String {
        let program = self.target().join("debug/rebuild");
        let output = Command::new(program).output().expect("it can be run");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    }
}

/// Every build of a program that is edited over and over succeeds, and has the edit in it.
#[test]
fn a_program_is_edited_and_built_again() {
    let package = Package::new();
    let mut source = include_str!("program.rs").to_owned();
    let built = |source: &str, edit: &str| {
        let output = package.build(source);
        let printed = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "after {edit}:\n{printed}");
    };
    built(&source, "no edit");
    for (edit, old, new) in EDITS {
        assert_eq!(source.matches(old).count(), 1, "{edit}: {old}");
        source = source.replace(old, new);
        built(&source, edit);
    }
    assert_eq!(package.run().lines().collect::<Vec<_>>(), PRINTED);
    // And back, in one step.
    built(include_str!("program.rs"), "all is undone");
}
