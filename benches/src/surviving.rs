//! Blocks of `AsyncContextManager`s.

use std::hint::black_box;
use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;

use async_with::{AsyncContextManager, Cause, async_with};
use futures::FutureExt as _;

use crate::guard::{Guard, cause, pass_on};
use crate::{Failure, Form, Pace, Visitor, check};

/// A manager that does next to nothing. Its exit survives cancellation.
struct Surviving<P>(u64, PhantomData<fn() -> P>);

impl<P> Surviving<P> {
    fn new(number: u64) -> Self {
        Self(number, PhantomData)
    }
}

impl<P: Pace> AsyncContextManager for Surviving<P> {
    type Resource = u64;
    type Error = Failure;
    type Exit = ();

    async fn enter(&mut self) -> Result<u64, Failure> {
        P::step().await;
        check(self.0)
    }

    async fn exit(self, resource: u64, cause: Cause) -> Result<(), Failure> {
        P::step().await;
        black_box(cause);
        check(resource)?;
        Ok(())
    }
}

macro_rules! guarded {
    ($body:block) => { $body };
    ($body:block $resource:ident = $manager:expr, $($rest:tt)*) => {{
        let mut manager = $manager;
        let resource = manager.enter().await?;
        let mut guard = Guard::new(manager, resource);
        let body = async {
            let $resource = guard.resource();
            guarded!($body $($rest)*)
        };
        let ended = AssertUnwindSafe(body).catch_unwind().await;
        let exited = guard.exit(cause(&ended)).await;
        pass_on(ended, exited)
    }};
}

blocks!(Surviving);
