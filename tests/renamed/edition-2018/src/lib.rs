//! A crate of edition 2018, the first with `async`: what a name or a label means does not depend on the edition.

#![allow(clippy::pedantic)]

#[cfg(test)]
#[path = "../../../it/hygiene.rs"]
mod hygiene;
