//! What is in the box: the managers and adaptors that come with the crate, and the module for tests of other ones.

// The bodies under test are written to be seen through, not to please.
#![allow(clippy::pedantic)]

mod adaptors;
mod conformance;
mod join;
mod ready_made;
mod resources;
#[path = "../runtimes.rs"]
mod runtimes;
mod task_group;
mod testing;
