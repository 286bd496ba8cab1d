//! Safe programs that try to lend what is gone: through names, of which each is the user's here. What is lent stays there
//! all the same, which is for `.ci/sanitize miri` to say. What does not compile is in `tests/ui`.

#![forbid(unsafe_code)]
// The tests of the workspace know the library by this name; here it is this crate.
extern crate self as async_with;

extern crate async_with as library;

mod by_hand;
mod names;
mod traits;
mod values;

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use library::{Cause, Generated, async_context_manager, nullcontext};

/// What the expansion finds at the path that it is given: the library's, and fakes in the place of what it could call.
pub mod expansion {
    pub use library::expansion::*;

    pub use crate::stolen as surviving;
    pub use crate::stolen as scoped;
    pub use crate::stolen as drive;
    pub use crate::stolen as finish;
    pub use crate::stolen as pending;
    pub use crate::{Stolen as Permit, Stolen as Yield, Stolen as Yielder, steal as block_inner};
}

pub use library::Verdict;

/// A fake.
#[derive(Debug)]
pub struct Stolen;

/// A fake.
pub fn stolen<T>(_: T) -> Stolen {
    THEFTS.fetch_add(1, Ordering::Relaxed);
    Stolen
}

static THEFTS: AtomicUsize = AtomicUsize::new(0);

/// A block macro that would poll a yield once, and leak it: then what it borrowed could go.
#[macro_export]
macro_rules! steal {
    (@mention) => {
        ()
    };
    ($manager:expr => $body:block) => {{
        let mut body = Box::pin(async $body);
        let _ = body.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        $crate::stolen(body);
        (Stolen,)
    }};
}

pub use steal as async_with;

/// Polls a future to its end, or as often as a test would.
fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..100 {
        if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
            return value;
        }
    }
    panic!("it does not end")
}

/// What a manager lends to a block.
fn lent(manager: Generated<String, Infallible>) -> String {
    run(async {
        library::async_with! { manager as text => {
            let other = vec![0x41u8; text.len()]; // it would take the memory
            text.clone() + &"!".repeat(other.len() - text.len())
        }}
    })
}

#[async_context_manager]
async fn around() -> Result<String, Infallible> {
    {
        let mut text = String::from("in a block");
        let lent = &mut text;
        async_with! { nullcontext(1) => { yield_!(&mut *lent); } }
        drop(text);
    }
}

/// GEN-5: the path of the library is that of this crate, and so is the block macro at that path.
#[test]
fn the_crate_itself_has_the_name_of_the_library() {
    assert_eq!(lent(around()), "in a block");
    assert_eq!(THEFTS.load(Ordering::Relaxed), 0);
}

/// The same by another path.
mod evil {
    pub(crate) use super::expansion;
}

#[async_context_manager(crate = evil)]
async fn renamed() -> Result<String, Infallible> {
    let mut text = String::from("renamed");
    async_with! { nullcontext(1) => { yield_!(&mut text); } }
}

/// GEN-5: the path in the arguments is that of a module of this crate.
#[test]
fn a_module_has_the_path_of_the_library() {
    assert_eq!(lent(renamed()), "renamed");
    assert_eq!(THEFTS.load(Ordering::Relaxed), 0);
}

mod copied {
    pub(crate) mod expansion {
        pub(crate) use crate::kept as generator;
        pub(crate) use library::expansion::{Generated, ResultParts};
    }
}

/// A fake of what the attribute leaves to the library: it has what the user wrote, which yields nothing.
#[macro_export]
macro_rules! kept {
    ($name:ident surviving $types:tt $moves:block { $($body:tt)* }) => {{
        let body = stringify!($($body)*);
        assert!(body.starts_with("let mut text"), "{body}");
        library::expansion::generator!($name surviving $types $moves { $($body)* })
    }};
}

#[async_context_manager(crate = copied)]
async fn passed_on(text: String) -> Result<String, Infallible> {
    let mut text = text;
    let cause = yield_!(&mut text);
    assert_eq!(cause, Cause::Completed);
}

/// GEN-5: what is at the path passes on what it is given, or it could not make a manager.
#[test]
fn a_macro_has_the_path_of_the_library() {
    assert_eq!(lent(passed_on("passed on".to_owned())), "passed on");
}
