//! An oracle for `async-with`: random programs, a reference that predicts what each of them does, and three ways to run
//! them.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`program`] | what a program can be |
//! | [`generate`] | makes programs from a seed, and shrinks one that shows a difference |
//! | [`oracle`] | the reference: the rules, synchronously, without futures |
//! | [`interpret`] | runs a program through the library, one generic block for all of them |
//! | [`rust`] | prints a program as a user would write it |
//! | [`python`] | prints a program for Python |
//! | [`run`] | the log, the managers, and the driver that polls by hand |
//!
//! What a program does is a list of lines: the events in order, then the outcome, then what was reported.

mod flow;
pub mod generate;
pub mod interpret;
pub mod oracle;
pub mod program;
pub mod python;
pub mod run;
pub mod rust;
