//! Another resource.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::adaptor;
use super::give_up::give_up;
use crate::nest::drop_caught;
use crate::report::Phase;
use crate::slot::Slot;
use crate::{Cause, Interruption, Raised};

/// The manager of [`map`](crate::AsyncContextManagerExt::map).
pub struct Map<M, R, F> {
    manager: Slot<M>,
    /// Here from the enter to the exit.
    resource: Slot<R>,
    f: Slot<F>,
}

impl<M, R, F> Map<M, R, F> {
    pub(super) fn new(manager: M, f: F) -> Self {
        Self {
            manager: Slot::new(manager),
            resource: Slot::EMPTY,
            f: Slot::new(f),
        }
    }
}

adaptor! {
    impl<M(Resource = R), R, T, F[FnOnce(&mut R) -> T]> for Map<M, R, F> {
        forward Error, Exit, around_poll, name;

        type Resource = T;

        async fn enter(&mut self) -> Result<T, M::Error> {
            let mut resource = self.manager.enter().await?;
            let f = self.f.take();
            match catch_unwind(AssertUnwindSafe(|| f(&mut resource))) {
                Ok(mapped) => {
                    self.resource.put(resource);
                    Ok(mapped)
                }
                Err(payload) => give_up(Kind(self.manager.take()), resource, Phase::Enter, payload).await,
            }
        }

        async fn exit(mut self, mapped: T, cause: Cause) -> Result<M::Exit, M::Error> {
            let (manager, resource) = (self.manager.take(), self.resource.take());
            match drop_caught(mapped) {
                Ok(()) => manager.exit(resource, cause).await,
                Err(payload) => give_up(Kind(manager), resource, Phase::Exit, payload).await,
            }
        }

        fn inspect(&mut self, _: &mut T, raised: Raised<'_>) {
            self.manager.inspect(&mut self.resource, raised);
        }

        fn interrupt(&self, _: &T) -> impl Interruption<M::Error> + use<M, R, T, F> {
            self.manager.interrupt(&self.resource)
        }
    }
    scoped {
        fn abandon(mut self, mapped: T) {
            let dropped = drop_caught(mapped);
            self.manager.take().abandon(self.resource.take());
            if let Err(payload) = dropped {
                resume_unwind(payload);
            }
        }
    }
}
