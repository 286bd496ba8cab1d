//! Thousands of programs, through one generic block.

use async_with_oracle::interpret::interpret;
use async_with_oracle::oracle::Dialect;
use async_with_oracle::program::Program;
use async_with_oracle::run::Driver;

use crate::{compare, programs, variable};

#[test]
fn interpreted_programs_do_what_the_rules_say() {
    let driver = Driver::new();
    let observe = |programs: &[Program]| {
        let programs = programs.iter();
        let observed = programs
            .map(|program| driver.observe(program.end, async |run| interpret(run, program).await));
        observed.collect()
    };
    let count = variable("ASYNC_WITH_PROGRAMS", 5000);
    compare(programs().take(count), Dialect::Rust, observe);
}
