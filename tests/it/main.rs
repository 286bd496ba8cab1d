//! One test binary, one module per group of rules. Every test names the rules that it proves.

// The bodies under test are written to be seen through, not to please.
#![allow(
    clippy::unused_async,
    clippy::missing_panics_doc,
    clippy::too_many_lines
)]

mod attribute;
mod cancellation;
mod cost;
mod errors;
mod examples;
mod exit;
mod flow;
mod order;
mod panics;
mod readme;
mod shutdown_example;
mod support;
mod suppression;
mod syntax;
mod tidy;
mod types;
mod ui;
