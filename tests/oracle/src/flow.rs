//! The words of the [reference](crate::oracle): how control goes on, and what is open.

use crate::program::{Act, Id, Manager, Verdict, Way};

/// Stands before what is reported.
pub(crate) const REPORT: &str = "report: ";

/// How control goes on: `Ok` where it falls through.
pub(crate) type Goes = Result<(), Flow>;

/// How control goes on where it does not fall through. Failures and panics have the step and the number of their label.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Flow {
    /// To what comes after the block: a failure was suppressed.
    Skipped,
    /// To a target, with a value.
    Jump(Way, Id),
    Failed(&'static str, Id),
    Panicked(&'static str, Id),
    /// Out to the block that is interrupted, and nothing on the way is polled any more.
    Cancelled,
    /// The same, after a block on the way was polled to its end: what is around it is pending once more.
    Parked,
    /// Not further: this is the block that is interrupted, by this manager, whose exit decides about the error.
    Interrupted(Id),
    /// Out of what is dropped: everything inside of the level with this index.
    Dropped(usize),
    /// It falls through in a generator, whose user's block did not complete.
    Told(Cause),
    /// The same, while this failure of the user's block can be looked at.
    Shown(&'static str, Id),
}

/// The cause as the log shows it.
pub(crate) type Cause = &'static str;
pub(crate) const COMPLETED: Cause = "completed";
pub(crate) const FAILED: Cause = "failed Boom";
pub(crate) const PANICKED: Cause = "panicked";
pub(crate) const CANCELLED: Cause = "cancelled";
pub(crate) const DROPPED: Cause = "dropped";

/// How control leaves with this statement.
pub(crate) fn left(way: Way, id: Id) -> Flow {
    match way {
        Way::ReturnErr => Flow::Failed("return", id),
        Way::Raise => Flow::Failed("raise", id),
        Way::Panic => Flow::Panicked("panic", id),
        way => Flow::Jump(way, id),
    }
}

/// How a generator goes on whose user's block ended like this, where nothing goes wrong in itself.
pub(crate) fn falls_through(users: Goes, shows: bool) -> Goes {
    match users {
        Err(Flow::Failed(step, id) | Flow::Shown(step, id)) if shows => Err(Flow::Shown(step, id)),
        _ if cause(users) == COMPLETED => Ok(()),
        _ => Err(Flow::Told(cause(users))),
    }
}

/// A failure as it is reported.
pub(crate) fn reported(phase: &str, told: Cause, goes: Goes) -> Option<String> {
    let (phase, how, step, id) = match goes {
        Err(Flow::Failed(step, id)) => (phase, "failed", step, id),
        Err(Flow::Panicked(step, id)) => (phase, "panicked", step, id),
        Err(Flow::Interrupted(id)) => ("interrupt", "failed", "interrupt", id),
        _ => return None,
    };
    Some(format!("{REPORT}{phase} ({told}) {how}: {step} {id}"))
}

/// What an exit is told.
pub(crate) fn cause(goes: Goes) -> Cause {
    match goes {
        Err(Flow::Failed(..) | Flow::Shown(..)) => FAILED,
        Err(Flow::Panicked(..)) => PANICKED,
        Err(Flow::Cancelled | Flow::Parked | Flow::Interrupted(_)) => CANCELLED,
        Err(Flow::Dropped(_)) => DROPPED,
        Err(Flow::Told(cause)) => cause,
        Ok(()) | Err(Flow::Skipped | Flow::Jump(..)) => COMPLETED,
    }
}

/// How a program ends.
pub(crate) fn outcome(goes: Goes) -> String {
    match goes {
        Ok(()) => "Ok(0)".to_owned(),
        Err(Flow::Jump(_, value)) => format!("Ok({value})"),
        Err(Flow::Failed(step, id)) => format!("Err({step} {id})"),
        Err(Flow::Panicked(step, id)) => format!("panic {step} {id}"),
        Err(_) => "dropped".to_owned(),
    }
}

/// What happened, then the outcome, then what was reported.
pub(crate) fn in_order(lines: Vec<String>, outcome: &str, reports: bool) -> Vec<String> {
    let is_report = |line: &String| line.starts_with(REPORT);
    let (reported, mut lines): (Vec<_>, Vec<_>) = lines.into_iter().partition(is_report);
    lines.push(format!("outcome: {outcome}"));
    lines.extend(reported.into_iter().filter(|_| reports));
    lines
}

/// Whether an exit that was told this suppresses it (rule SUP-1).
pub(crate) fn suppresses(verdict: Option<Verdict>, told: Cause) -> bool {
    match verdict {
        None | Some(Verdict::Propagate) => false,
        Some(Verdict::Suppress) => matches!(told, FAILED | CANCELLED),
        Some(Verdict::SuppressPanic) => told != COMPLETED,
    }
}

pub(crate) fn act(act: Act, step: &'static str, id: Id) -> Goes {
    match act {
        Act::Succeed => Ok(()),
        Act::Fail => Err(Flow::Failed(step, id)),
        Act::Panic => Err(Flow::Panicked(step, id)),
    }
}

/// A block, or a call. A stack itself is a block without a manager, and so is what was moved out of one.
#[derive(Clone, Copy, Default)]
pub(crate) struct Level<'p> {
    pub(crate) manager: Option<&'p Manager>,
    /// The stack through which the manager was entered.
    pub(crate) stack: Option<Id>,
    /// After how many more polls it is dropped.
    pub(crate) limit: Option<u32>,
    /// It was interrupted by this manager, and then by one further out.
    pub(crate) overtaken: Option<Id>,
}

impl Level<'_> {
    /// Whether it is a generator with a block around its yield.
    pub(crate) fn has_inside(&self) -> bool {
        self.manager.is_some_and(|manager| manager.inside.is_some())
    }

    /// Moves the manager out of this stack, if it is in that.
    pub(crate) fn move_out(&mut self, of: Id) -> Option<Self> {
        let manager = self.manager.take_if(|_| self.stack == Some(of));
        manager?;
        Some(Level {
            manager,
            ..Level::default()
        })
    }
}

/// The blocks of items, and that of the stack through which they are entered.
pub(crate) fn levels(items: &[Manager], stack: Option<Id>) -> Vec<Level<'_>> {
    let level = |manager| Level {
        manager,
        stack,
        ..Level::default()
    };
    let around = stack.map(|_| Level::default());
    let entered = items.iter().map(|manager| level(Some(manager)));
    around.into_iter().chain(entered).collect()
}

/// The exit of what was dropped.
pub(crate) struct Detached {
    /// The index of what was dropped: the innermost block outside of it waits for this exit.
    pub(crate) inside: usize,
    pub(crate) lines: Vec<String>,
    pub(crate) pends: bool,
}
