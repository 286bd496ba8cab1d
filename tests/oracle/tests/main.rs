//! Random programs, run in several ways, against the reference.

use async_with_oracle::generate::{self, shrink};
use async_with_oracle::interpret::interpret;
use async_with_oracle::oracle::{Dialect, predict};
use async_with_oracle::program::Program;
use async_with_oracle::run::{Driver, Run};

#[test]
fn interpreted() {
    let driver = Driver::new();
    let observe = |program: &Program| {
        let run = Run::default();
        driver.observe(&run, program.end, |run| interpret(run, program))
    };
    let n: u64 = std::env::var("ASYNC_WITH_PROGRAMS").map_or(5000, |n| n.parse().unwrap());
    for seed in 0..n {
        let program = generate::program(seed);
        if observe(&program) != predict(&program, Dialect::Rust) {
            let small = shrink(program, |all| {
                all.iter()
                    .position(|p| observe(p) != predict(p, Dialect::Rust))
            });
            let (a, b) = (observe(&small), predict(&small, Dialect::Rust));
            panic!("seed {seed}\n{small:#?}\nlibrary {a:#?}\noracle {b:#?}");
        }
    }
}
