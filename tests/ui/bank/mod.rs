//! The module of `attribute-on-module-in-another-file.rs`.

pub async fn transfer() {}
