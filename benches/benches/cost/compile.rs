//! Compile time of many functions.
//!
//! A crate of 300 functions is written by hand and with the macro, and compiled by `rustc` alone, in turns. What it
//! depends on was built before, in the same profile. The fastest of several runs counts: in processor time where the
//! system tells it, because that depends less on what else the machine does.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use async_with_benches::Kind;

use crate::aims::Aims;

const FUNCTIONS: usize = 300;

/// What both crates begin with.
const PRELUDE: &str = "\
#![allow(unused_imports)]
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;

use async_with::{AsyncContextManager, Cause, ScopedAsyncContextManager, async_with};
use async_with_benches::guard::{Guard, cause, pass_on};
use async_with_benches::{Failure, check};
use futures::FutureExt;

pub struct Manager(u64);

impl Protocol for Manager {
    type Resource = u64;
    type Error = Failure;
    type Exit = ();

    async fn enter(&mut self) -> Result<u64, Failure> {
        check(self.0)
    }

    async fn exit(self, resource: u64, _: Cause) -> Result<(), Failure> {
        check(resource)?;
        Ok(())
    }
}

pub async fn work(value: u64) -> Result<u64, Failure> {
    check(value)
}
";

/// What is done with a crate.
struct Profile {
    name: &'static str,
    arguments: &'static [&'static str],
    rounds: usize,
}

const PROFILES: [Profile; 2] = [
    Profile {
        name: "check",
        arguments: &["--emit=metadata"],
        rounds: 4,
    },
    Profile {
        name: "build",
        arguments: &["--emit=link", "-Cdebuginfo=2"],
        rounds: 2,
    },
];

pub(crate) fn measure(aims: &mut Aims) {
    let dependencies = dependencies();
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let clock = if processor_time().is_some() {
        "processor seconds"
    } else {
        "seconds"
    };
    println!(
        "compile time of {FUNCTIONS} functions with two managers each, debug profile, {clock}"
    );
    println!(
        "{:<22}{:>8}{:>12}{:>12}{:>9}",
        "managers", "", "by hand", "async_with!", "ratio"
    );
    for (kind, name) in [(Kind::Scoped, "scoped"), (Kind::Surviving, "surviving")] {
        let write = |form: &str, body: &str| {
            let source = directory.path().join(format!("{name}_{form}.rs"));
            std::fs::write(&source, crate_of(kind, body)).expect("a source can be written");
            source
        };
        let sources = [write("by_hand", by_hand(kind)), write("block", BLOCK)];
        for profile in &PROFILES {
            let mut fastest = [Duration::MAX; 2];
            for _ in 0..profile.rounds {
                for (source, fastest) in sources.iter().zip(&mut fastest) {
                    *fastest = (*fastest).min(compile(source, profile, &dependencies));
                }
            }
            let [by_hand, macro_made] = fastest.map(|time| time.as_secs_f64());
            let ratio = macro_made / by_hand;
            println!(
                "{name:<22}{:>8}{by_hand:>12.2}{macro_made:>12.2}{ratio:>9.2}",
                profile.name
            );
            aims.compile_time(&format!("{name}, {}", profile.name), ratio);
        }
    }
    println!();
}

/// Builds what the crates depend on, in the debug profile, and returns the arguments with which `rustc` finds it.
fn dependencies() -> Vec<OsString> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--quiet", "--lib", "--message-format=json"])
        .args(["--package", env!("CARGO_PKG_NAME")])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo can be started");
    assert!(output.status.success(), "the dependencies were not built");
    let messages = String::from_utf8_lossy(&output.stdout);
    let mut arguments = Vec::new();
    let mut folders: Vec<PathBuf> = Vec::new();
    for message in messages.lines() {
        let message: serde_json::Value =
            serde_json::from_str(message).expect("cargo writes one object per line");
        let Some(name) = message["target"]["name"].as_str() else {
            continue;
        };
        let files = message["filenames"].as_array().into_iter().flatten();
        for file in files.filter_map(|file| file.as_str()) {
            let file = Path::new(file);
            folders.extend(file.parent().map(Path::to_owned));
            let linked = file
                .extension()
                .is_some_and(|extension| extension == "rlib");
            if linked && ["async_with", "async_with_benches", "futures"].contains(&name) {
                let mut argument = OsString::from(format!("--extern={name}="));
                argument.push(file);
                arguments.push(argument);
            }
        }
    }
    folders.sort();
    folders.dedup();
    for folder in folders {
        let mut argument = OsString::from("-Ldependency=");
        argument.push(folder);
        arguments.push(argument);
    }
    arguments
}

fn compile(source: &Path, profile: &Profile, dependencies: &[OsString]) -> Duration {
    let mut rustc = Command::new("rustc");
    rustc
        .args(["--edition=2024", "--crate-type=lib"])
        .args(profile.arguments)
        .arg("--out-dir")
        .arg(source.with_extension("out"))
        .args(dependencies)
        .arg(source);
    let (start, processor) = (Instant::now(), processor_time());
    let status = rustc.status().expect("rustc can be started");
    let elapsed = start.elapsed();
    assert!(status.success(), "{} does not compile", source.display());
    match (processor, processor_time()) {
        (Some(before), Some(after)) => after.saturating_sub(before),
        _ => elapsed,
    }
}

/// What the processes that this one has waited for have used, as Linux tells it.
fn processor_time() -> Option<Duration> {
    const TICK: Duration = Duration::from_millis(10);
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the name of the program, in parentheses, which may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let children = fields.split_whitespace().skip(13).take(2);
    let ticks: u32 = children.map(|field| field.parse().unwrap_or(0)).sum();
    Some(TICK * ticks)
}

/// The source of a crate whose functions have this body.
fn crate_of(kind: Kind, body: &str) -> String {
    let protocol = match kind {
        Kind::Scoped => "ScopedAsyncContextManager",
        Kind::Surviving => "AsyncContextManager",
    };
    let functions = (0..FUNCTIONS)
        .map(|number| format!("pub async fn f{number}(x: u64) -> Result<u64, Failure> {body}"));
    // Without a use, no code is made of the functions.
    let uses = (0..FUNCTIONS).map(|number| format!("all.push(Box::pin(f{number}({number})));"));
    let all = [
        PRELUDE.replace("Protocol", protocol),
        functions.collect::<Vec<_>>().join("\n"),
        "pub type Boxed = Pin<Box<dyn Future<Output = Result<u64, Failure>>>>;".to_owned(),
        "pub fn all(all: &mut Vec<Boxed>) {".to_owned(),
        uses.collect::<Vec<_>>().join("\n"),
        "}".to_owned(),
    ];
    all.join("\n")
}

const BLOCK: &str = "{
    let value = async_with! { Manager(x) as a, Manager(*a + 1) as b => {
        *a += 1;
        *b += work(*a).await?;
        *a + *b
    }};
    Ok(value)
}";

fn by_hand(kind: Kind) -> &'static str {
    match kind {
        Kind::Scoped => {
            "{
    let mut manager = Manager(x);
    let mut resource = manager.enter().await?;
    let body = async {
        let a = &mut resource;
        let mut manager = Manager(*a + 1);
        let mut resource = manager.enter().await?;
        let body = async {
            let b = &mut resource;
            *a += 1;
            *b += work(*a).await?;
            Ok::<_, Failure>(*a + *b)
        };
        let ended = AssertUnwindSafe(body).catch_unwind().await;
        let exited = manager.exit(resource, cause(&ended)).await;
        pass_on(ended, exited)
    };
    let ended = AssertUnwindSafe(body).catch_unwind().await;
    let exited = manager.exit(resource, cause(&ended)).await;
    pass_on(ended, exited)
}"
        }
        Kind::Surviving => {
            "{
    let mut manager = Manager(x);
    let resource = manager.enter().await?;
    let mut guard = Guard::new(manager, resource);
    let body = async {
        let a = guard.resource();
        let mut manager = Manager(*a + 1);
        let resource = manager.enter().await?;
        let mut guard = Guard::new(manager, resource);
        let body = async {
            let b = guard.resource();
            *a += 1;
            *b += work(*a).await?;
            Ok::<_, Failure>(*a + *b)
        };
        let ended = AssertUnwindSafe(body).catch_unwind().await;
        let exited = guard.exit(cause(&ended)).await;
        pass_on(ended, exited)
    };
    let ended = AssertUnwindSafe(body).catch_unwind().await;
    let exited = guard.exit(cause(&ended)).await;
    pass_on(ended, exited)
}"
        }
    }
}
