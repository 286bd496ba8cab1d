//! Names in scope: types, functions, constants and macros that are called as those of the library are.

#![allow(non_upper_case_globals, non_camel_case_types, dead_code, unused_macros)]
#![allow(clippy::never_loop)]

use std::convert::Infallible;

use library::{async_context_manager, nullcontext};

use crate::{Stolen, lent, run, stolen};

struct Yielder;
struct Permit;
struct Yield;
struct Generated;

const __yielder: Stolen = Stolen;
const __argument_0: Stolen = Stolen;
const __body: Stolen = Stolen;
const __tail: Stolen = Stolen;
const __return: Stolen = Stolen;
const __async_with_yielder: Stolen = Stolen;
const __async_with_argument_0: Stolen = Stolen;
const __async_with_types: Stolen = Stolen;
const __async_with_body: Stolen = Stolen;
const __async_with_tail: Stolen = Stolen;
const __async_with_return: Stolen = Stolen;
const __async_with_once: Stolen = Stolen;
const __async_with_first: Stolen = Stolen;
const __value: Stolen = Stolen;
const __scope: Stolen = Stolen;

fn give(_: Stolen) -> Stolen {
    stolen(())
}

fn permit(_: Stolen) -> Stolen {
    stolen(())
}

macro_rules! generator {
    ($($tokens:tt)*) => {
        stolen(())
    };
}

macro_rules! generator_inner {
    ($($tokens:tt)*) => {
        stolen(())
    };
}

macro_rules! give {
    ($($tokens:tt)*) => {
        stolen(())
    };
}

/// A block macro that takes anything.
macro_rules! async_with {
    (@mention) => {
        ()
    };
    ($($tokens:tt)*) => {{
        stolen(());
        (Stolen,)
    }};
}

#[async_context_manager]
async fn shadowed((text, _): (String, u8)) -> Result<String, Infallible> {
    struct Yielder;
    const yielder: Stolen = Stolen;
    let mut text = text;
    async_with! { nullcontext(1) => {
        yield_!(&mut text);
    }}
}

/// GEN-5, SYN-9: nothing in scope is found in place of what the expansion means.
#[test]
fn names_in_scope_are_not_found() {
    assert_eq!(lent(shadowed(("kept".to_owned(), 1))), "kept");
}

/// The label of a body, in a loop around the yield's value and in one beside it.
#[async_context_manager]
async fn labeled() -> Result<String, Infallible> {
    let mut text = String::from("labeled");
    let beside = async {
        '__async_with_place_0: loop {
            break '__async_with_place_0;
        }
    };
    beside.await;
    yield_!('__async_with_place_0: loop {
        break '__async_with_place_0 &mut text;
    });
}

/// GEN-5: a label of the user's is not that of the body.
#[test]
fn labels_are_not_found() {
    assert_eq!(lent(labeled()), "labeled");
}

macro_rules! reborrowed {
    ($text:ident) => {
        &mut **$text
    };
}

/// What is lent comes from a macro, in a block that may return.
#[async_context_manager]
async fn from_a_macro(fail: bool) -> Result<String, std::fmt::Error> {
    let mut text = Box::new(String::from("lent by a macro"));
    let text = &mut text;
    yield_!({
        drop(async { std::future::pending::<()>().await });
        if fail {
            return Err(std::fmt::Error);
        }
        reborrowed!(text)
    });
    Ok(())
}

/// GEN-5: what is yielded may be any expression.
#[test]
fn what_is_lent_comes_from_a_macro() {
    let yielded = |fail| async move {
        Ok(library::async_with! { from_a_macro(fail) as text => { text.clone() } })
    };
    assert_eq!(run(yielded(false)).as_deref(), Ok("lent by a macro"));
    assert_eq!(run(yielded(true)), Err(std::fmt::Error));
}
