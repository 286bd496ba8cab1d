//! Another error.

use std::fmt::Debug;

use super::adaptor;
use crate::interruption::Converted;
use crate::{Cause, Interruption};

/// The manager of [`map_err`](crate::AsyncContextManagerExt::map_err).
pub struct MapErr<M, F> {
    manager: M,
    f: F,
}

impl<M, F> MapErr<M, F> {
    pub(super) fn new(manager: M, f: F) -> Self {
        Self { manager, f }
    }
}

adaptor! {
    impl<M, E[Debug + 'static], F[Fn(M::Error) -> E + Clone]> for MapErr<M, F> {
        forward Resource, Exit, inspect, around_poll, name;

        type Error = E;

        async fn enter(&mut self) -> Result<M::Resource, E> {
            self.manager.enter().await.map_err(&self.f)
        }

        async fn exit(self, resource: M::Resource, cause: Cause) -> Result<M::Exit, E> {
            self.manager.exit(resource, cause).await.map_err(self.f)
        }

        fn interrupt(&self, resource: &M::Resource) -> impl Interruption<E> + use<M, E, F> {
            Converted::new(self.manager.interrupt(resource), self.f.clone())
        }
    }
}
