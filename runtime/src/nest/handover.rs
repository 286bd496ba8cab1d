//! Exits that go on without their block, because the future that held it was dropped.

use std::any::Any;
use std::cell::Cell;
use std::future::Future;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::task::{Context, Poll};

use super::children::{Children, Ticket, ticket};
use super::slot::{AROUND, DETACHED, EXITING, HAS_RUNTIME, HIDDEN};
use super::{Level, Place, current, enclosing, move_to};
use crate::Cause;
use crate::executor::{Job, Runtime};
use crate::report::{self, Collector, Entry, Incident, Phase};

/// A block that is abandoned.
#[derive(Clone)]
struct Abandoned {
    /// What was detached inside of it.
    children: Option<Arc<Children>>,
    place: Option<Place>,
    /// The runtime that is current around it.
    runtime: u64,
}

thread_local! {
    /// What the clean-up that is handed over by an `abandon` comes after.
    static ABANDONED: Cell<Option<Abandoned>> = const { Cell::new(None) };
}

/// Runs an `abandon`: what it detaches waits for the children of its block.
pub(crate) fn abandoning<T>(
    children: Option<Arc<Children>>,
    place: Option<Place>,
    run: impl FnOnce() -> T,
) -> T {
    struct Restore(Option<Abandoned>);
    impl Drop for Restore {
        fn drop(&mut self) {
            let outer = self.0.take();
            let _ = ABANDONED.try_with(|abandoned| abandoned.set(outer));
        }
    }
    let block = Abandoned {
        children,
        place,
        runtime: Runtime::current().id(),
    };
    let outer = ABANDONED.try_with(|abandoned| abandoned.replace(Some(block)));
    let _restore = Restore(outer.unwrap_or_default());
    run()
}

fn abandoned() -> Option<Abandoned> {
    let clone = |abandoned: &Cell<Option<Abandoned>>| {
        let block = abandoned.take();
        abandoned.set(block.clone());
        block
    };
    ABANDONED.try_with(clone).unwrap_or_default()
}

impl Level {
    /// A level for clean-up that was none before.
    ///
    /// It belongs to the runtime of the block; unless who hands it over is on another one, and knows so.
    fn of_clean_up(name: &'static str, abandoned: Option<&Abandoned>) -> Self {
        let level = Self::armed(name);
        let slot = level.0;
        let block = abandoned.map_or_else(enclosing, |abandoned| abandoned.place);
        let block = block.and_then(Place::open);
        let around = abandoned.map_or(0, |abandoned| abandoned.runtime);
        let current = Runtime::current();
        let is_block_s = current.id() == around;
        match block {
            Some(block) if is_block_s => {
                let runtime = Level::runtime_of(block.place());
                slot.runtime.store(block.runtime.load(Relaxed), Relaxed);
                slot.change(|cold| cold.runtime = runtime);
            }
            _ => {
                slot.runtime.store(current.id(), Relaxed);
                slot.change(|cold| cold.runtime = current);
            }
        }
        // Where it is handed over; after an abort, that is in no span.
        #[cfg(feature = "tracing")]
        if tracing::Span::current().is_none()
            && let Some(span) = block.and_then(|block| block.seldom(|cold| cold.span.clone()))
        {
            slot.change(|cold| cold.span = Some(span));
        }
        level
    }

    /// The exit goes on without its block, inside of what that is dropped in. Returns its own runtime and the current one.
    fn hand_over(&self) -> [Runtime; 2] {
        let Self(slot) = self;
        let runtimes = [Level::runtime_of(self.place()), Runtime::current()];
        self.end_membership();
        // What it is dropped with finds it there.
        if let Some(body) = current(super::Current::body)
            && !body.has(HAS_RUNTIME)
            && body.runtime.load(Relaxed) == runtimes[0].id()
            && runtimes[0].is_known()
        {
            let runtime = runtimes[0].clone();
            body.set(HAS_RUNTIME, true);
            body.change(|cold| cold.runtime = runtime);
        }
        slot.set(AROUND | HIDDEN, false);
        slot.set_under(enclosing());
        slot.set(DETACHED | EXITING, true);
        self.waits();
        if let Some(runtime) = runtimes.iter().find(|runtime| runtime.is_known()) {
            move_to(slot, runtime.id());
        }
        runtimes
    }
}

/// Runs clean-up on the runtime. The block that encloses the running code waits for it before its own exit.
///
/// `level` is the block's, and has the runtime.
pub(crate) fn detach_exit(
    manager: &'static str,
    cause: Cause,
    level: Option<Level>,
    cleanup: impl Future<Output = ()> + Send + 'static,
) {
    let abandoned = abandoned();
    let block = abandoned.as_ref().and_then(|abandoned| abandoned.place);
    let level = level.unwrap_or_else(|| Level::of_clean_up(manager, abandoned.as_ref()));
    let runtimes = level.hand_over();
    let ticket = ticket(
        block.unwrap_or(level.place()),
        level.0.runtime.load(Relaxed),
    );
    if let Some(ticket) = &ticket {
        let set = Arc::clone(ticket.children());
        level.0.change(|cold| cold.waited_for_in = Some(set));
    }
    let sentinel = Sentinel {
        manager,
        cause,
        collector: report::current(),
        armed: true,
    };
    let job: Job = match abandoned.and_then(|abandoned| abandoned.children) {
        None => Box::pin(cleanup),
        Some(children) => Box::pin(async move {
            children.wait().await;
            cleanup.await;
        }),
    };
    #[cfg(feature = "tracing")]
    let span = level
        .0
        .seldom(|cold| cold.span.clone())
        .unwrap_or_else(tracing::Span::none);
    let detached = Detached {
        job: Some(job),
        level,
        sentinel,
        _ticket: ticket,
    };
    #[cfg(feature = "tracing")]
    let detached = tracing::Instrument::instrument(detached, span);
    spawn(runtimes, Box::pin(detached));
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
/// # use std::sync::{Arc, Mutex, PoisonError, RwLock};
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

/// Hands the job to the first of these runtimes that takes it. What nobody takes is dropped, and its sentinel reports it.
fn spawn(runtimes: [Runtime; 2], job: Job) {
    #[cfg(feature = "testing")]
    let Some(job) = local::spawn(job) else {
        return;
    };
    let mut job = job;
    for runtime in runtimes {
        match Carrier::spawn(job, &runtime) {
            None => return,
            Some(back) => job = back,
        }
    }
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

/// Takes a job to a runtime. One that is shut down drops what is spawned, and does not say so.
struct Carrier {
    job: Option<Job>,
    refused: Arc<Mutex<Refused>>,
}

enum Refused {
    NotYet,
    Job(Job),
    /// It was taken: what is dropped from now on is lost.
    Never,
}

impl Carrier {
    /// Gives the job back where it was not taken.
    fn spawn(job: Job, runtime: &Runtime) -> Option<Job> {
        if !runtime.is_known() {
            return Some(job);
        }
        let refused = Arc::new(Mutex::new(Refused::NotYet));
        let carrier = Self {
            job: Some(job),
            refused: Arc::clone(&refused),
        };
        runtime.spawn(Box::pin(carrier));
        let mut refused = refused.lock().unwrap_or_else(PoisonError::into_inner);
        match mem::replace(&mut *refused, Refused::Never) {
            Refused::Job(job) => Some(job),
            _ => None,
        }
    }
}

impl Future for Carrier {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.job {
            Some(job) => {
                let polled = job.as_mut().poll(cx);
                if polled.is_ready() {
                    self.job = None;
                }
                polled
            }
            None => Poll::Ready(()),
        }
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        let Some(job) = self.job.take() else { return };
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if let Refused::NotYet = *refused {
            *refused = Refused::Job(job);
        } else {
            drop(refused);
            drop(job);
        }
    }
}

/// A detached exit. Its level is the current one while it is polled, and it waits for what is detached in that.
struct Detached {
    // Dropped in this order: what an unfinished exit leaves behind is reported before anybody stops waiting for it.
    job: Option<Job>,
    level: Level,
    sentinel: Sentinel,
    _ticket: Option<Ticket>,
}

impl Future for Detached {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self {
            job,
            level,
            sentinel,
            ..
        } = &mut *self;
        while let Some(mut running) = job.take() {
            let ended = {
                let _inside = level.enter(Some(cx));
                report::within(sentinel.collector.clone(), || {
                    match catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(cx))) {
                        Ok(Poll::Pending) => Err(running),
                        // What it still holds is dropped in its level, too.
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
            *job = level
                .take_children()
                .map(|children| -> Job { Box::pin(wait(children)) });
            sentinel.armed &= job.is_some();
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
        let _inside = self.level.enter(None);
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
