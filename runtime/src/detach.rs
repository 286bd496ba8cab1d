//! Exits that go on without their block, because the future that held it was dropped.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::Cause;
use crate::frame::{self, Children, Frame, Ticket};
use crate::report::{self, Collector, Entry, Incident, Phase};

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs clean-up on the runtime. The block that encloses the running code waits for it before its own exit.
pub(crate) fn detach(
    manager: &'static str,
    cause: Cause,
    cleanup: impl Future<Output = ()> + Send + 'static,
) {
    let ticket = frame::ticket();
    let collector = report::current();
    let sentinel = Sentinel {
        manager,
        cause,
        collector,
        armed: true,
    };
    let detached = Detached {
        state: State::Running(Box::pin(cleanup)),
        frame: Frame::default(),
        sentinel,
        _ticket: ticket,
    };
    #[cfg(feature = "tracing")]
    let detached = tracing::Instrument::in_current_span(detached);
    spawn(Box::pin(detached));
}

/// Hands the job to a runtime. What cannot be spawned is dropped, and its sentinel reports it.
fn spawn(job: Job) {
    #[cfg(feature = "tokio")]
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(job);
        return;
    }
    drop(job);
}

/// A detached exit. It is polled in a frame of its own, whose children it waits for.
struct Detached {
    // Dropped in this order: what an unfinished exit leaves behind is reported before anybody stops waiting for it.
    state: State,
    frame: Frame,
    sentinel: Sentinel,
    _ticket: Option<Ticket>,
}

enum State {
    Running(Job),
    Waiting(Job),
    Done,
}

impl Future for Detached {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self {
            state,
            frame,
            sentinel,
            ..
        } = &mut *self;
        loop {
            let (State::Running(job) | State::Waiting(job)) = state else {
                return Poll::Ready(());
            };
            let polled = {
                let _inside = frame.enter();
                let poll = || catch_unwind(AssertUnwindSafe(|| job.as_mut().poll(cx)));
                report::within(sentinel.collector.clone(), poll)
            };
            match polled {
                Ok(Poll::Pending) => return Poll::Pending,
                Ok(Poll::Ready(())) => {}
                Err(payload) => sentinel.report(Incident::panic(payload)),
            }
            let running = matches!(state, State::Running(_));
            *state = match frame.take_children() {
                Some(children) if running => State::Waiting(Box::pin(wait(children))),
                _ => State::Done,
            };
            if let State::Done = state {
                sentinel.armed = false;
            }
        }
    }
}

async fn wait(children: Arc<Children>) {
    children.wait().await;
}

impl Drop for Detached {
    fn drop(&mut self) {
        let job = std::mem::replace(&mut self.state, State::Done);
        let _inside = self.frame.enter();
        let dropped = report::within(self.sentinel.collector.clone(), || drop_caught(job));
        if let Err(payload) = dropped {
            self.sentinel.report(Incident::panic(payload));
        }
    }
}

/// Drops a value, and catches the panic if that panics.
pub(crate) fn drop_caught<T>(value: T) -> Result<(), Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(|| drop(value)))
}

/// Notices that a detached exit is dropped before it has finished: a runtime that shuts down does that without a word.
struct Sentinel {
    manager: &'static str,
    cause: Cause,
    collector: Option<Arc<Collector>>,
    armed: bool,
}

impl Sentinel {
    fn report(&self, incident: Incident) {
        let Self { manager, cause, .. } = *self;
        let entry = Entry {
            manager,
            phase: Phase::Exit,
            cause,
            incident,
        };
        report::within(self.collector.clone(), || report::report(entry));
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        if self.armed {
            self.report(Incident::Unfinished);
        }
    }
}
