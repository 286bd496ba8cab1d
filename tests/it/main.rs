//! One test binary, one module per group of rules. Every test names the rules that it proves.

// The bodies under test are written to be seen through, not to please. What the expansion itself may raise is held to
// every lint elsewhere.
#![allow(
    clippy::pedantic,
    clippy::multiple_bound_locations,
    clippy::never_loop,
    clippy::non_minimal_cfg,
    clippy::possible_missing_else,
    clippy::redundant_pattern_matching,
    clippy::unit_arg,
    clippy::while_immutable_condition
)]

mod adaptors;
mod attribute;
mod cancellation;
mod conformance;
mod cost;
mod errors;
mod examples;
mod exit;
mod flow;
mod generators;
mod interrupt;
mod join;
mod managers;
mod matrix;
mod order;
mod panics;
mod peers;
mod readme;
mod regressions;
mod reports;
mod resources;
mod shutdown;
mod shutdown_example;
mod stack;
mod stress;
mod sugar;
mod support;
mod suppression;
mod syntax;
mod task_group;
mod tasks;
mod testing;
mod tidy;
mod types;
mod ui;
