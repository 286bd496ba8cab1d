//! One level of a block while it is open: manager, resource and frame, and the driver that polls the body.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::Cause;
use crate::frame::Frame;
use crate::manager::{Managed, Payload};

/// A manager, its resource once it is entered, and the frame of its block. Dropped while it is armed, it abandons.
pub struct Scope<M: Managed> {
    manager: Option<M>,
    resource: Option<M::Resource>,
    frame: Frame,
}

impl<M: Managed> Scope<M> {
    pub(crate) fn new(manager: M) -> Self {
        Self {
            manager: Some(manager),
            resource: None,
            frame: Frame::default(),
        }
    }

    /// Awaits the enter, and arms the exit in the very poll in which it succeeds (rule CAN-8).
    pub fn enter(&mut self) -> impl Future<Output = Result<(), M::Error>> {
        let Self {
            manager, resource, ..
        } = self;
        // `manager` is there until the scope is taken apart, and that consumes it.
        let enter = manager.as_mut().map(M::enter);
        async move {
            if let Some(enter) = enter {
                *resource = Some(enter.await?);
            }
            Ok(())
        }
    }

    /// Lends the resource to the body, and the rest to the driver.
    pub fn lend(
        &mut self,
    ) -> (
        &mut M::Resource,
        Parts<'_, M>,
        Interrupt<impl Future<Output = M::Error> + use<M>>,
    ) {
        let Self {
            manager: Some(manager),
            resource: Some(resource),
            frame,
        } = self
        else {
            unreachable!("a block is entered before its body runs")
        };
        let interrupt = match catch_unwind(AssertUnwindSafe(|| manager.interrupt(resource))) {
            Ok(future) => Interrupt::Future { future },
            Err(payload) => Interrupt::Panicked {
                payload: Some(Box::new(payload)),
            },
        };
        (resource, Parts { manager, frame }, interrupt)
    }

    pub(crate) fn manager_and_resource(&mut self) -> Option<(&mut M, &mut M::Resource)> {
        self.manager.as_mut().zip(self.resource.as_mut())
    }

    /// The future of the exit; nothing is owed afterwards but that future.
    pub(crate) fn exit(
        mut self,
        cause: Cause,
    ) -> impl Future<Output = crate::manager::Exited<M::Exit, M::Error>> {
        let (Some(manager), Some(resource)) = (self.manager.take(), self.resource.take()) else {
            unreachable!("a block is entered before it is exited")
        };
        manager.exit(resource, cause, self.frame.take_children())
    }
}

impl<M: Managed> Drop for Scope<M> {
    fn drop(&mut self) {
        if let (Some(manager), Some(resource)) = (self.manager.take(), self.resource.take()) {
            manager.abandon(resource, self.frame.take_children());
        }
    }
}

/// What of a scope the driver uses while the body has the resource.
pub struct Parts<'a, M> {
    manager: &'a mut M,
    frame: &'a mut Frame,
}

pin_project! {
    /// What [`interrupt`](crate::AsyncContextManager::interrupt) returned, or panicked with.
    #[project = InterruptProjection]
    pub enum Interrupt<I> {
        Future { #[pin] future: I },
        // Boxed once more: it is there in every block, and never used.
        Panicked { payload: Option<Box<Payload>> },
    }
}

impl<I: Future> Interrupt<I> {
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Result<Poll<I::Output>, Payload> {
        match self.project() {
            InterruptProjection::Future { future } => {
                catch_unwind(AssertUnwindSafe(|| future.poll(cx)))
            }
            InterruptProjection::Panicked { payload } => match payload.take() {
                Some(payload) => Err(*payload),
                None => Ok(Poll::Pending),
            },
        }
    }
}

/// Says that the body came to its end, and which: the body then waits to be dropped.
pub struct Ended(AtomicU32);

impl Ended {
    const RUNNING: u32 = 0;
    const VALUE: u32 = 1;
    const JUMP: u32 = 2;

    #[allow(clippy::new_without_default, missing_docs)]
    pub const fn new() -> Self {
        Self(AtomicU32::new(Self::RUNNING))
    }

    pub(crate) fn with_value(&self) {
        self.0.store(Self::VALUE, Ordering::Relaxed);
    }

    pub(crate) fn with_jump(&self, jump: u32) {
        self.0.store(Self::JUMP + jump, Ordering::Relaxed);
    }

    /// The jump, if it ended with one.
    pub(crate) fn jump(&self) -> Option<u32> {
        self.0.load(Ordering::Relaxed).checked_sub(Self::JUMP)
    }

    fn is_running(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Self::RUNNING
    }
}

/// How the driver stopped, and what panicked while it then dropped the body.
pub struct Stopped<R, E> {
    pub(crate) how: How<R, E>,
    pub(crate) late: Option<Payload>,
}

pub(crate) enum How<R, E> {
    /// The body came to its end, and left a value or a jump in the slot.
    Ended,
    /// `return` or `?`.
    Left(R),
    Interrupted(E),
    Panicked(Payload),
}

/// Polls the body, with the block's frame as the current one and the manager's guard held.
pub fn drive<'a, M, I, F>(
    parts: Parts<'a, M>,
    interrupt: Interrupt<I>,
    ended: &'a Ended,
    body: F,
) -> Drive<'a, M, I, F>
where
    M: Managed,
    I: Future<Output = M::Error>,
    F: Future,
{
    Drive {
        parts,
        ended,
        interrupt,
        body: Some(body),
    }
}

pin_project! {
    /// The future of [`drive`].
    pub struct Drive<'a, M: Managed, I, F> {
        parts: Parts<'a, M>,
        ended: &'a Ended,
        #[pin]
        interrupt: Interrupt<I>,
        #[pin]
        body: Option<F>,
    }

    impl<M: Managed, I, F> PinnedDrop for Drive<'_, M, I, F> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let Some(payload) = drop_body(this.parts, this.body) {
                let incident = crate::report::Incident::panic(payload);
                crate::manager::report_of::<M>(crate::report::Phase::Body, Cause::Dropped, incident);
            }
        }
    }
}

impl<M, I, F> Future for Drive<'_, M, I, F>
where
    M: Managed,
    I: Future<Output = M::Error>,
    F: Future,
{
    type Output = Stopped<F::Output, M::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(body) = this.body.as_mut().as_pin_mut() else {
            return Poll::Pending;
        };
        let polled = {
            let Parts { manager, frame } = &mut *this.parts;
            let _inside = frame.enter();
            catch_unwind(AssertUnwindSafe(|| {
                let _guard = manager.around_poll();
                body.poll(cx)
            }))
        };
        let how = match polled {
            Ok(Poll::Ready(left)) => How::Left(left),
            Ok(Poll::Pending) if !this.ended.is_running() => How::Ended,
            Ok(Poll::Pending) => match this.interrupt.poll(cx) {
                Ok(Poll::Pending) => return Poll::Pending,
                Ok(Poll::Ready(error)) => How::Interrupted(error),
                Err(payload) => How::Panicked(payload),
            },
            Err(payload) => How::Panicked(payload),
        };
        let late = drop_body(this.parts, this.body);
        Poll::Ready(Stopped { how, late })
    }
}

/// Drops the body as it was polled: in its frame, and with the guard. Returns what panicked.
fn drop_body<M: Managed, F>(
    parts: &mut Parts<'_, M>,
    mut body: Pin<&mut Option<F>>,
) -> Option<Payload> {
    if body.is_none() {
        return None;
    }
    let Parts { manager, frame } = parts;
    let _inside = frame.enter();
    let dropped = catch_unwind(AssertUnwindSafe(|| {
        let _guard = manager.around_poll();
        body.set(None);
    }));
    // It is still there when the guard could not be made.
    let rest = catch_unwind(AssertUnwindSafe(|| body.set(None)));
    dropped.and(rest).err()
}
