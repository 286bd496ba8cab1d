//! Code that runs besides.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::adaptor;
use super::give_up::give_up;
use crate::Cause;
use crate::report::Phase;
use crate::slot::Slot;

/// The manager of [`on_enter`](crate::AsyncContextManagerExt::on_enter).
pub struct OnEnter<M, F> {
    manager: Slot<M>,
    hook: Slot<F>,
}

impl<M, F> OnEnter<M, F> {
    pub(super) fn new(manager: M, hook: F) -> Self {
        Self {
            manager: Slot::new(manager),
            hook: Slot::new(hook),
        }
    }
}

adaptor! {
    impl<M, F[FnOnce(&mut M::Resource)]> for OnEnter<M, F> {
        forward Resource, Error, Exit, inspect, interrupt, around_poll, name;

        async fn enter(&mut self) -> Result<M::Resource, M::Error> {
            let mut resource = self.manager.enter().await?;
            let hook = self.hook.take();
            match catch_unwind(AssertUnwindSafe(|| hook(&mut resource))) {
                Ok(()) => Ok(resource),
                Err(payload) => give_up(Kind(self.manager.take()), resource, Phase::Enter, payload).await,
            }
        }

        async fn exit(mut self, resource: M::Resource, cause: Cause) -> Result<M::Exit, M::Error> {
            self.manager.take().exit(resource, cause).await
        }
    }
    scoped {
        fn abandon(mut self, resource: M::Resource) {
            self.manager.take().abandon(resource);
        }
    }
}

/// The manager of [`on_exit`](crate::AsyncContextManagerExt::on_exit).
pub struct OnExit<M, F> {
    manager: M,
    hook: F,
}

impl<M, F> OnExit<M, F> {
    pub(super) fn new(manager: M, hook: F) -> Self {
        Self { manager, hook }
    }
}

adaptor! {
    impl<M, F[FnOnce(&mut M::Resource, Cause)]> for OnExit<M, F> {
        forward Resource, Error, Exit, enter, inspect, interrupt, around_poll, name;

        async fn exit(self, mut resource: M::Resource, cause: Cause) -> Result<M::Exit, M::Error> {
            let Self { manager, hook } = self;
            match catch_unwind(AssertUnwindSafe(|| hook(&mut resource, cause))) {
                Ok(()) => manager.exit(resource, cause).await,
                Err(payload) => give_up(Kind(manager), resource, Phase::Exit, payload).await,
            }
        }
    }
    scoped {
        fn abandon(self, mut resource: M::Resource) {
            let hook = AssertUnwindSafe(|| (self.hook)(&mut resource, Cause::Dropped));
            let hooked = catch_unwind(hook);
            self.manager.abandon(resource);
            if let Err(payload) = hooked {
                resume_unwind(payload);
            }
        }
    }
}
