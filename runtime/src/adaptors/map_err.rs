//! Another error.

use std::fmt::Debug;
use std::future::Future;

use super::adaptor;
use super::interruption::Converted;
use crate::Cause;

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

        fn interrupt(&self, resource: &M::Resource) -> impl Future<Output = E> + use<M, E, F> {
            Converted {
                interrupt: self.manager.interrupt(resource),
                convert: self.f.clone(),
            }
        }
    }
}
