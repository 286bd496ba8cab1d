//! What a block costs, next to the same by hand.
//!
//! ```text
//! cargo bench -p async-with-benches                       # everything
//! cargo bench -p async-with-benches -- size time compile  # some of it
//! ```
//!
//! All ratios are of figures from the same run, taken in turns. The parts are `size`, `allocations`, `time`,
//! `tasks`, `compile` and `instructions`; at the end stand the aims, and whether they are met.

mod aims;
mod compile;
mod instructions;
mod table;
mod tasks;
mod time;

use std::process::Command;

use aims::Aims;
use async_with_benches::Size;
use table::Table;

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    if let [mode, rest @ ..] = &arguments[..]
        && mode == instructions::RUN
    {
        instructions::run(rest);
        return;
    }
    let wanted = |part: &str| arguments.is_empty() || arguments.iter().any(|name| name == part);
    let mut aims = Aims::default();
    if wanted("size") {
        sizes(&mut aims);
    }
    if wanted("allocations") {
        allocations();
    }
    if wanted("time") {
        time::measure(&mut aims);
    }
    if wanted("tasks") {
        tasks::measure();
    }
    if wanted("compile") {
        compile::measure(&mut aims);
    }
    if wanted("instructions") {
        instructions::measure();
    }
    println!("{aims}");
}

fn sizes(aims: &mut Aims) {
    let table = Table::new("size of the future, bytes", |block| {
        count(block.visit(Size))
    });
    print!("{table}");
    aims.size(&table);
}

fn allocations() {
    let output = Command::new(env!("CARGO_BIN_EXE_count-allocations"))
        .output()
        .expect("the program that counts was built together with this one");
    assert!(output.status.success(), "the program that counts failed");
    let output = String::from_utf8_lossy(&output.stdout);
    let mut lines = output.lines();
    let table = Table::new("allocations per block", |_| {
        let line = lines.next().expect("there is a line for every block");
        line.parse().expect("each line is a count")
    });
    print!("{table}");
}

#[expect(clippy::cast_precision_loss, reason = "the counts are small")]
fn count(count: usize) -> f64 {
    count as f64
}
