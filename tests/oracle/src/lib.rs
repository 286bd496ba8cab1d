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
//! What the reference follows:
//!
//! | what | rules |
//! | --- | --- |
//! | items one by one, exits in reverse, several items as nested blocks | ORD-1, ORD-2, ORD-3 |
//! | polls are counted by the suspension points of enters, bodies and exits, and one where a stack meets a block around a yield | ORD-6 |
//! | one exit for each enter that succeeded, told how the body ended, after a look at the error | EXI-1 to EXI-5, EXI-7, ERR-6 |
//! | jumps and values, evaluated before the exits, given up when an exit fails | FLO-1, FLO-4, FLO-5, FLO-6 |
//! | the first failure is raised, later ones are reported | ERR-1 to ERR-5, PAN-1, PAN-2, PAN-3 |
//! | a verdict ends errors and interruptions, or panics when it says so; never a drop | SUP-1 to SUP-4 |
//! | dropped: exits go on, in order, outside, and what encloses them waits; scoped managers abandon | CAN-1 to CAN-4, CAN-7 |
//! | interrupted: the innermost block first, in place; the body wins; the outermost raises | CAN-6 |
//! | entered through a stack is nested in a block that does nothing; what is moved out is closed, or dropped | STK-1, STK-4 |
//! | a generator's block is told how the user's ended, and shown the error | GEN-3, GEN-6 |
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
