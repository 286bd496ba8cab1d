//! What managers raise that do several things at once.

use std::fmt::Debug;
use std::mem;
use std::panic::resume_unwind;

use crate::leaving::{Leaving, Who};
use crate::manager::{Exited, Left, NothingLeft, Payload};
use crate::report::Phase;
use crate::{Cause, Verdict};

/// What is going to leave several managers that exit beside each other. Dropped before that, it is reported (rule ERR-5).
pub(crate) struct Together<E: Debug> {
    leaving: Leaving<Cause, E>,
    /// What all of them are told.
    cause: Cause,
    /// Whose the failure is that is pending, and what ran.
    from: (&'static str, Phase),
}

impl<E: Debug + 'static> Together<E> {
    /// Their body ended so.
    pub(crate) fn told(cause: Cause) -> Self {
        Self {
            leaving: Leaving::of(cause),
            cause,
            from: ("", Phase::Body),
        }
    }

    /// This leaves before the exits.
    pub(crate) fn failed(leaving: Leaving<Cause, E>, manager: &'static str) -> Self {
        Self {
            cause: leaving.cause(),
            leaving,
            from: (manager, Phase::Body),
        }
    }

    /// What the exits are told.
    pub(crate) fn cause(&self) -> Cause {
        self.cause
    }

    /// The error that is pending, to be shown.
    pub(crate) fn error(&mut self) -> Option<&mut E> {
        match &mut self.leaving {
            Leaving::Raised(error) => Some(error),
            _ => None,
        }
    }

    /// Something panicked before the exits.
    pub(crate) fn panicked(&mut self, payload: Payload) {
        let (manager, phase) = self.from;
        let who = Who::named(manager, self.cause).beside(manager, phase);
        let left: &mut dyn Left = &mut NothingLeft::alone();
        self.leaving.panic(payload, Phase::Body, left, &who);
        self.cause = self.leaving.cause();
    }

    /// One of the exits has ended. An error is raised if the body completed and no other one is (rule ERR-3).
    pub(crate) fn exited(&mut self, exited: Exited<Verdict, E>, manager: &'static str) {
        let (from, phase) = self.from;
        let who = Who::named(manager, self.cause).beside(from, phase);
        let before = mem::discriminant(&self.leaving);
        let left: &mut dyn Left = &mut NothingLeft::alone();
        self.leaving.after(exited, false, left, &who);
        if mem::discriminant(&self.leaving) != before {
            self.from = (manager, Phase::Exit);
        }
    }

    /// All exits have run.
    pub(crate) fn conclude(mut self) -> Result<(), E> {
        match mem::replace(&mut self.leaving, Leaving::Dropped) {
            Leaving::Raised(error) => Err(error),
            Leaving::Panicked(payload) => resume_unwind(payload),
            _ => Ok(()),
        }
    }
}

impl<E: Debug> Drop for Together<E> {
    fn drop(&mut self) {
        let (manager, phase) = self.from;
        let who = Who::named(manager, self.cause).beside(manager, phase);
        let left: &mut dyn Left = &mut NothingLeft::alone();
        mem::replace(&mut self.leaving, Leaving::Dropped).lost(left, &who);
    }
}
