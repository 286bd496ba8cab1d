//! How control goes on: the words of the [reference](crate::oracle).

use std::collections::VecDeque;

use crate::program::{Act, Id, Way, label};

/// How control goes on: `Ok` where it falls through.
pub(crate) type Goes = Result<(), Flow>;

/// How control goes on where it does not fall through.
#[derive(PartialEq)]
pub(crate) enum Flow {
    /// It does, with an `Err` as the value of the body.
    FallsErr(String),
    /// To what comes after the block: a failure was suppressed.
    Skipped,
    Break(Id, Id),
    Continue(Id),
    Return(Id),
    Failed(String),
    Panicked(String),
    /// Out to the block that is interrupted; what is on the way is polled once more, unless this is the first to end.
    Cancelled {
        is_polled: bool,
    },
    /// Not further: this is the block that is interrupted. Its exit decides about the error.
    Interrupted(String),
    /// Out of what is dropped.
    Dropped,
    /// It falls through in a generator, whose user's block did not complete.
    Told(Cause),
}

/// What a block that is cancelled from further out does after its exit.
pub(crate) const PARKED: Flow = Flow::Cancelled { is_polled: true };

/// Stands before what is reported.
pub(crate) const REPORT: &str = "report: ";

/// The cause as the log shows it.
pub(crate) type Cause = &'static str;
pub(crate) const COMPLETED: Cause = "completed";
pub(crate) const FAILED: Cause = "failed Boom";
pub(crate) const PANICKED: Cause = "panicked";
pub(crate) const CANCELLED: Cause = "cancelled";
pub(crate) const DROPPED: Cause = "dropped";

/// What an exit does.
pub(crate) struct Exit {
    pub(crate) cause: Cause,
    /// Its log lines, and an empty one for each time that it is pending.
    pub(crate) lines: VecDeque<String>,
    pub(crate) ended: Goes,
    pub(crate) pends: bool,
}

/// An exit that runs outside, between two polls: what is still to come.
pub(crate) struct Detached {
    /// How many blocks are open around what was dropped: the innermost of them waits for this exit.
    pub(crate) inside: usize,
    pub(crate) exit: Exit,
}

pub(crate) fn leave(id: Id, way: Way) -> Flow {
    match way {
        Way::Break(target) => Flow::Break(target, id),
        Way::Continue(target) => Flow::Continue(target),
        Way::Return => Flow::Return(id),
        Way::ReturnErr => Flow::Failed(label("return", id)),
        Way::Raise => Flow::Failed(label("raise", id)),
        Way::Panic => Flow::Panicked(label("panic", id)),
    }
}

pub(crate) fn act(act: Act, step: &str, id: Id) -> Goes {
    match act {
        Act::Succeed => Ok(()),
        Act::Fail => Err(Flow::Failed(label(step, id))),
        Act::Panic => Err(Flow::Panicked(label(step, id))),
    }
}
