//! A crate of edition 2018, the first that has `async`.

#![deny(future_incompatible)]

#[cfg(test)]
#[path = "../../../it/hygiene.rs"]
mod hygiene;
#[cfg(test)]
#[path = "../../../it/names.rs"]
mod names;
