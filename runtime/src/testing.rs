//! For the tests of people who write managers.

mod bench;
mod cancellations;
mod checks;
mod conformance;
mod script;
mod subject;

pub use bench::block_on;
pub use cancellations::{Explored, explore_cancellations};
pub use conformance::{Conformance, Report, assert_conforms, check_manager};
pub use script::{
    EventLog, Fault, FromFault, Gate, InterruptAfter, Interruption, NoInterrupt, Scripted,
    ScriptedResource, Step, pend,
};
