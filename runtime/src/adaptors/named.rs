//! Another name.

use super::adaptor;

/// The manager of [`named`](crate::AsyncContextManagerExt::named).
pub struct Named<M> {
    manager: M,
    name: &'static str,
}

impl<M> Named<M> {
    pub(super) fn new(manager: M, name: &'static str) -> Self {
        Self { manager, name }
    }
}

adaptor! {
    impl<M> for Named<M> {
        forward Resource, Error, Exit, enter, exit, inspect, interrupt, around_poll;

        fn name(&self) -> &'static str {
            self.name
        }
    }
}
