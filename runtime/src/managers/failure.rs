//! What managers raise that do several things at once.

use std::fmt::Debug;
use std::panic::resume_unwind;

use crate::Cause;
use crate::manager::Payload;
use crate::report::{Entry, Incident, Phase, report};

/// An error or a panic.
pub(crate) enum Failure<E> {
    Error(E),
    Panic(Payload),
}

impl<E> Failure<E> {
    /// Raises it.
    pub(crate) fn raise(self) -> E {
        match self {
            Failure::Error(error) => error,
            Failure::Panic(payload) => resume_unwind(payload),
        }
    }
}

/// A failure that waits for the exits, and where it comes from.
pub(crate) struct Pending<E> {
    pub(crate) failure: Failure<E>,
    pub(crate) manager: &'static str,
    pub(crate) phase: Phase,
}

impl<E: Debug> Pending<E> {
    pub(crate) fn report(self, cause: Cause) {
        let Self {
            failure,
            manager,
            phase,
        } = self;
        let incident = match failure {
            Failure::Error(error) => Incident::error(&error),
            Failure::Panic(payload) => Incident::panic(payload),
        };
        report(Entry {
            manager,
            phase,
            cause,
            incident,
        });
    }

    /// Keeps the one of two failures that is raised, the first panic or else the first error, and reports the other.
    fn and(self, later: Self, cause: Cause) -> Self {
        let (first, other) = match (&self.failure, &later.failure) {
            (Failure::Error(_), Failure::Panic(_)) => (later, self),
            _ => (self, later),
        };
        other.report(cause);
        first
    }

    /// Joins what is raised in the end. An error of an exit is, if the body completed (rule ERR-3); else it is reported.
    pub(crate) fn add_to(self, pending: &mut Option<Self>, cause: Cause) {
        let is_raised = cause.is_completed() || matches!(self.failure, Failure::Panic(_));
        match pending.take() {
            Some(first) => *pending = Some(first.and(self, cause)),
            None if is_raised => *pending = Some(self),
            None => self.report(cause),
        }
    }
}
