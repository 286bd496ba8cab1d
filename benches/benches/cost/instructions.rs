//! Instructions per block, counted by valgrind where there is one. They vary less than the time does.

use std::process::Command;

use async_with_benches::{Block, LEVELS, Repeat, blocks};

use crate::count;
use crate::table::Table;

/// The argument that makes this program run one block, to be counted.
pub(crate) const RUN: &str = "run";

const REPETITIONS: usize = 1000;

/// Runs the block with this number, so many times.
pub(crate) fn run(arguments: &[String]) {
    let numbers: Vec<usize> = arguments
        .iter()
        .map(|argument| argument.parse().expect("two numbers"))
        .collect();
    let [block, repetitions] = numbers[..] else {
        panic!("two numbers: which block, and how often");
    };
    let block = blocks().nth(block).expect("the number of a block");
    // In a task, as most blocks are.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime without drivers can be built");
    let task = runtime.spawn(async move { block.visit(Repeat(repetitions)) });
    runtime.block_on(task).expect("the blocks do not panic");
}

pub(crate) fn measure() {
    let Some(version) = valgrind() else {
        println!("instructions per block: skipped, valgrind was not found\n");
        return;
    };
    println!("(counted by {version})");
    let counted = |(_, block): &(usize, Block)| {
        !block.yields && [LEVELS[0], LEVELS[LEVELS.len() - 1]].contains(&block.levels)
    };
    let figures = blocks().enumerate().filter(counted).map(|(number, block)| {
        // The difference leaves out the start of the program.
        let more = instructions(number, 1 + REPETITIONS) - instructions(number, 1);
        (block, more / count(REPETITIONS))
    });
    let table = Table::of("instructions per block", figures);
    print!("{table}");
}

fn valgrind() -> Option<String> {
    let output = Command::new("valgrind").arg("--version").output().ok()?;
    let version = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| version.trim().to_owned())
}

fn instructions(block: usize, repetitions: usize) -> f64 {
    let program = std::env::current_exe().expect("the path of this program is known");
    let output = Command::new("valgrind")
        .args(["--tool=cachegrind", "--cache-sim=no"])
        .arg("--cachegrind-out-file=/dev/null")
        .arg(program)
        .args([RUN, &block.to_string(), &repetitions.to_string()])
        .output()
        .expect("valgrind can be started");
    let summary = String::from_utf8_lossy(&output.stderr);
    let total = summary.lines().find_map(|line| {
        // "I   refs:" in older versions.
        let (_, total) = line.split_once("refs:")?;
        total.trim().replace(',', "").parse().ok()
    });
    total.expect("valgrind ends with the number of instructions")
}
