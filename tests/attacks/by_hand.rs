//! The hidden macro by hand: what it makes of any input is sound, and what it does not understand is left out.

use std::convert::Infallible;

use library::{Generated, nullcontext};

use crate::lent;

/// A closure that would have the body for its own, if it went on behind its `return`.
fn swallowed() -> Generated<String, Infallible> {
    library::expansion::generator! {
        swallowed surviving [String, Infallible, ()]
        { let text = String::from("by hand"); async move || return }
        {
            let mut text = text;
            library::async_with! { nullcontext(1) => { yield_!(&mut text); } }
        }
    }
}

/// GEN-5: it makes a manager, of the same kind as the attribute.
#[test]
fn statements_that_swallow_the_body_are_left_out() {
    assert_eq!(lent(swallowed()), "by hand");
}
