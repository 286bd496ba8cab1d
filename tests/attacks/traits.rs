//! Methods in scope, which are looked for by value before those of the library are by reference.

// Nothing calls them, which is the point.
#![allow(dead_code)]

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};

use library::expansion::{Permit, Yield, Yielder};
use library::{Cause, async_context_manager};

use crate::{Stolen, lent, stolen};

/// On any value.
trait Any: Sized {
    fn permit(self) -> Stolen {
        stolen(())
    }
    fn give<A>(self, _: A) -> Stolen {
        stolen(())
    }
    fn until<A>(self, _: A) -> Stolen {
        stolen(())
    }
    fn given(self) -> Stolen {
        stolen(())
    }
    fn value(self) -> Stolen {
        stolen(())
    }
    fn ended<A, B>(self, _: A, _: B) -> Stolen {
        stolen(())
    }
    fn surviving(self) -> Stolen {
        stolen(())
    }
}

impl<T> Any for T {}

/// On what the expansion uses.
trait Evil<R> {
    fn give(self, _: &mut R) -> Pin<Box<dyn Future<Output = Cause> + Send>>;
}

impl<R, E> Evil<R> for Yielder<R, E> {
    fn give(self, _: &mut R) -> Pin<Box<dyn Future<Output = Cause> + Send>> {
        stolen(self);
        Box::pin(std::future::pending())
    }
}

impl<R, E> Evil<R> for Permit<'_, R, E> {
    fn give(self, real: &mut R) -> Pin<Box<dyn Future<Output = Cause> + Send>> {
        // What this lends is gone when it returns.
        let mut lent = Box::pin(Permit::give(self, real));
        let _ = lent.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        Box::pin(std::future::pending())
    }
}

/// A future of the library's cannot be made another one: the impl is the library's.
fn is_a_future<L, B, R, E>(lent: Yield<'_, L, B, R, E>) -> impl Future<Output = B> {
    lent
}

#[async_context_manager]
async fn hijacked() -> Result<String, Infallible> {
    let _ = is_a_future::<(), (), (), ()>;
    let mut text = String::from("kept");
    let cause = yield_!(&mut text, interrupt = std::future::pending());
    assert_eq!(cause, Cause::Completed);
    return Ok(());
}

/// GEN-5, SYN-9: no method of the user's is found before the library's.
#[test]
fn methods_in_scope_are_not_found() {
    assert_eq!(lent(hijacked()), "kept");
}
