//! Where errors go that cannot be raised: none is lost (rules ERR-3 to ERR-5).
//!
//! A block raises at most one error or panic. Another one, from an exit that ran because of the first, or from an exit
//! that runs detached after a drop, is *reported*: handed to the [`collect`] call that surrounds the block, else to the
//! [sink](set_sink) of the program, else logged (with the feature `tracing` and a subscriber as an event of level error,
//! else as one line on standard error). What was raised, what was reported and what a manager suppressed is together
//! exactly what happened.
//!
//! The flat, ordered list follows Java's `Throwable.getSuppressed`; that the first error stays the one that is raised
//! does too.

use std::any::Any;
use std::cell::Cell;
use std::fmt::{self, Debug, Display, Formatter};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;

use crate::Cause;
use crate::sync::{Mutex, MutexGuard, thread_local};

#[cfg(feature = "tokio")]
pub use crate::limits::set_slow_exit;

/// One thing that went wrong and was not raised.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The manager's [name](crate::AsyncContextManager::name).
    pub manager: &'static str,
    /// What ran.
    pub phase: Phase,
    /// How the body of the manager's block had ended.
    pub cause: Cause,
    /// What happened.
    pub incident: Incident,
}

/// What ran when something went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// The body: its failure was pending when a panic took its place.
    Body,
    /// [`enter`](crate::AsyncContextManager::enter), which went on after its block was dropped, or whose panic was
    /// not resumed for that: see [`finish_enter`](crate::AsyncContextManagerExt::finish_enter).
    Enter,
    /// [`exit`](crate::AsyncContextManager::exit).
    Exit,
    /// [`inspect`](crate::AsyncContextManager::inspect).
    Inspect,
    /// [`interrupt`](crate::AsyncContextManager::interrupt).
    Interrupt,
    /// [`abandon`](crate::ScopedAsyncContextManager::abandon).
    Abandon,
}

impl Display for Phase {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Body => "body",
            Phase::Enter => "enter",
            Phase::Exit => "exit",
            Phase::Inspect => "inspect",
            Phase::Interrupt => "interrupt",
            Phase::Abandon => "abandon",
        })
    }
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Incident {
    /// It returned an error.
    #[non_exhaustive]
    Error {
        /// The type of the error.
        type_name: &'static str,
        /// The error, as its `Debug` shows it.
        debug: String,
    },
    /// It panicked, with this message (empty when the payload was not a string).
    Panicked(String),
    /// It was dropped before it finished, or could not be started: there is no runtime, or it was shut down, or the
    /// exit of a scoped manager was dropped.
    Unfinished,
    /// It has been running for so long, and still is.
    #[cfg_attr(feature = "tokio", doc = "See [`set_slow_exit`].")]
    StillRunning(Duration),
    /// It was given up after so long.
    #[cfg_attr(
        feature = "tokio",
        doc = "See [`exit_within`](crate::exit_within) and [`set_exit_deadline`](crate::set_exit_deadline)."
    )]
    TimedOut(Duration),
}

thread_local! {
    /// The clean-up that is being cut off on this thread.
    static CUT_OFF: Cell<Option<CutOff>> = const { Cell::new(None) };
}

#[derive(Clone, Copy)]
struct CutOff {
    cause: Cause,
    /// A part of it was reported by its own name.
    by_parts: bool,
}

/// Drops clean-up that was not finished, and says whether parts of it were reported by their own names.
pub(crate) fn cutting_off(cause: Cause, drop: impl FnOnce()) -> bool {
    let cut_off = CutOff {
        cause,
        by_parts: false,
    };
    let Ok(outer) = CUT_OFF.try_with(|current| current.replace(Some(cut_off))) else {
        drop();
        return false;
    };
    drop();
    let inner = CUT_OFF.try_with(|current| current.replace(outer));
    inner.ok().flatten().is_some_and(|cut_off| cut_off.by_parts)
}

/// Reports a part of the clean-up that is being cut off, if one is.
pub(crate) fn cut_off(manager: &'static str) {
    let Some(CutOff { cause, .. }) = CUT_OFF.try_with(Cell::get).ok().flatten() else {
        return;
    };
    report(Entry {
        manager,
        phase: Phase::Exit,
        cause,
        incident: Incident::Unfinished,
    });
    let by_parts = true;
    let _ = CUT_OFF.try_with(|current| current.set(Some(CutOff { cause, by_parts })));
}

impl Incident {
    pub(crate) fn error<E: Debug>(error: &E) -> Self {
        Self::named_error(std::any::type_name::<E>(), error)
    }

    pub(crate) fn named_error(type_name: &'static str, error: &dyn Debug) -> Self {
        // A `Debug` that panics must not take the report down with it.
        let debug = catch_unwind(AssertUnwindSafe(|| format!("{error:?}")))
            .unwrap_or_else(|_| "(its `Debug` panicked)".to_owned());
        Incident::Error { type_name, debug }
    }

    pub(crate) fn panic(payload: Box<dyn Any + Send>) -> Self {
        let message = match payload.downcast_ref::<&str>() {
            Some(message) => (*message).to_owned(),
            None => payload
                .downcast_ref::<String>()
                .cloned()
                .unwrap_or_default(),
        };
        // Whose drop may panic in turn.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(payload);
        }
        Incident::Panicked(message)
    }
}

impl Display for Incident {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Incident::Error { debug, .. } => write!(f, "failed: {debug}"),
            Incident::Panicked(message) => write!(f, "panicked: {message}"),
            Incident::Unfinished => f.write_str("was not finished"),
            Incident::StillRunning(duration) => write!(f, "is still running after {duration:?}"),
            Incident::TimedOut(duration) => write!(f, "was given up after {duration:?}"),
        }
    }
}

impl Display for Entry {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            manager,
            phase,
            cause,
            incident,
        } = self;
        write!(f, "{phase} of {manager} (cause: {cause}) {incident}")
    }
}

type Sink = Arc<dyn Fn(&Entry) + Send + Sync>;
static SINK: RwLock<Option<Sink>> = RwLock::new(None);

/// Installs the program's sink, in place of logging. The last one installed counts.
///
/// A panic of the sink is caught; the entry is then logged.
pub fn set_sink(sink: impl Fn(&Entry) + Send + Sync + 'static) {
    let mut installed = SINK.write().unwrap_or_else(PoisonError::into_inner);
    let before = installed.replace(Arc::new(sink));
    drop(installed);
    drop(before);
}

/// Runs a future, and returns what was reported while it ran, in order, besides its output.
///
/// An exit that is detached inside the future reports here too, as long as the future runs; afterwards, it reports
/// to the collector or sink outside. Of nested collectors, the innermost gets the entry.
///
/// # Cancel safety
///
/// When this is dropped, what was collected so far is reported outside.
pub fn collect<F: Future>(future: F) -> Collect<F> {
    Collect {
        future: Some(future),
        collector: Arc::default(),
    }
}

pin_project! {
    /// The future of [`collect`].
    #[must_use = "futures do nothing unless polled"]
    pub struct Collect<F: Future> {
        #[pin]
        future: Option<F>,
        collector: Arc<Collector>,
    }

    impl<F: Future> PinnedDrop for Collect<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            within(Some(Arc::clone(this.collector)), || this.future.set(None));
            this.collector.close().into_iter().for_each(report);
        }
    }
}

impl<F: Future> Future for Collect<F> {
    type Output = (F::Output, Vec<Entry>);

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let collector = Arc::clone(this.collector);
        collector.lock().outer = current();
        within(Some(collector), || {
            let Some(future) = this.future.as_mut().as_pin_mut() else {
                return Poll::Pending;
            };
            let output = std::task::ready!(future.poll(cx));
            this.future.set(None);
            Poll::Ready((output, this.collector.close()))
        })
    }
}

/// Entries that are being collected.
#[derive(Default)]
pub(crate) struct Collector(Mutex<Collected>);

#[derive(Default)]
struct Collected {
    entries: Vec<Entry>,
    closed: bool,
    /// The collector outside, which takes over when this one is closed.
    outer: Option<Arc<Collector>>,
}

impl Collector {
    fn lock(&self) -> MutexGuard<'_, Collected> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) -> Vec<Entry> {
        let mut collected = self.lock();
        collected.closed = true;
        std::mem::take(&mut collected.entries)
    }

    /// Takes the entry, or gives it back when this and everything outside is closed.
    fn take(&self, entry: Entry) -> Option<Entry> {
        let mut collected = self.lock();
        if !collected.closed {
            collected.entries.push(entry);
            return None;
        }
        let outer = collected.outer.clone();
        drop(collected);
        match outer {
            Some(outer) => outer.take(entry),
            None => Some(entry),
        }
    }
}

thread_local! {
    static CURRENT: Cell<Option<Arc<Collector>>> = const { Cell::new(None) };
}

/// Runs `f` with the collector as the current one.
pub(crate) fn within<T>(collector: Option<Arc<Collector>>, f: impl FnOnce() -> T) -> T {
    struct Restore(Option<Arc<Collector>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            let outer = self.0.take();
            let _ = CURRENT.try_with(|current| current.set(outer));
        }
    }
    let outer = CURRENT
        .try_with(|current| current.replace(collector))
        .unwrap_or_default();
    let _restore = Restore(outer);
    f()
}

/// The collector that surrounds the running code.
pub(crate) fn current() -> Option<Arc<Collector>> {
    let clone = |current: &Cell<Option<Arc<Collector>>>| {
        let collector = current.take();
        current.set(collector.clone());
        collector
    };
    CURRENT.try_with(clone).unwrap_or_default()
}

/// Hands an entry to the current collector, else to the sink, else to the log.
pub(crate) fn report(entry: Entry) {
    let entry = match current() {
        Some(collector) => match collector.take(entry) {
            Some(entry) => entry,
            None => return,
        },
        None => entry,
    };
    let sink = SINK.read().unwrap_or_else(PoisonError::into_inner).clone();
    let handled = sink.is_some_and(|sink| catch_unwind(AssertUnwindSafe(|| sink(&entry))).is_ok());
    if !handled {
        // Writing to a closed standard error, or a subscriber of the user's, may panic: in a `Drop`, that would abort.
        let _ = catch_unwind(AssertUnwindSafe(|| log(&entry)));
    }
}

fn log(entry: &Entry) {
    #[cfg(feature = "tracing")]
    {
        use tracing::dispatcher::get_default;
        use tracing::subscriber::NoSubscriber;

        // Without a subscriber, an event would be lost.
        if !get_default(tracing::Dispatch::is::<NoSubscriber>) {
            let Entry {
                manager,
                phase,
                cause,
                ..
            } = entry;
            tracing::error!(manager, %phase, %cause, "{entry}");
            return;
        }
    }
    eprintln!("async-with: {entry}");
}
