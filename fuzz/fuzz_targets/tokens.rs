//! The parsers of the macros, on any tokens: none panics, and what is accepted expands to something that parses.
//!
//! A proc-macro crate cannot be a dependency of this, so its modules are part of it.

#![no_main]
// The crate root of the macros uses the rest.
#![allow(dead_code)]

#[path = "../../macros/src/attribute.rs"]
mod attribute;
#[path = "../../macros/src/body.rs"]
mod body;
#[path = "../../macros/src/errors.rs"]
mod errors;
#[path = "../../macros/src/expand.rs"]
mod expand;
#[path = "../../macros/src/generator.rs"]
mod generator;
#[path = "../../macros/src/parse.rs"]
mod parse;
#[path = "../../macros/src/soup.rs"]
mod soup;
#[path = "../../macros/src/sugar.rs"]
mod sugar;
#[path = "../../macros/src/yields.rs"]
mod yields;

use libfuzzer_sys::fuzz_target;

use crate::soup::Soup;

fuzz_target!(|bytes: &[u8]| {
    // What libFuzzer prints is bytes; this is what they mean.
    if std::env::var_os("SHOW_SOUP").is_some() {
        eprintln!("{}", Soup::from_bytes(bytes).text());
    }
    Soup::from_bytes(bytes).check();
});
