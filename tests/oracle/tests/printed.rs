//! Some programs, as a user would write them: compiled together, in a crate of their own.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use async_with_oracle::oracle::predict;
use async_with_oracle::program::{Dialect, Program, Stmt, Way};
use async_with_oracle::run::printed;
use async_with_oracle::rust;

use crate::{compare, programs, variable};

const PACKAGE: &str = r#"
[package]
name = "async-with-printed-programs"
version = "0.0.0"
edition = "2024"

[workspace]

[dependencies]
async-with = { path = "ROOT/runtime" }
async-with-oracle = { path = "ROOT/tests/oracle" }

[profile.dev]
debug = false
"#;

/// Writes, compiles and runs a crate. Cargo keeps what it depends on from one time to the next.
fn observe(programs: &[Program]) -> Vec<Vec<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = root.canonicalize().expect("the workspace");
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("printed");
    let write = |path: &str, text: String| {
        let path = package.join(path);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory to write to");
        fs::write(path, text).expect("a file to write to");
    };
    write(
        "Cargo.toml",
        PACKAGE.replace("ROOT", &root.display().to_string()),
    );
    // The same versions as here, so that nothing is looked up.
    write(
        "Cargo.lock",
        fs::read_to_string(root.join("Cargo.lock")).expect("the workspace's"),
    );
    write("src/main.rs", rust::batch(programs));
    let output = Command::new(env::var("CARGO").unwrap_or("cargo".to_owned()))
        .args(["run", "--quiet", "--offline", "--target-dir"])
        .arg(package.join("target"))
        .current_dir(&package)
        .output()
        .expect("cargo runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{errors}", output.status);
    printed(&String::from_utf8_lossy(&output.stdout))
}

/// The jumps that leave these statements. `most` becomes the number of different ones that leave one block.
fn jumps(stmts: &[Stmt], most: &mut usize) -> Vec<Way> {
    let mut jumps_out = Vec::new();
    for stmt in stmts {
        match stmt {
            Stmt::Log(_) | Stmt::Pend(_) => {}
            Stmt::Leave { way, .. } => jumps_out.push(*way),
            Stmt::Loop { id, body, .. } | Stmt::Labeled { id, body } => {
                let ends_here =
                    |way: &Way| matches!(way, Way::Break(to) | Way::Continue(to) if to == id);
                jumps_out.extend(jumps(body, most).into_iter().filter(|way| !ends_here(way)));
            }
            Stmt::With(with) => {
                let out: BTreeSet<_> = jumps(&with.body, most).into_iter().collect();
                *most = out.len().max(*most);
                jumps_out.extend(out);
            }
            Stmt::Moved { body, .. } => jumps_out.extend(jumps(body, most)),
            Stmt::Call(call) => {
                jumps(&call.body, most);
            }
        }
    }
    jumps_out.retain(|way| matches!(way, Way::Break(_) | Way::Continue(_)));
    jumps_out
}

#[test]
fn printed_programs_do_what_the_rules_say() {
    // Compiling takes long: only programs in which something happens.
    let is_eventful = |program: &Program| {
        predict(program, Dialect::Rust).is_some_and(|predicted| predicted.len() > 12)
    };
    // What only the macros do is to tell several jumps apart.
    let jumps_out = |program: &Program| {
        let mut most = 0;
        jumps(&program.body, &mut most);
        most > 1
    };
    let count = variable("ASYNC_WITH_PRINTED", 60);
    let any = programs().filter(is_eventful).take(count / 2);
    let jumping = programs().filter(is_eventful).filter(jumps_out);
    compare(any.chain(jumping.take(count / 2)), Dialect::Rust, observe);
}
