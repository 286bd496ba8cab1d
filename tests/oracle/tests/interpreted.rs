//! Thousands of programs, through one generic block.

use async_with_oracle::interpret::interpret;
use async_with_oracle::program::{Dialect, Program};
use async_with_oracle::run::Driver;

use crate::{compare, programs, variable};

pub(crate) fn interpret_each(programs: &[Program]) -> Vec<Vec<String>> {
    let driver = Driver::new();
    let observe =
        |program: &Program| driver.observe(program.end, async |run| interpret(run, program).await);
    programs.iter().map(observe).collect()
}

#[test]
fn interpreted_programs_do_what_the_rules_say() {
    let count = variable("ASYNC_WITH_PROGRAMS", 5000);
    compare(programs().take(count), Dialect::Rust, interpret_each);
}
