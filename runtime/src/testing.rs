//! For the tests of people who write managers, with the feature `testing`. It needs no runtime, and works on any.
//!
//! - [`EventLog`] makes managers that write down what happens to them, and that fail, wait or panic as their script says:
//!   to be put around, inside or in place of one's own. [`Gate`] and [`pend`] decide when a future goes on.
//! - [`explore_cancellations`] drops a future at every point at which it can be dropped.
//! - [`check_manager`] and [`Conformance`] ask a manager for everything that the protocol expects of it, in some fifty
//!   checks with a name, each of which says what is wrong and what to do.
//! - [`block_on`] runs the future of a test where there is no runtime.
//!
//! # Example
//!
//! A pool lends connections. Its manager is held to the protocol, and a function that uses it is cancelled at every point.
//!
//! ```
//! use std::io;
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
//!
//! use async_with::testing::{Conformance, block_on, explore_cancellations, pend};
//! use async_with::prelude::*;
//!
//! #[derive(Clone, Default)]
//! struct Pool(Arc<AtomicUsize>);
//!
//! impl Pool {
//!     fn lease(&self) -> Lease {
//!         Lease(self.clone())
//!     }
//!
//!     fn in_use(&self) -> usize {
//!         self.0.load(SeqCst)
//!     }
//! }
//!
//! /// Goes back to the pool when it is dropped.
//! struct Connection(Pool);
//!
//! impl Connection {
//!     async fn open(pool: &Pool) -> io::Result<Self> {
//!         pool.0.fetch_add(1, SeqCst);
//!         let connection = Connection(pool.clone());
//!         pend(1).await;
//!         Ok(connection)
//!     }
//!
//!     async fn query(&mut self) -> io::Result<u64> {
//!         pend(1).await;
//!         Ok(7)
//!     }
//! }
//!
//! impl Drop for Connection {
//!     fn drop(&mut self) {
//!         self.0.0.fetch_sub(1, SeqCst);
//!     }
//! }
//!
//! struct Lease(Pool);
//!
//! #[async_context_manager]
//! impl AsyncContextManager for Lease {
//!     async fn enter(&mut self) -> io::Result<Connection> {
//!         Connection::open(&self.0).await
//!     }
//!
//!     async fn exit(self, connection: Connection, _: Cause) -> io::Result<()> {
//!         pend(1).await;
//!         drop(connection);
//!         Ok(())
//!     }
//! }
//!
//! // #[test]
//! fn a_lease_conforms() {
//!     let pool = Pool::default();
//!     let report = block_on(Conformance::new(|| pool.lease()).open_count(|| pool.in_use()).check());
//!     report.assert();
//! }
//!
//! // #[test]
//! fn a_query_gives_its_connection_back() {
//!     async fn count(pool: &Pool) -> io::Result<u64> {
//!         async_with! { pool.lease() as connection => { connection.query().await } }
//!     }
//!     let pool = Pool::default();
//!     let polls = block_on(explore_cancellations(
//!         || count(&pool),
//!         |run| {
//!             assert_eq!(pool.in_use(), 0, "after {} polls", run.polls);
//!             assert!(run.reports.is_empty());
//!         },
//!     ));
//!     assert_eq!(polls, 4);
//! }
//! # a_lease_conforms();
//! # a_query_gives_its_connection_back();
//! ```
//!
//! # What the checks ask
//!
//! A check that needs to be told something is skipped where it is not: how many resources are open
//! ([`open_count`](Conformance::open_count)), how to make an enter that fails
//! ([`failing_enter`](Conformance::failing_enter)), how to use the resource ([`usable`](Conformance::usable)), how many
//! guards are held ([`guard_count`](Conformance::guard_count)). So is one that cannot be made because of something that
//! another check finds: a manager with one flaw fails one check. In `open` checks, the count is the witness. A report that
//! is printed ends with what the checks were not told, and how many of them would need it: without `open_count`, nothing
//! is known of what a manager leaves behind.
//!
//! | about | checks |
//! | --- | --- |
//! | before the enter | `construction_acquires_nothing` (open), `enter_is_lazy` (open) |
//! | enter | `enter_does_not_panic`, `enter_finishes`, `enter_succeeds`, `enter_wakes`, `enter_uses_the_latest_waker`, `enter_raises_the_open_count` (open) |
//! | enter, dropped (CAN-7) | `enter_works_after_a_dropped_one`, `dropped_enter_releases` (open), `dropped_enter_leaves_nothing_pending` |
//! | enter, failed (EXI-1) | `enter_works_after_a_failed_one`, `failed_enter_releases` (open), `errors_can_be_shown` |
//! | resource | `resource_is_usable` |
//! | exit (EXI-4) | `exit_finishes_when_completed`, `exit_finishes_when_failed`, `exit_finishes_when_panicked`, `exit_finishes_when_cancelled`, `exit_finishes_when_dropped`, `exit_does_not_panic`, `exit_succeeds_when_completed`, `exit_does_not_raise_the_failure`, `exit_wakes`, `exit_uses_the_latest_waker` |
//! | release (ORD-2) | `exit_releases` (open), `exit_releases_before_it_returns` (open), `exit_leaves_nothing_pending` |
//! | a block that is dropped (CAN-1 to CAN-3) | `exit_dropped_half_way_releases` (open), `dropped_body_releases` (open), `dropped_body_releases_before_outer_exits` (open), `abandon_does_not_panic` |
//! | verdicts (SUP-1, SUP-4) | `completion_is_not_suppressed`, `errors_are_not_suppressed`, `panics_are_not_suppressed`, `drops_are_not_suppressed` |
//! | inspect (ERR-6) | `inspect_does_not_panic`, `inspect_keeps_the_error` |
//! | interrupt (CAN-6) | `interrupt_does_not_panic`, `interrupt_does_not_fire_at_once`, `interrupt_releases` (open), `interruption_from_outside_ends_the_block` |
//! | guards (EXI-6) | `guards_can_be_made`, `guards_are_balanced` |
//! | several | `two_can_be_open`, `two_exit_in_order`, `two_exit_in_reverse`, `many_cycles_release` (open), `enter_works_in_the_end` |
//! | reports (ERR-5) | `nothing_is_reported` |
//!
//! That enter and exit are `Send`, and that `interrupt` captures nothing, is checked by the compiler, as the protocol
//! demands it.

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
    EventLog, Fault, FromFault, Gate, InterruptAfter, Interrupting, NoInterrupt, Scripted,
    ScriptedResource, Step, pend,
};
