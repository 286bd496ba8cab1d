//! Managers that only these tests need.

use std::convert::Infallible;

use async_with::{Cause, ScopedAsyncContextManager};

/// Lends a value, and does nothing else.
pub(crate) struct Lend<T>(Option<T>);

pub(crate) fn lend<T>(value: T) -> Lend<T> {
    Lend(Some(value))
}

impl<T> ScopedAsyncContextManager for Lend<T> {
    type Resource = T;
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<T, Infallible> {
        Ok(self.0.take().expect("a manager is entered once"))
    }

    async fn exit(self, _: T, _: Cause) -> Result<(), Infallible> {
        Ok(())
    }
}
