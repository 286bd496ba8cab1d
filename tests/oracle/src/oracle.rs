//! The reference: what the rules say that a program does, worked out synchronously and without futures.
//!
//! | what | rules |
//! | --- | --- |
//! | items one by one, exits in reverse, several items as nested blocks | ORD-1, ORD-2, ORD-3 |
//! | polls are counted by the suspension points of enters, bodies and exits; there are no others | ORD-6 |
//! | one exit for each enter that succeeded, told how the body ended | EXI-1 to EXI-5 |
//! | the look at the error, directly before the exit, from the inside outwards | EXI-7, ERR-6 |
//! | jumps and values, evaluated before the exits, given up when an exit fails | FLO-1, FLO-4, FLO-5, FLO-6 |
//! | the first failure is raised, later ones are reported | ERR-1 to ERR-5, PAN-1, PAN-2, PAN-3 |
//! | a verdict ends errors and interruptions, or panics when it says so; never a drop | SUP-1 to SUP-4 |
//! | dropped: exits go on, in order, outside; scoped managers abandon | CAN-1, CAN-2, CAN-3, CAN-7 |
//! | interrupted: the innermost block first, in place; the body wins; the outermost raises | CAN-6 |
//!
//! A [`Dialect`] says where Python differs, so that one reference stands between the library and Python itself.

use std::collections::{HashMap, VecDeque};

use async_with::Verdict;

use crate::program::{Act, End, Id, Kind, Manager, Program, Stmt, Tail, Way, With, label};

/// Whose rules count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Those of this project.
    Rust,
    /// Python's. An error of an exit takes the place of whatever was pending, which is not reported (unlike rules ERR-3
    /// and PAN-2), and an interruption ends an exit in the middle (unlike rule CAN-6).
    Python,
}

/// Predicts the lines that a program writes. There is no saying which, when detached exits that are pending run beside
/// each other.
#[must_use]
pub fn predict(program: &Program, dialect: Dialect) -> Option<Vec<String>> {
    let mut oracle = Oracle {
        dialect,
        end: program.end,
        clock: 1,
        log: Vec::new(),
        reports: Vec::new(),
        reached: HashMap::new(),
        open: Vec::new(),
        cancelled_to: None,
        limits: Vec::new(),
        dropped_to: None,
        detached: VecDeque::new(),
        is_beside: false,
        is_ambiguous: false,
    };
    let outcome = match oracle.stmts(&program.body) {
        Flow::Falls(_) => "Ok(0)".to_owned(),
        Flow::Return(value) => format!("Ok({value})"),
        Flow::Failed(error) => format!("Err({error})"),
        Flow::Panicked(payload) => format!("panic {payload}"),
        Flow::Dropped => "dropped".to_owned(),
        Flow::Break(..) | Flow::Continue(_) | Flow::Skipped | Flow::Cancelled { .. } => {
            unreachable!("it ends inside the program")
        }
    };
    oracle.run_detached();
    if oracle.is_ambiguous {
        return None;
    }
    let Oracle { log, reports, .. } = oracle;
    let mut lines = log;
    lines.push(format!("outcome: {outcome}"));
    if dialect == Dialect::Rust {
        lines.extend(reports);
    }
    Some(lines)
}

/// How control goes on.
enum Flow {
    /// To what comes next, with a value.
    Falls(Value),
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
    Dropped,
}

#[derive(Clone, PartialEq)]
enum Value {
    Unit,
    Number(Id),
    Ok(Id),
    Err(String),
}

/// What a block that is cancelled from further out does after its exit.
const PARKED: Flow = Flow::Cancelled { is_polled: true };
const NEXT: Flow = Flow::Falls(Value::Unit);

#[derive(Clone, Copy, PartialEq)]
enum Cause {
    Completed,
    Failed,
    Panicked,
    Cancelled,
    Dropped,
}

impl Cause {
    fn name(self) -> &'static str {
        match self {
            Cause::Completed => "completed",
            Cause::Failed => "failed Boom",
            Cause::Panicked => "panicked",
            Cause::Cancelled => "cancelled",
            Cause::Dropped => "dropped",
        }
    }
}

/// What waits for the exit to run.
struct Pending {
    flow: Flow,
    /// The error that the interruption brought, if this block was the interrupted one.
    interruption: Option<String>,
}

/// How an exit ended.
enum Exited {
    Returned,
    Failed(String),
    Panicked(String),
    /// In the middle, by an interruption: Python only.
    Interrupted,
    /// In the middle, by a drop.
    Dropped,
}

/// An exit that runs outside, between two polls: the log lines and the end that are still to come.
struct Detached {
    /// How many blocks are open around what was dropped: the innermost of them waits for this exit.
    inside: usize,
    manager: Manager,
    cause: Cause,
    started: bool,
}

/// A pending suspension point was not resumed.
enum Stopped {
    Dropped,
    Cancelled { is_polled: bool },
}

impl From<Stopped> for Flow {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Dropped => Flow::Dropped,
            Stopped::Cancelled { is_polled } => Flow::Cancelled { is_polled },
        }
    }
}

struct Oracle {
    dialect: Dialect,
    end: End,
    /// The number of the poll that is going on.
    clock: u32,
    log: Vec<String>,
    reports: Vec<String>,
    reached: HashMap<Id, u8>,
    /// The blocks whose body is running, from the outside, and when each interrupts.
    open: Vec<Option<u32>>,
    /// The index in `open` of the block that is interrupted, while those inside of it end.
    cancelled_to: Option<usize>,
    /// The calls whose future is dropped after some polls, from the outside.
    limits: Vec<Limit>,
    /// What is dropped, while it is: the call with this index in `limits`, or else the whole program.
    dropped_to: Option<usize>,
    detached: VecDeque<Detached>,
    /// Whether what is dropped now runs beside what was dropped earlier in this poll.
    is_beside: bool,
    /// Whether exits that are pending run beside others.
    is_ambiguous: bool,
}

struct Limit {
    polls: u8,
    /// How many blocks are open around it.
    inside: usize,
}

impl Oracle {
    fn write(&mut self, event: &str, id: Id) {
        self.log.push(label(event, id));
    }

    fn report(&mut self, phase: &str, cause: Cause, incident: &str) {
        self.reports
            .push(format!("report: {phase} ({}) {incident}", cause.name()));
    }

    /// The end of a poll: what is pending goes on in the next one, or it does not.
    fn suspend(&mut self) -> Result<(), Stopped> {
        let before = self.cancelled_to;
        for index in (0..self.limits.len()).rev() {
            let inside = self.limits[index].inside;
            self.interrupt_from(inside);
            self.use_up(index)?;
        }
        self.interrupt_from(0);
        if self.end == End::Drop(self.clock) {
            return Err(self.drop_to(None));
        }
        self.clock += 1;
        self.run_detached();
        if self.cancelled_to == before {
            Ok(())
        } else {
            Err(Stopped::Cancelled { is_polled: false })
        }
    }

    /// Of the blocks from this one on, the outermost that interrupts is the one to raise.
    fn interrupt_from(&mut self, from: usize) {
        let fires = |at: &Option<u32>| at.is_some_and(|at| at <= self.clock);
        if let Some(index) = self.open[from..].iter().position(fires) {
            let target = self
                .cancelled_to
                .map_or(from + index, |target| target.min(from + index));
            self.cancelled_to = Some(target);
        }
    }

    /// One more poll of a call whose polls are limited.
    fn use_up(&mut self, index: usize) -> Result<(), Stopped> {
        let limit = &mut self.limits[index];
        limit.polls -= 1;
        if limit.polls > 0 {
            Ok(())
        } else {
            Err(self.drop_to(Some(index)))
        }
    }

    fn drop_to(&mut self, limit: Option<usize>) -> Stopped {
        self.dropped_to = limit;
        let inside = limit.map_or(0, |limit| self.limits[limit].inside);
        // An interruption of a block that is dropped ends with it.
        self.cancelled_to = self.cancelled_to.filter(|&target| target < inside);
        // What a dropped block would have waited for, the one outside waits for.
        for detached in &mut self.detached {
            detached.inside = detached.inside.min(inside);
        }
        self.is_beside = !self.detached.is_empty();
        self.is_ambiguous |= self
            .detached
            .iter()
            .any(|detached| detached.manager.exit_pends > 0);
        Stopped::Dropped
    }

    /// Whether the running body was interrupted, and goes on because what was open inside of it is dropped.
    fn is_told(&self) -> bool {
        self.cancelled_to.is_some() && self.dialect == Dialect::Rust
    }

    fn pend(&mut self, times: u8) -> Result<(), Stopped> {
        for _ in 0..times {
            // Told earlier, and left alone by the drop of what was still inside: it ends in this very poll.
            if self.is_told() {
                return Err(Stopped::Cancelled { is_polled: true });
            }
            self.suspend()?;
        }
        Ok(())
    }

    fn stmts(&mut self, stmts: &[Stmt]) -> Flow {
        for stmt in stmts {
            match self.stmt(stmt) {
                Flow::Falls(_) => {}
                flow => return flow,
            }
        }
        NEXT
    }

    fn stmt(&mut self, stmt: &Stmt) -> Flow {
        match stmt {
            Stmt::Log(id) => self.write("log", *id),
            Stmt::Pend(times) => {
                if let Err(stopped) = self.pend(*times) {
                    return stopped.into();
                }
            }
            Stmt::Leave { id, on, way } => {
                let reached = self.reached.entry(*id).or_default();
                *reached += 1;
                if on.is_none_or(|on| on == *reached) {
                    return leave(*id, *way);
                }
            }
            Stmt::Loop { id, times, body } => {
                for _ in 0..*times {
                    match self.stmts(body) {
                        Flow::Falls(_) => {}
                        Flow::Continue(target) if target == *id => {}
                        Flow::Break(target, _) if target == *id => break,
                        flow => return flow,
                    }
                }
            }
            Stmt::Labeled { id, body } => {
                let value = match self.stmts(body) {
                    Flow::Falls(_) => *id,
                    Flow::Break(target, value) if target == *id => value,
                    flow => return flow,
                };
                self.log.push(format!("value {id}: {value}"));
            }
            Stmt::With(with) => return self.with(with),
            Stmt::Call {
                limit,
                id,
                items,
                body,
            } => {
                let (index, inside) = (self.limits.len(), self.open.len());
                self.limits
                    .extend(limit.map(|polls| Limit { polls, inside }));
                let mut flow = self.items(items, body, &Value::Ok(*id));
                if let Flow::Cancelled { is_polled: true } = flow
                    && limit.is_some()
                    && self.use_up(index).is_err()
                {
                    flow = Flow::Dropped;
                }
                self.limits.truncate(index);
                let value = match flow {
                    Flow::Falls(_) => *id,
                    Flow::Return(value) => value,
                    Flow::Dropped if limit.is_some() && self.dropped_to == Some(index) => {
                        self.write("dropped", *id);
                        return NEXT;
                    }
                    flow => return flow,
                };
                self.log.push(format!("value {id}: {value}"));
            }
        }
        NEXT
    }

    fn with(&mut self, with: &With) -> Flow {
        let tail = match with.tail {
            Tail::Unit => Value::Unit,
            Tail::Number => Value::Number(with.id),
            Tail::Ok => Value::Ok(with.id),
            Tail::Err | Tail::ErrRaised => Value::Err(label("tail", with.id)),
        };
        let value = match self.items(&with.items, &with.body, &tail) {
            Flow::Falls(value) => value,
            Flow::Skipped => {
                if with.has_else() {
                    self.write("else", with.id);
                }
                match with.tail {
                    Tail::Unit => Value::Unit,
                    Tail::Number => Value::Number(0),
                    Tail::Ok | Tail::Err | Tail::ErrRaised => Value::Ok(0),
                }
            }
            flow => return flow,
        };
        let shown = match value {
            Value::Unit => return NEXT,
            Value::Number(value) => value.to_string(),
            Value::Ok(value) => format!("Ok({value})"),
            Value::Err(error) if with.tail == Tail::ErrRaised => return Flow::Failed(error),
            Value::Err(error) => format!("Err({error})"),
        };
        self.log.push(format!("value {}: {shown}", with.id));
        NEXT
    }

    /// Several items are nested blocks (rule ORD-3).
    fn items(&mut self, items: &[Manager], body: &[Stmt], tail: &Value) -> Flow {
        let Some((manager, rest)) = items.split_first() else {
            return match self.stmts(body) {
                Flow::Falls(_) => Flow::Falls(tail.clone()),
                flow => flow,
            };
        };
        self.write("make", manager.id);
        match manager.make {
            Act::Succeed => {}
            Act::Fail => return Flow::Failed(label("make", manager.id)),
            Act::Panic => return Flow::Panicked(label("make", manager.id)),
        }
        self.write("enter", manager.id);
        if let Err(stopped) = self.pend(manager.enter_pends) {
            return stopped.into();
        }
        match manager.enter {
            Act::Succeed => self.write("entered", manager.id),
            Act::Fail => return Flow::Failed(label("enter", manager.id)),
            Act::Panic => return Flow::Panicked(label("enter", manager.id)),
        }
        let is_told = self.is_told();
        self.open.push(manager.interrupts);
        // A block that is opened after its surroundings were told is told at once.
        let flow = if is_told {
            PARKED
        } else {
            self.items(rest, body, tail)
        };
        self.open.pop();
        self.leave(manager, flow)
    }

    /// From the end of a manager's body to the end of its exit.
    fn leave(&mut self, manager: &Manager, flow: Flow) -> Flow {
        let depth = self.open.len();
        let interrupted = self.cancelled_to == Some(depth);
        if interrupted {
            self.cancelled_to = None;
        }
        let error = match &flow {
            Flow::Failed(error) | Flow::Falls(Value::Err(error)) => Some(error.clone()),
            _ => None,
        };
        let mut cause = match &flow {
            _ if error.is_some() => Cause::Failed,
            Flow::Panicked(_) => Cause::Panicked,
            Flow::Cancelled { .. } => Cause::Cancelled,
            Flow::Dropped => {
                self.drop_in_body(manager);
                return flow;
            }
            _ => Cause::Completed,
        };
        // A panic goes on in place of the interruption (rule CAN-6).
        let interrupted = interrupted && cause == Cause::Cancelled;
        let mut pending = Pending {
            flow,
            interruption: interrupted.then(|| label("interrupt", manager.id)),
        };
        if let Some(error) = error {
            self.log.push(format!("inspect {}: {error}", manager.id));
            if manager.inspect_panics {
                self.panic(&mut pending, label("inspect", manager.id), "inspect", cause);
                cause = Cause::Panicked;
            }
        }
        let exited = self.exit(manager, cause, &pending);
        let mut cancelled = self.cancelled_to.is_some_and(|target| target < depth);
        if self.dialect == Dialect::Python {
            cancelled &= matches!(pending.flow, Flow::Cancelled { .. });
        }
        self.conclude(manager, cause, pending, exited, cancelled)
    }

    /// A panic takes the place of what is pending, unless that is an earlier panic (rule PAN-2).
    fn panic(&mut self, pending: &mut Pending, payload: String, phase: &str, cause: Cause) {
        if let Flow::Panicked(_) = pending.flow {
            self.report(phase, cause, &format!("panicked: {payload}"));
            return;
        }
        self.report_pending(pending, cause);
        pending.interruption = None;
        pending.flow = Flow::Panicked(payload);
    }

    fn report_pending(&mut self, pending: &Pending, cause: Cause) {
        match (&pending.flow, &pending.interruption) {
            (_, Some(error)) => self.report("interrupt", cause, &format!("failed: {error}")),
            (Flow::Failed(error) | Flow::Falls(Value::Err(error)), None) => {
                self.report("body", cause, &format!("failed: {error}"));
            }
            _ => {}
        }
    }

    fn exit(&mut self, manager: &Manager, cause: Cause, pending: &Pending) -> Exited {
        let depth = self.open.len();
        // CAN-4: what was dropped in the body is waited for.
        let waits = self.detached.iter().any(|detached| detached.inside > depth);
        if waits && let Err(Stopped::Dropped) = self.suspend() {
            self.drop_in_exit(manager, cause, pending, false);
            return Exited::Dropped;
        }
        self.write_exit(manager, cause);
        for _ in 0..manager.exit_pends {
            match self.suspend() {
                Err(Stopped::Dropped) => {
                    self.drop_in_exit(manager, cause, pending, true);
                    return Exited::Dropped;
                }
                Err(Stopped::Cancelled { .. }) if self.dialect == Dialect::Python => {
                    return Exited::Interrupted;
                }
                // An exit that was started is finished.
                Err(Stopped::Cancelled { .. }) | Ok(()) => {}
            }
        }
        self.write("exited", manager.id);
        match manager.exit {
            Act::Succeed => Exited::Returned,
            Act::Fail => Exited::Failed(label("exit", manager.id)),
            Act::Panic => Exited::Panicked(label("exit", manager.id)),
        }
    }

    fn write_exit(&mut self, manager: &Manager, cause: Cause) {
        self.log
            .push(format!("exit {}: {}", manager.id, cause.name()));
    }

    /// Brings together how the body ended and how the exit did. Of a block that is cancelled from further out, nothing
    /// leaves but a panic.
    fn conclude(
        &mut self,
        manager: &Manager,
        cause: Cause,
        mut pending: Pending,
        exited: Exited,
        cancelled: bool,
    ) -> Flow {
        match exited {
            Exited::Returned => {
                let suppressed = match manager.verdict {
                    None | Some(Verdict::Propagate) => false,
                    Some(Verdict::Suppress) => matches!(cause, Cause::Failed | Cause::Cancelled),
                    Some(Verdict::SuppressPanic) => cause != Cause::Completed,
                };
                if suppressed {
                    return if cancelled { PARKED } else { Flow::Skipped };
                }
            }
            Exited::Failed(error) if self.dialect == Dialect::Python => return Flow::Failed(error),
            Exited::Panicked(error) if self.dialect == Dialect::Python => {
                return Flow::Panicked(error);
            }
            Exited::Failed(error) if cause == Cause::Completed && !cancelled => {
                return Flow::Failed(error);
            }
            Exited::Failed(error) => self.report("exit", cause, &format!("failed: {error}")),
            Exited::Panicked(payload) => self.panic(&mut pending, payload, "exit", cause),
            Exited::Interrupted => return PARKED,
            Exited::Dropped => return Flow::Dropped,
        }
        if let Flow::Panicked(_) = pending.flow {
            return pending.flow;
        }
        if cancelled {
            self.report_pending(&pending, cause);
            return PARKED;
        }
        match pending.interruption {
            Some(error) => Flow::Failed(error),
            None => pending.flow,
        }
    }

    /// CAN-1: the exit runs outside, or the manager abandons.
    fn drop_in_body(&mut self, manager: &Manager) {
        match manager.kind {
            Kind::Surviving => self.detach(manager, Cause::Dropped, false),
            Kind::Scoped => self.write("abandon", manager.id),
        }
    }

    /// CAN-2: the exit goes on outside, or is reported as unfinished; what was to be raised has nobody to be raised to.
    fn drop_in_exit(&mut self, manager: &Manager, cause: Cause, pending: &Pending, started: bool) {
        if let Flow::Panicked(payload) = &pending.flow {
            self.report("body", cause, &format!("panicked: {payload}"));
        } else if pending.interruption.is_none() {
            self.report_pending(pending, cause);
        }
        match manager.kind {
            Kind::Surviving => self.detach(manager, cause, started),
            Kind::Scoped if started => self.report("exit", cause, "was not finished"),
            Kind::Scoped => self.write("abandon", manager.id),
        }
    }

    fn detach(&mut self, manager: &Manager, cause: Cause, started: bool) {
        let inside = self.dropped_to.map_or(0, |limit| self.limits[limit].inside);
        self.is_ambiguous |= self.is_beside && manager.exit_pends > 0;
        let manager = manager.clone();
        self.detached.push_back(Detached {
            inside,
            manager,
            cause,
            started,
        });
    }

    /// CAN-3: one after another, inside first.
    fn run_detached(&mut self) {
        while let Some(Detached {
            manager,
            cause,
            started,
            ..
        }) = self.detached.pop_front()
        {
            if !started {
                self.write_exit(&manager, cause);
            }
            self.write("exited", manager.id);
            let ended = label("exit", manager.id);
            match manager.exit {
                Act::Succeed => {}
                Act::Fail => self.report("exit", cause, &format!("failed: {ended}")),
                Act::Panic => self.report("exit", cause, &format!("panicked: {ended}")),
            }
        }
    }
}

fn leave(id: Id, way: Way) -> Flow {
    match way {
        Way::Break(target) => Flow::Break(target, id),
        Way::Continue(target) => Flow::Continue(target),
        Way::Return => Flow::Return(id),
        Way::ReturnErr => Flow::Failed(label("return", id)),
        Way::Raise => Flow::Failed(label("raise", id)),
        Way::Panic => Flow::Panicked(label("panic", id)),
    }
}
