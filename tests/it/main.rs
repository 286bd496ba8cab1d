//! What a block does: one module per group of rules. Every test names the rules that it proves.

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

mod attribute;
mod cancellation;
mod cost;
mod deadlines;
mod entries;
mod errors;
mod examples;
mod exit;
mod flow;
mod generators;
mod hygiene;
mod interrupt;
mod matrix;
mod names;
mod nest;
mod order;
mod panics;
mod readme;
mod regressions;
mod reports;
#[path = "../runtimes.rs"]
mod runtimes;
mod shutdown;
mod shutdown_example;
mod stack;
mod stress;
mod sugar;
mod support;
mod suppression;
mod syntax;
mod tasks;
mod tidy;
mod types;
mod ui;
