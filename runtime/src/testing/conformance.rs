//! What a manager has to keep, and how it is asked.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use super::checks;
use super::subject::{Finding, Subject};
use crate::manager::{InFrame, Managed, Surviving};
use crate::{AsyncContextManager, ScopedAsyncContextManager};

/// Checks a manager with what the checks need to know about it.
///
/// `S` stands for a manager of either kind; nobody has to name it. `make` returns a new manager each time. See the
/// [module](super) for the checks.
///
/// The idea is that of trio's `check_one_way_stream`, which asks an implementation for all that its protocol demands.
///
/// ```
/// use std::sync::{Arc, Mutex};
///
/// use async_with::prelude::*;
/// use async_with::testing::{Conformance, block_on};
/// # use std::convert::Infallible;
///
/// /// Holds a lock until its exit, and forgets to release it when the block is dropped.
/// struct Locked(Arc<Mutex<bool>>);
///
/// #[async_context_manager]
/// impl AsyncContextManager for Locked {
///     async fn enter(&mut self) -> Result<(), Infallible> {
///         *self.0.lock().unwrap() = true;
///         Ok(())
///     }
///
///     async fn exit(self, (): (), cause: Cause) -> Result<(), Infallible> {
///         if cause != Cause::Dropped {
///             *self.0.lock().unwrap() = false;
///         }
///         Ok(())
///     }
/// }
///
/// let lock = Arc::new(Mutex::new(false));
/// let conformance = Conformance::new(|| Locked(lock.clone()))
///     .open_count(|| usize::from(*lock.lock().unwrap()))
///     .exclusive();
/// let report = block_on(conformance.check());
/// let failed: Vec<_> = report.failed().map(|(check, _)| check).collect();
/// assert_eq!(failed, ["dropped_body_releases"]);
/// ```
#[must_use = "`check` runs the checks"]
pub struct Conformance<'a, S: Managed> {
    pub(super) make: Box<dyn FnMut() -> S + 'a>,
    pub(super) failing_enter: Option<Box<dyn FnMut() -> S + 'a>>,
    pub(super) open_count: Option<Box<dyn Fn() -> usize + 'a>>,
    /// How many are open before the checks.
    pub(super) open_at_first: usize,
    /// Whether a check has failed.
    pub(super) found_wrong: bool,
    pub(super) guard_count: Option<Box<dyn Fn() -> usize + 'a>>,
    #[allow(clippy::type_complexity)]
    pub(super) usable: Option<Box<dyn FnMut(&mut S::Resource) -> bool + 'a>>,
    pub(super) scoped: bool,
    pub(super) may: May,
    pub(super) patience: Duration,
    pub(super) max_polls: usize,
}

/// What the manager under test does on purpose.
#[derive(Clone, Copy, Default)]
#[allow(clippy::struct_excessive_bools)]
pub(super) struct May {
    pub(super) suppress_errors: bool,
    pub(super) suppress_panics: bool,
    pub(super) change_errors: bool,
    pub(super) be_exclusive: bool,
}

impl<'a, M: AsyncContextManager> Conformance<'a, Surviving<M>> {
    /// For an [`AsyncContextManager`].
    pub fn new(mut make: impl FnMut() -> M + 'a) -> Self {
        Self::of(move || Surviving(make()), false)
    }

    /// Makes a manager whose enter fails, for the checks of failed enters and of errors.
    pub fn failing_enter(mut self, mut make: impl FnMut() -> M + 'a) -> Self {
        self.failing_enter = Some(Box::new(move || Surviving(make())));
        self
    }
}

impl<'a, M: ScopedAsyncContextManager> Conformance<'a, InFrame<M>> {
    /// For a [`ScopedAsyncContextManager`].
    pub fn scoped(mut make: impl FnMut() -> M + 'a) -> Self {
        Self::of(move || InFrame(make()), true)
    }

    /// Makes a manager whose enter fails, for the checks of failed enters and of errors.
    pub fn scoped_failing_enter(mut self, mut make: impl FnMut() -> M + 'a) -> Self {
        self.failing_enter = Some(Box::new(move || InFrame(make())));
        self
    }
}

impl<'a, S: Managed> Conformance<'a, S> {
    fn of(make: impl FnMut() -> S + 'a, scoped: bool) -> Self {
        Self {
            make: Box::new(make),
            failing_enter: None,
            open_count: None,
            open_at_first: 0,
            found_wrong: false,
            guard_count: None,
            usable: None,
            scoped,
            may: May::default(),
            patience: Duration::from_secs(1),
            max_polls: 10_000,
        }
    }

    /// Tells how many resources are open: connections taken from a pool, temporary files, locks that are held.
    pub fn open_count(mut self, count: impl Fn() -> usize + 'a) -> Self {
        self.open_count = Some(Box::new(count));
        self
    }

    /// Tells how many guards of [`around_poll`](AsyncContextManager::around_poll) are held.
    pub fn guard_count(mut self, count: impl Fn() -> usize + 'a) -> Self {
        self.guard_count = Some(Box::new(count));
        self
    }

    /// Uses a resource, and says whether that worked.
    pub fn usable(mut self, usable: impl FnMut(&mut S::Resource) -> bool + 'a) -> Self {
        self.usable = Some(Box::new(usable));
        self
    }

    /// The manager suppresses errors on purpose.
    pub fn suppresses_errors(mut self) -> Self {
        self.may.suppress_errors = true;
        self
    }

    /// The manager suppresses panics on purpose.
    pub fn suppresses_panics(mut self) -> Self {
        self.may.suppress_panics = true;
        self
    }

    /// The manager changes errors in [`inspect`](AsyncContextManager::inspect) on purpose.
    pub fn changes_errors(mut self) -> Self {
        self.may.change_errors = true;
        self
    }

    /// Only one manager of this kind can be open at a time, as with a lock.
    pub fn exclusive(mut self) -> Self {
        self.may.be_exclusive = true;
        self
    }

    /// For how long nobody has to wake a future, before it is taken to be forgotten. By default, a second: more where
    /// the manager talks to something slow.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// How often a future may be polled until it is ready. By default, 10,000 times.
    pub fn max_polls(mut self, polls: usize) -> Self {
        self.max_polls = polls;
        self
    }

    /// Runs all checks, each with managers of its own.
    ///
    /// It can be awaited on any runtime, or with [`block_on`](super::block_on) on none.
    ///
    /// # Panics
    ///
    /// When a closure that was given panics.
    ///
    /// # Cancel safety
    ///
    /// When it is dropped, the check that runs is given up, and with it what its managers had open.
    pub async fn check(mut self) -> Report {
        let manager = (self.make)().name();
        self.open_at_first = self.open_count.as_ref().map_or(0, |count| count());
        let mut checks = Vec::new();
        for (name, check) in checks::all::<S>() {
            let finding = Subject::new(&mut self).run(check).await;
            self.found_wrong |= matches!(finding, Err(Finding::Wrong(_)));
            checks.push((name, finding));
        }
        Report { manager, checks }
    }
}

/// Checks an [`AsyncContextManager`] with nothing known about it: see [`Conformance`] for what there is to tell.
///
/// ```
/// use async_with::testing::{EventLog, block_on, check_manager};
///
/// let log = EventLog::new();
/// let report = block_on(check_manager(|| log.manager("a").pending(2)));
/// assert!(report.conforms(), "{report}");
/// ```
///
/// # Panics
///
/// When `make` panics.
///
/// # Cancel safety
///
/// As [`Conformance::check`].
pub async fn check_manager<M: AsyncContextManager>(make: impl FnMut() -> M) -> Report {
    Conformance::new(make).check().await
}

/// Like [`check_manager`], and panics with the list of what is wrong.
///
/// ```
/// use async_with::testing::{EventLog, assert_conforms, block_on};
///
/// let log = EventLog::new();
/// block_on(assert_conforms(|| log.manager("a")));
/// ```
///
/// # Panics
///
/// When the manager does not conform, or `make` panics.
///
/// # Cancel safety
///
/// As [`Conformance::check`].
pub async fn assert_conforms<M: AsyncContextManager>(make: impl FnMut() -> M) {
    check_manager(make).await.assert();
}

/// What the checks found out about a manager.
///
/// ```
/// use async_with::testing::{EventLog, block_on, check_manager};
///
/// let log = EventLog::new();
/// let report = block_on(check_manager(|| log.manager("a").fails_in_exit()));
/// let (check, what) = report.failed().next().unwrap();
/// assert_eq!(check, "exit_succeeds_when_completed");
/// assert!(what.starts_with("exit failed after a body that completed"));
/// ```
#[must_use = "a report has to be looked at"]
#[derive(Clone, Debug)]
pub struct Report {
    manager: &'static str,
    checks: Vec<(&'static str, Result<(), Finding>)>,
}

impl Report {
    /// Whether no check failed.
    #[must_use]
    pub fn conforms(&self) -> bool {
        self.failed().next().is_none()
    }

    /// The names of the checks that failed, and what is wrong.
    pub fn failed(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.checks
            .iter()
            .filter_map(|(name, result)| match result {
                Err(Finding::Wrong(what)) => Some((*name, what.as_str())),
                _ => None,
            })
    }

    /// The names of the checks that were not made, and what they need.
    pub fn skipped(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.checks
            .iter()
            .filter_map(|(name, result)| match result {
                Err(Finding::Skipped(why)) => Some((*name, why.as_str())),
                _ => None,
            })
    }

    /// The names of the checks that the manager passed.
    pub fn passed(&self) -> impl Iterator<Item = &'static str> {
        let passed =
            |(name, result): &(&'static str, Result<(), Finding>)| result.is_ok().then_some(*name);
        self.checks.iter().filter_map(passed)
    }

    /// Does nothing when the manager conforms.
    ///
    /// # Panics
    ///
    /// Else, with the list of what is wrong.
    #[track_caller]
    pub fn assert(&self) {
        assert!(self.conforms(), "{self}");
    }
}

/// One line for the whole, one for each check that failed, and one for what the checks were not told.
impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (passed, skipped) = (self.passed().count(), self.skipped().count());
        let failed = self.failed().count();
        write!(
            f,
            "{}: {passed} checks passed, {failed} failed, {skipped} skipped",
            self.manager
        )?;
        for (name, what) in self.failed() {
            write!(f, "\n  {name}: {what}")?;
        }
        let mut needs = BTreeMap::new();
        for what in self
            .skipped()
            .filter_map(|(_, why)| why.strip_prefix("needs "))
        {
            *needs.entry(what).or_insert(0) += 1;
        }
        for (number, (what, checks)) in needs.into_iter().enumerate() {
            let start = if number == 0 { "\n  not told:" } else { "," };
            write!(f, "{start} {what} (for {checks})")?;
        }
        Ok(())
    }
}
