//! One test binary, one module per group of rules.

mod flow;
