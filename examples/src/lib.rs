//! The bank that the example `transfer` runs: its managers, and the statements that they surround.
//!
//! | module | manager | on enter | on exit |
//! | --- | --- | --- | --- |
//! | [`audit`] | [`Audit`](audit::Audit) | writes who is about to do what | writes how it ended |
//! | [`cache`] | [`Cache`](cache::Cache) | lends an empty map | keeps the balances in it, or forgets them |
//! | [`connection`] | [`Connection`](connection::Connection) | opens a connection | closes it |
//! | [`transaction`] | [`Transaction`](transaction::Transaction) | begins | commits, or rolls back |
//!
//! [`bank`] makes the managers, [`ledger`] has the SQL, and [`journal`] what is printed and counted.

pub mod audit;
pub mod bank;
pub mod cache;
pub mod connection;
pub mod journal;
pub mod ledger;
pub mod service;
pub mod transaction;
