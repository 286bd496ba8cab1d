//! The reference: what the rules say that a program does, worked out synchronously and without futures.
//!
//! | what | rules |
//! | --- | --- |
//! | items one by one, exits in reverse, several items as nested blocks | ORD-1, ORD-2, ORD-3 |
//! | polls are counted by the suspension points of enters, bodies and exits; there are no others | ORD-6 |
//! | one exit for each enter that succeeded, told how the body ended, after a look at the error | EXI-1 to EXI-5, EXI-7, ERR-6 |
//! | jumps and values, evaluated before the exits, given up when an exit fails | FLO-1, FLO-4, FLO-5, FLO-6 |
//! | the first failure is raised, later ones are reported | ERR-1 to ERR-5, PAN-1, PAN-2, PAN-3 |
//! | a verdict ends errors and interruptions, or panics when it says so; never a drop | SUP-1 to SUP-4 |
//! | dropped: exits go on, in order, outside, and what encloses them waits; scoped managers abandon | CAN-1 to CAN-4, CAN-7 |
//! | interrupted: the innermost block first, in place; the body wins; the outermost raises | CAN-6 |
//! | entered through a stack is nested; a generator's block is told how the user's ended | STK-1, GEN-3, GEN-6 |
//!
//! A [`Dialect`] says where Python differs, so that one reference stands between the library and Python itself.

use std::collections::{HashMap, VecDeque};

use async_with::Verdict;

use crate::flow::{
    CANCELLED, COMPLETED, Cause, DROPPED, Detached, Exit, FAILED, Flow, Goes, PANICKED, PARKED,
    REPORT, act, leave,
};
use crate::program::{End, Id, Kind, Manager, Program, Stmt, Tail, With, label};

/// Whose rules count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Those of this project.
    #[default]
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
        ..Oracle::default()
    };
    let outcome = match oracle.stmts(&program.body).err() {
        None => "Ok(0)".to_owned(),
        Some(Flow::Return(value)) => format!("Ok({value})"),
        Some(Flow::Failed(error)) => format!("Err({error})"),
        Some(Flow::Panicked(payload)) => format!("panic {payload}"),
        Some(Flow::Dropped) => "dropped".to_owned(),
        _ => unreachable!("it ends inside the program"),
    };
    oracle.run_detached();
    if oracle.is_ambiguous {
        return None;
    }
    let is_report = |line: &String| line.starts_with(REPORT);
    let (mut reports, mut log): (Vec<_>, Vec<_>) = oracle.log.into_iter().partition(is_report);
    log.push(format!("outcome: {outcome}"));
    if dialect == Dialect::Rust {
        log.append(&mut reports);
    }
    Some(log)
}

#[derive(Default)]
struct Oracle {
    dialect: Dialect,
    end: End,
    /// The number of the poll that is going on.
    clock: u32,
    log: Vec<String>,
    reached: HashMap<Id, u8>,
    /// The blocks whose body is running, from the outside, and when each interrupts.
    open: Vec<Option<u32>>,
    /// The index in `open` of the block that is interrupted, while those inside of it end.
    cancelled_to: Option<usize>,
    /// The calls whose future is dropped: after how many polls, and how many blocks are open around it.
    limits: Vec<(u8, usize)>,
    /// What is dropped, while it is: the call with this index in `limits`, or else the whole program.
    dropped_to: Option<usize>,
    detached: VecDeque<Detached>,
    /// Whether what is dropped now runs beside what was dropped earlier in this poll.
    is_beside: bool,
    /// Whether exits that are pending run beside others.
    is_ambiguous: bool,
    /// This is about one exit: where it is pending is written down.
    is_exit: bool,
}

impl Oracle {
    fn write(&mut self, event: &str, id: Id) {
        self.log.push(label(event, id));
    }

    fn report(&mut self, phase: &str, cause: Cause, incident: &str) {
        self.log
            .push(format!("{REPORT}{phase} ({cause}) {incident}"));
    }

    /// The end of a poll: what is pending goes on in the next one, or it does not.
    fn suspend(&mut self) -> Goes {
        if self.is_exit {
            self.log.push(String::new());
            return Ok(());
        }
        let before = self.cancelled_to;
        for index in (0..self.limits.len()).rev() {
            self.interrupt_from(self.limits[index].1);
            self.use_up(index)?;
        }
        self.interrupt_from(0);
        if self.end == End::Drop(self.clock) {
            return Err(self.drop_to(None));
        }
        self.clock += 1;
        self.run_detached();
        if self.cancelled_to != before {
            return Err(Flow::Cancelled { is_polled: false });
        }
        Ok(())
    }

    /// Of the blocks from this one on, the outermost that interrupts is the one to raise.
    fn interrupt_from(&mut self, from: usize) {
        let fires = |at: &Option<u32>| at.is_some_and(|at| at <= self.clock);
        if let Some(index) = self.open[from..].iter().position(fires) {
            let target = self.cancelled_to.unwrap_or(usize::MAX);
            self.cancelled_to = Some(target.min(from + index));
        }
    }

    /// One more poll of a call whose polls are limited.
    fn use_up(&mut self, index: usize) -> Goes {
        self.limits[index].0 -= 1;
        if self.limits[index].0 == 0 {
            return Err(self.drop_to(Some(index)));
        }
        Ok(())
    }

    fn drop_to(&mut self, limit: Option<usize>) -> Flow {
        self.dropped_to = limit;
        let inside = limit.map_or(0, |limit| self.limits[limit].1);
        // An interruption of a block that is dropped ends with it.
        self.cancelled_to = self.cancelled_to.filter(|&target| target < inside);
        // What a dropped block would have waited for, the one outside waits for.
        for detached in &mut self.detached {
            detached.inside = detached.inside.min(inside);
            self.is_ambiguous |= detached.exit.pends;
        }
        self.is_beside = !self.detached.is_empty();
        Flow::Dropped
    }

    /// The running body was interrupted, and goes on because what was open inside was dropped: it ends in this poll.
    fn is_told(&self) -> bool {
        self.cancelled_to.is_some() && self.dialect == Dialect::Rust
    }

    fn pend(&mut self, times: u8) -> Goes {
        for _ in 0..times {
            if self.is_told() {
                return Err(PARKED);
            }
            self.suspend()?;
        }
        Ok(())
    }

    fn stmts(&mut self, stmts: &[Stmt]) -> Goes {
        stmts.iter().try_for_each(|stmt| self.stmt(stmt))
    }

    fn stmt(&mut self, stmt: &Stmt) -> Goes {
        match stmt {
            Stmt::Log(id) => self.write("log", *id),
            Stmt::Pend(times) => self.pend(*times)?,
            Stmt::Leave { id, on, way } => {
                let reached = self.reached.entry(*id).or_default();
                *reached += 1;
                if on.is_none_or(|on| on == *reached) {
                    return Err(leave(*id, *way));
                }
            }
            Stmt::Loop { id, times, body } => {
                for _ in 0..*times {
                    match self.stmts(body) {
                        Err(Flow::Continue(target)) if target == *id => {}
                        Err(Flow::Break(target, _)) if target == *id => break,
                        flow => flow?,
                    }
                }
            }
            Stmt::Labeled { id, body } => {
                let value = match self.stmts(body) {
                    Ok(()) => *id,
                    Err(Flow::Break(target, value)) if target == *id => value,
                    Err(flow) => return Err(flow),
                };
                self.log.push(format!("value {id}: {value}"));
            }
            Stmt::With(with) => self.with(with)?,
            Stmt::Call {
                limit,
                id,
                items,
                body,
            } => {
                let (index, inside) = (self.limits.len(), self.open.len());
                self.limits.extend(limit.map(|polls| (polls, inside)));
                let mut flow = self.items(items, body, None);
                if let (Err(PARKED), Some(_)) = (&flow, limit) {
                    flow = self.use_up(index).and(flow);
                }
                self.limits.truncate(index);
                let value = match flow {
                    Ok(()) => *id,
                    Err(Flow::Return(value)) => value,
                    Err(Flow::Dropped) if limit.is_some() && self.dropped_to == Some(index) => {
                        self.write("dropped", *id);
                        return Ok(());
                    }
                    Err(flow) => return Err(flow),
                };
                self.log.push(format!("value {id}: {value}"));
            }
        }
        Ok(())
    }

    fn with(&mut self, with: &With) -> Goes {
        let is_err = matches!(with.tail, Tail::Err | Tail::ErrRaised);
        let error = is_err.then(|| label("tail", with.id));
        let value = match self.items(&with.items, &with.body, error.as_deref()) {
            Ok(()) => with.id,
            Err(Flow::FallsErr(error)) if with.tail == Tail::ErrRaised => {
                return Err(Flow::Failed(error));
            }
            Err(Flow::FallsErr(error)) => {
                self.log.push(format!("value {}: Err({error})", with.id));
                return Ok(());
            }
            Err(Flow::Skipped) => {
                if with.has_else() {
                    self.write("else", with.id);
                }
                0
            }
            Err(flow) => return Err(flow),
        };
        match with.tail {
            Tail::Unit => {}
            Tail::Number => self.log.push(format!("value {}: {value}", with.id)),
            _ => self.log.push(format!("value {}: Ok({value})", with.id)),
        }
        Ok(())
    }

    /// Several items are nested blocks (rule ORD-3). `error` is in the `Err` that the body ends with.
    fn items(&mut self, items: &[Manager], body: &[Stmt], error: Option<&str>) -> Goes {
        let Some((manager, rest)) = items.split_first() else {
            self.stmts(body)?;
            return error.map_or(Ok(()), |error| Err(Flow::FallsErr(error.to_owned())));
        };
        if !manager.kind.is_exit() {
            self.enter(manager)?;
        }
        let is_told = self.is_told();
        self.open.push(manager.interrupts);
        // A block that is opened after its surroundings were told is told at once.
        let flow = if is_told {
            Err(PARKED)
        } else {
            self.items(rest, body, error)
        };
        self.open.pop();
        self.leave(manager, flow)
    }

    fn enter(&mut self, manager: &Manager) -> Goes {
        self.write("make", manager.id);
        act(manager.make, "make", manager.id)?;
        self.write("enter", manager.id);
        self.pend(manager.enter_pends)?;
        act(manager.enter, "enter", manager.id)?;
        if let Some(inside) = &manager.inside {
            self.enter(inside)?;
        }
        self.write("entered", manager.id);
        Ok(())
    }

    /// From the end of a manager's body to the end of its exit.
    fn leave(&mut self, manager: &Manager, mut flow: Goes) -> Goes {
        let depth = self.open.len();
        if self.cancelled_to == Some(depth) {
            self.cancelled_to = None;
            // A panic goes on in place of the interruption (rule CAN-6).
            if let Err(Flow::Cancelled { .. }) = flow {
                flow = Err(Flow::Interrupted(label("interrupt", manager.id)));
            }
        }
        let mut cause = match &flow {
            Err(Flow::Failed(error) | Flow::FallsErr(error)) => {
                if manager.kind.inspects() {
                    self.log.push(format!("inspect {}: {error}", manager.id));
                }
                FAILED
            }
            Err(Flow::Panicked(_)) => PANICKED,
            Err(Flow::Cancelled { .. } | Flow::Interrupted(_)) => CANCELLED,
            Err(Flow::Dropped) => {
                self.abandon(manager, DROPPED);
                return flow;
            }
            Err(Flow::Told(cause)) => cause,
            _ => COMPLETED,
        };
        if cause == FAILED && manager.inspect_panics && !matches!(flow, Err(Flow::Told(_))) {
            flow = self.panic(flow, label("inspect", manager.id), "inspect", cause);
            cause = PANICKED;
        }
        let exited = self.exit(manager, cause, &flow)?;
        self.conclude(manager, cause, flow, exited)
    }

    /// A panic takes the place of what is pending, unless that is an earlier panic (rule PAN-2).
    fn panic(&mut self, flow: Goes, payload: String, phase: &str, cause: Cause) -> Goes {
        if let Err(Flow::Panicked(_)) = flow {
            self.report(phase, cause, &format!("panicked: {payload}"));
            return flow;
        }
        self.report_pending(&flow, cause);
        Err(Flow::Panicked(payload))
    }

    fn report_pending(&mut self, flow: &Goes, cause: Cause) {
        let (phase, incident) = match flow {
            Err(Flow::Interrupted(error)) => ("interrupt", format!("failed: {error}")),
            Err(Flow::Failed(error) | Flow::FallsErr(error)) => {
                ("body", format!("failed: {error}"))
            }
            Err(Flow::Panicked(payload)) => ("body", format!("panicked: {payload}")),
            _ => return,
        };
        self.report(phase, cause, &incident);
    }

    /// How an exit ended; or how control goes on, when it is stopped in the middle.
    fn exit(&mut self, manager: &Manager, cause: Cause, flow: &Goes) -> Result<Goes, Flow> {
        let depth = self.open.len();
        // CAN-4: what was dropped in the body is waited for.
        let waits = self.detached.iter().any(|detached| detached.inside > depth);
        if waits && let Err(Flow::Dropped) = self.suspend() {
            self.report_lost(flow, cause);
            self.abandon(manager, cause);
            return Err(Flow::Dropped);
        }
        let mut exit = self.exit_of(manager, cause);
        while let Some(line) = exit.lines.pop_front() {
            if !line.is_empty() {
                self.log.push(line);
                continue;
            }
            match self.suspend() {
                Err(Flow::Dropped) => {
                    self.report_lost(flow, cause);
                    // CAN-2
                    match manager.kind {
                        Kind::Scoped => self.report("exit", cause, "was not finished"),
                        _ => self.detach(exit),
                    }
                    return Err(Flow::Dropped);
                }
                Err(_) if self.dialect == Dialect::Python => return Err(PARKED),
                // An exit that was started is finished.
                _ => {}
            }
        }
        Ok(exit.ended)
    }

    fn exit_of(&self, manager: &Manager, cause: Cause) -> Exit {
        let mut of = Oracle {
            dialect: self.dialect,
            is_exit: true,
            ..Oracle::default()
        };
        match manager.kind {
            Kind::Callback => of.write("exit", manager.id),
            _ => of.log.push(format!("exit {}: {cause}", manager.id)),
        }
        let pending = (0..manager.exit_pends).map(|_| String::new());
        of.log.extend(pending);
        of.write("exited", manager.id);
        let mut ended = act(manager.exit, "exit", manager.id);
        if let Some(inside) = &manager.inside {
            if ended.is_ok() && cause != COMPLETED {
                ended = Err(Flow::Told(cause));
            }
            ended = match of.leave(inside, ended) {
                Err(Flow::Told(_)) => Ok(()),
                ended => ended,
            };
        }
        Exit {
            cause,
            pends: of.log.iter().any(String::is_empty),
            lines: of.log.into(),
            ended,
        }
    }

    /// What was to be raised after an exit has nobody to be raised to. An interruption was to end the block, and so does
    /// the drop.
    fn report_lost(&mut self, flow: &Goes, cause: Cause) {
        if !matches!(flow, Err(Flow::Interrupted(_))) {
            self.report_pending(flow, cause);
        }
    }

    /// Brings together how the body ended and how the exit did. Of a block that is cancelled from further out, nothing
    /// leaves but a panic.
    fn conclude(&mut self, manager: &Manager, cause: Cause, mut flow: Goes, exited: Goes) -> Goes {
        let depth = self.open.len();
        let mut cancelled = self.cancelled_to.is_some_and(|target| target < depth);
        if self.dialect == Dialect::Python {
            cancelled &= matches!(flow, Err(Flow::Cancelled { .. }));
        }
        match exited {
            Ok(()) => {
                let suppressed = match manager.verdict {
                    None | Some(Verdict::Propagate) => false,
                    Some(Verdict::Suppress) => matches!(cause, FAILED | CANCELLED),
                    Some(Verdict::SuppressPanic) => cause != COMPLETED,
                };
                if suppressed {
                    return Err(if cancelled { PARKED } else { Flow::Skipped });
                }
            }
            Err(_) if self.dialect == Dialect::Python => return exited,
            Err(Flow::Failed(_)) if cause == COMPLETED && !cancelled => return exited,
            Err(Flow::Panicked(payload)) => flow = self.panic(flow, payload, "exit", cause),
            Err(_) => self.report_exit(&exited, cause),
        }
        match flow {
            Err(Flow::Panicked(_)) => flow,
            flow if cancelled => {
                self.report_pending(&flow, cause);
                Err(PARKED)
            }
            Err(Flow::Interrupted(error)) => Err(Flow::Failed(error)),
            flow => flow,
        }
    }

    /// CAN-1: the exit runs outside, or the manager abandons.
    fn abandon(&mut self, manager: &Manager, cause: Cause) {
        match manager.kind {
            Kind::Scoped => self.write("abandon", manager.id),
            _ => self.detach(self.exit_of(manager, cause)),
        }
    }

    fn detach(&mut self, exit: Exit) {
        self.is_ambiguous |= self.is_beside && exit.pends;
        self.detached.push_back(Detached {
            inside: self.dropped_to.map_or(0, |limit| self.limits[limit].1),
            exit,
        });
    }

    /// CAN-3: one after another, inside first.
    fn run_detached(&mut self) {
        while let Some(Detached { mut exit, .. }) = self.detached.pop_front() {
            exit.lines.retain(|line| !line.is_empty());
            self.log.extend(exit.lines);
            self.report_exit(&exit.ended, exit.cause);
        }
    }

    fn report_exit(&mut self, ended: &Goes, cause: Cause) {
        match ended {
            Err(Flow::Failed(error)) => self.report("exit", cause, &format!("failed: {error}")),
            Err(Flow::Panicked(payload)) => {
                self.report("exit", cause, &format!("panicked: {payload}"));
            }
            _ => {}
        }
    }
}
