//! Exits that go on without their block, because the future that held it was dropped.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};

use crate::Cause;
use crate::executor::Runtime;
use crate::frame::{self, Children, Frame, Ticket};
use crate::registry::{self, Owed};
use crate::report::{self, Collector, Entry, Incident, Phase};

pub(crate) type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs clean-up on the runtime. The block that encloses the running code waits for it before its own exit.
///
/// `owed` is the block's entry, and has the runtime for when the running code is in none.
pub(crate) fn detach_exit(
    manager: &'static str,
    cause: Cause,
    owed: Option<Owed>,
    cleanup: impl Future<Output = ()> + Send + 'static,
) {
    let before = frame::before();
    let block = before
        .as_ref()
        .and_then(|before| before.place)
        .or_else(frame::enclosing);
    let owed = owed.unwrap_or_else(|| Owed::by_detach(manager, block));
    let runtime = registry::current_runtime_or(owed.place());
    owed.detached_on(&runtime);
    let sentinel = Sentinel {
        manager,
        cause,
        collector: report::current(),
        armed: true,
    };
    let job: Job = match before.and_then(|before| before.children) {
        None => Box::pin(cleanup),
        Some(children) => Box::pin(async move {
            children.wait().await;
            cleanup.await;
        }),
    };
    #[cfg(feature = "tracing")]
    let span = registry::span_of(owed.place());
    let detached = Detached {
        job: Some(job),
        frame: Frame::detached(owed),
        sentinel,
        _ticket: frame::ticket(),
    };
    #[cfg(feature = "tracing")]
    let detached = tracing::Instrument::instrument(detached, span);
    spawn(&runtime, Box::pin(detached));
}

/// Runs clean-up of your own as a detached exit runs: on the runtime, in order, and waited for (rules CAN-3, CAN-4).
///
/// It is for a manager that borrows, and still wants to clean up asynchronously when its block is dropped: its
/// [`abandon`](crate::ScopedAsyncContextManager::abandon) hands an owned piece to this function. The clean-up starts
/// when the exits that were detached inside of the manager's block are done; the block that encloses it waits for the
/// clean-up before its own exit; and [`drain`](crate::drain()) waits for it. Called from anywhere else, it belongs to
/// the block that encloses the call. `name` stands for it in reports and in [`pending_exits`](crate::pending_exits).
///
/// When there is no runtime to run it, or the runtime shuts down before it is finished, that is
/// [reported](crate::report). A panic in it is reported too.
///
/// ```
/// use async_with::{Cause, ScopedAsyncContextManager, async_with, detach, drain};
/// # use std::convert::Infallible;
/// # use std::sync::{Arc, PoisonError, RwLock};
/// # use std::sync::atomic::{AtomicU32, Ordering};
/// # #[derive(Clone, Default)]
/// # struct Session(Arc<AtomicU32>);
/// # impl Session {
/// #     async fn close(self) {
/// #         tokio::task::yield_now().await;
/// #         self.0.fetch_add(1, Ordering::SeqCst);
/// #     }
/// # }
///
/// /// Uses a buffer of the caller's; its session is closed, however the block ends.
/// struct Upload<'a> {
///     buffer: &'a mut Vec<u8>,
///     session: Session,
/// }
///
/// impl ScopedAsyncContextManager for Upload<'_> {
///     type Resource = ();
///     type Error = Infallible;
///     type Exit = ();
///
///     async fn enter(&mut self) -> Result<(), Infallible> {
///         self.buffer.clear();
///         Ok(())
///     }
///
///     async fn exit(self, (): (), _cause: Cause) -> Result<(), Infallible> {
///         self.session.close().await;
///         Ok(())
///     }
///
///     fn abandon(self, (): ()) {
///         // The buffer is borrowed and stays behind; the session is owned.
///         detach("upload session", self.session.close());
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # let session = Session::default();
/// let mut buffer = Vec::new();
/// let upload = async {
///     async_with! { Upload { buffer: &mut buffer, session: session.clone() } => {
///         std::future::pending::<()>().await;
///     }}
/// };
/// tokio::select! {
///     biased;
///     () = upload => {}
///     () = tokio::task::yield_now() => {}
/// }
/// drain().await;
/// # assert_eq!(session.0.load(Ordering::SeqCst), 1);
/// # }
/// ```
pub fn detach(name: &'static str, cleanup: impl Future<Output = ()> + Send + 'static) {
    detach_exit(name, Cause::Dropped, None, cleanup);
}

/// A spawner for runtimes other than tokio.
type Spawner = Arc<dyn Fn(Job) + Send + Sync>;
static SPAWNER: RwLock<Option<Spawner>> = RwLock::new(None);

/// Installs what runs detached exits where there is no tokio runtime: on another executor, or with the feature `tokio`
/// off. The last one installed counts.
///
/// Everything works the same there, but for telling tasks apart: a block in another task that is polled inside a body
/// counts as enclosed by it (rule CAN-4), because only tokio says which task is running. And
/// [`drain`](crate::drain()) waits for all blocks of the process that were opened outside of tokio.
///
/// ```
/// # struct Executor;
/// # impl Executor {
/// #     fn spawn(&self, _: impl Future<Output = ()> + Send + 'static) -> Executor { Executor }
/// #     fn detach(self) {}
/// # }
/// # let executor = Executor;
/// async_with::set_spawner(move |cleanup| executor.spawn(cleanup).detach());
/// ```
pub fn set_spawner(
    spawner: impl Fn(Pin<Box<dyn Future<Output = ()> + Send>>) + Send + Sync + 'static,
) {
    let mut installed = SPAWNER.write().unwrap_or_else(PoisonError::into_inner);
    let before = installed.replace(Arc::new(spawner));
    drop(installed);
    drop(before);
}

/// What takes the jobs of this thread, in place of a runtime.
#[cfg(feature = "testing")]
pub(crate) mod local {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::Job;

    type Spawner = Rc<dyn Fn(Job)>;

    thread_local! {
        static SPAWNER: RefCell<Option<Spawner>> = const { RefCell::new(None) };
    }

    /// Runs `f`, and hands what it detaches to the spawner.
    pub(crate) fn within<T>(spawner: Spawner, f: impl FnOnce() -> T) -> T {
        struct Restore(Option<Spawner>);
        impl Drop for Restore {
            fn drop(&mut self) {
                let outer = self.0.take();
                let _ = SPAWNER.try_with(|spawner| spawner.replace(outer));
            }
        }
        let outer = SPAWNER.try_with(|current| current.replace(Some(spawner)));
        let _restore = Restore(outer.unwrap_or_default());
        f()
    }

    /// Hands the job over, or gives it back where there is no spawner.
    pub(super) fn spawn(job: Job) -> Option<Job> {
        let spawner = SPAWNER.try_with(|spawner| spawner.borrow().clone());
        match spawner.unwrap_or_default() {
            Some(spawner) => {
                spawner(job);
                None
            }
            None => Some(job),
        }
    }
}

/// Hands the job to a runtime. What cannot be spawned is dropped, and its sentinel reports it.
fn spawn(runtime: &Runtime, job: Job) {
    #[cfg(feature = "testing")]
    let Some(job) = local::spawn(job) else {
        return;
    };
    let Some(job) = runtime.spawn(job) else {
        return;
    };
    // Called without the lock: it may run the job at once, which may detach more, or install another spawner.
    let spawner = SPAWNER
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    if let Some(spawner) = spawner {
        // A spawner that panics drops the job, which is reported.
        let _ = catch_unwind(AssertUnwindSafe(|| spawner(job)));
    }
}

/// A detached exit. It is polled in a frame of its own, whose children it waits for.
struct Detached {
    // Dropped in this order: what an unfinished exit leaves behind is reported before anybody stops waiting for it.
    job: Option<Job>,
    frame: Frame,
    sentinel: Sentinel,
    _ticket: Option<Ticket>,
}

impl Future for Detached {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self {
            job,
            frame,
            sentinel,
            ..
        } = &mut *self;
        while let Some(mut running) = job.take() {
            let ended = {
                let _inside = frame.enter();
                report::within(sentinel.collector.clone(), || {
                    match catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(cx))) {
                        Ok(Poll::Pending) => Err(running),
                        // What it still holds is dropped in its frame, too.
                        polled => Ok([polled.err(), drop_caught(running).err()]),
                    }
                })
            };
            let panics = match ended {
                Ok(panics) => panics,
                Err(running) => {
                    *job = Some(running);
                    return Poll::Pending;
                }
            };
            for payload in panics.into_iter().flatten() {
                sentinel.report(Incident::panic(payload));
            }
            *job = frame
                .take_children()
                .map(|children| -> Job { Box::pin(wait(children)) });
            sentinel.armed = job.is_some();
        }
        Poll::Ready(())
    }
}

async fn wait(children: Arc<Children>) {
    children.wait().await;
}

impl Drop for Detached {
    fn drop(&mut self) {
        let job = self.job.take();
        let _inside = self.frame.enter();
        let mut dropped = Ok(());
        let by_parts = report::within(self.sentinel.collector.clone(), || {
            report::cutting_off(self.sentinel.cause, || dropped = drop_caught(job))
        });
        self.sentinel.armed &= !by_parts;
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
