//! A value that leaves a manager before the manager is gone.

use std::ops::{Deref, DerefMut};

/// A value that is there until it is taken: `enter` and `exit` each run once, which `enter(&mut self)` does not say.
pub(crate) struct Slot<T>(Option<T>);

impl<T> Slot<T> {
    pub(crate) const EMPTY: Self = Self(None);

    pub(crate) fn new(value: T) -> Self {
        Self(Some(value))
    }

    pub(crate) fn put(&mut self, value: T) {
        self.0 = Some(value);
    }

    #[track_caller]
    pub(crate) fn take(&mut self) -> T {
        there(self.0.take())
    }
}

impl<T> Deref for Slot<T> {
    type Target = T;

    #[track_caller]
    fn deref(&self) -> &T {
        there(self.0.as_ref())
    }
}

impl<T> DerefMut for Slot<T> {
    #[track_caller]
    fn deref_mut(&mut self) -> &mut T {
        there(self.0.as_mut())
    }
}

#[track_caller]
fn there<T>(value: Option<T>) -> T {
    value.expect("a manager is entered once, and exited after that")
}
