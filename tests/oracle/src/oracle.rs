//! The reference: what the rules say that a program does, worked out synchronously and without futures.
//!
//! Which rules these are is in the [documentation of the crate](crate). A [`Dialect`] says where Python differs, so that
//! one reference stands between the library and Python itself.

use std::collections::HashMap;
use std::mem;

use crate::flow::{
    CANCELLED, COMPLETED, Cause, DROPPED, Detached, Flow, Goes, Level, REPORT, act, cause, levels,
    outcome, suppresses,
};
use crate::program::{
    Dialect, End, Id, Kind, Manager, Program, Stmt, Tail, Verdict, Way, With, label,
};

/// Predicts the lines that a program writes. There is no saying which, when detached exits that are pending run beside
/// each other.
#[must_use]
pub fn predict(program: &Program, dialect: Dialect) -> Option<Vec<String>> {
    let mut oracle = Oracle {
        dialect,
        clock: 1,
        ..Oracle::default()
    };
    let limit = match program.end {
        End::Run => None,
        End::Drop(polls) => Some(polls),
    };
    let outcome = outcome(oracle.limited(limit, &[], &program.body));
    oracle.run_detached();
    let is_report = |line: &String| line.starts_with(REPORT);
    let (mut reports, mut lines): (Vec<_>, Vec<_>) = oracle.lines.into_iter().partition(is_report);
    lines.push(format!("outcome: {outcome}"));
    if dialect == Dialect::Rust {
        lines.append(&mut reports);
    }
    (!oracle.is_ambiguous).then_some(lines)
}

// Each is a fact of its own.
#[allow(clippy::struct_excessive_bools)]
#[derive(Default)]
struct Oracle<'p> {
    dialect: Dialect,
    /// The number of the poll that is going on.
    clock: u32,
    lines: Vec<String>,
    reached: HashMap<Id, u8>,
    /// The blocks whose body is running, and the calls, from the outside.
    open: Vec<Level<'p>>,
    /// The block that is interrupted, by its index in `open`, and its manager, while the blocks inside end.
    interrupted: Option<(usize, Id)>,
    /// How many lines there were at the last drop.
    dropped_at: usize,
    /// The exits that run outside, between two polls.
    detached: Vec<Detached>,
    /// Whether what is dropped now runs beside what was dropped earlier in this poll.
    is_beside: bool,
    /// Whether exits that are pending run beside others.
    is_ambiguous: bool,
    /// Whether a body closes a stack: it is dropped with that body, where the exit of a block is finished.
    closes: bool,
    /// Whether what exits survives a drop.
    survives: bool,
    /// What exits was dropped, with the level of this index, and goes on outside from this line on.
    outside: Option<(usize, usize)>,
}

impl<'p> Oracle<'p> {
    fn write(&mut self, event: &str, id: Id) {
        self.lines.push(label(event, id));
    }

    fn value(&mut self, id: Id, value: &str) {
        self.lines.push(format!("value {id}: {value}"));
    }

    /// Reports a failure, if it is one.
    fn report(&mut self, phase: &str, told: Cause, goes: Goes) {
        let (phase, how, step, id) = match goes {
            Err(Flow::Failed(step, id)) => (phase, "failed", step, id),
            Err(Flow::Panicked(step, id)) => (phase, "panicked", step, id),
            Err(Flow::Interrupted(id)) => ("interrupt", "failed", "interrupt", id),
            _ => return,
        };
        self.lines
            .push(format!("{REPORT}{phase} ({told}) {how}: {step} {id}"));
    }

    /// The end of a poll: what is pending goes on in the next one, or it does not.
    fn suspend(&mut self) -> Goes {
        let before = self.interrupted;
        for index in (0..self.open.len()).rev() {
            // Of those that interrupt, the outermost is the one to raise.
            if let Some(manager) = self.open[index].manager
                && manager.interrupts.is_some_and(|at| at <= self.clock)
                && self.interrupted.is_none_or(|(at, _)| index < at)
            {
                self.interrupted = Some((index, manager.id));
            }
            self.use_up(index)?;
        }
        self.clock += 1;
        self.run_detached();
        if self.interrupted == before {
            return Ok(());
        }
        if let (Some((index, id)), Dialect::Rust) = (before, self.dialect) {
            self.open[index].overtaken = Some(id);
        }
        Err(Flow::Cancelled)
    }

    /// One more poll.
    fn use_up(&mut self, index: usize) -> Goes {
        let limit = &mut self.open[index].limit;
        *limit = limit.map(|polls| polls - 1);
        if *limit != Some(0) {
            return Ok(());
        }
        self.drop_inside(index)
    }

    fn drop_inside(&mut self, index: usize) -> Goes {
        // An interruption of a block that is dropped ends with it.
        self.interrupted.take_if(|(at, _)| *at >= index);
        self.dropped_at = self.lines.len();
        self.is_beside = !self.detached.is_empty();
        // What a dropped block would have waited for, the one outside waits for.
        for detached in &mut self.detached {
            detached.inside = detached.inside.min(index);
            self.is_ambiguous |= detached.pends;
        }
        Err(Flow::Dropped(index))
    }

    /// CAN-3: one after another, inside first.
    fn run_detached(&mut self) {
        let lines = self.detached.drain(..).flat_map(|exit| exit.lines);
        self.lines.extend(lines);
    }

    /// The running body was interrupted, and goes on because what was open inside was dropped: it ends in this poll.
    fn is_told(&self) -> bool {
        self.interrupted.is_some() && self.dialect == Dialect::Rust
    }

    fn pend(&mut self) -> Goes {
        if self.is_told() {
            return Err(Flow::Parked);
        }
        self.suspend()
    }

    fn stmts(&mut self, stmts: &'p [Stmt]) -> Goes {
        stmts.iter().try_for_each(|stmt| self.stmt(stmt))
    }

    fn stmt(&mut self, stmt: &'p Stmt) -> Goes {
        match stmt {
            Stmt::Log(id) => self.write("log", *id),
            Stmt::Pend(times) => (0..*times).try_for_each(|_| self.pend())?,
            Stmt::Leave { id, on, way } => {
                let reached = self.reached.entry(*id).or_default();
                *reached += 1;
                if on.is_none_or(|on| on == *reached) {
                    return Err(match way {
                        Way::ReturnErr => Flow::Failed("return", *id),
                        Way::Raise => Flow::Failed("raise", *id),
                        Way::Panic => Flow::Panicked("panic", *id),
                        way => Flow::Jump(*way, *id),
                    });
                }
            }
            Stmt::Loop { id, times, body } => {
                for _ in 0..*times {
                    match self.stmts(body) {
                        Err(Flow::Jump(Way::Continue(to), _)) if to == *id => {}
                        Err(Flow::Jump(Way::Break(to), _)) if to == *id => break,
                        goes => goes?,
                    }
                }
            }
            Stmt::Labeled { id, body } => {
                let goes = self.stmts(body);
                self.land(goes, Way::Break(*id), *id)?;
            }
            Stmt::With(with) => self.with(with)?,
            Stmt::Moved { stack, body } => {
                self.write("pop_all", *stack);
                let levels = self.open.iter_mut();
                let entered = levels.filter(|level| level.stack == Some(*stack));
                let moved: Vec<_> = entered.filter_map(|level| level.manager.take()).collect();
                let left = self.stmts(body);
                self.close(&moved, left)?;
                self.write("closed", *stack);
            }
            Stmt::Call(call) => {
                let goes = self.limited(call.limit.map(u32::from), &call.items, &call.body);
                if goes == Err(Flow::Dropped(self.open.len())) {
                    self.write("dropped", call.id);
                } else {
                    self.land(goes, Way::Return, call.id)?;
                }
            }
        }
        Ok(())
    }

    /// The end of what has a value, which a jump to its end can bring.
    fn land(&mut self, goes: Goes, end: Way, id: Id) -> Goes {
        let value = match goes {
            Ok(()) => id,
            Err(Flow::Jump(way, value)) if way == end => value,
            goes => return goes,
        };
        self.value(id, &value.to_string());
        Ok(())
    }

    /// A call, or the whole program.
    fn limited(&mut self, limit: Option<u32>, items: &'p [Manager], body: &'p [Stmt]) -> Goes {
        let index = self.open.len();
        self.open.push(Level {
            limit,
            ..Level::default()
        });
        let mut flow = self.blocks(&levels(items, None), &|oracle| oracle.stmts(body));
        if flow == Err(Flow::Parked) {
            flow = self.use_up(index).and(flow);
        }
        self.open.pop();
        flow
    }

    fn with(&mut self, with: &'p With) -> Goes {
        let With { id, tail, .. } = *with;
        let levels = levels(&with.items, with.stacked.then_some(id));
        let flow = self.blocks(&levels, &|oracle| {
            oracle.stmts(&with.body)?;
            match tail {
                Tail::Err | Tail::ErrRaised => Err(Flow::Failed("tail", id)),
                Tail::Unit | Tail::Number | Tail::Ok => Ok(()),
            }
        });
        let value = match flow {
            Ok(()) => tail.shown(id),
            // Not a failure any more, once it has left the block (rule FLO-4).
            Err(Flow::Failed("tail", of)) if of == id && tail == Tail::Err => {
                Some(format!("Err(tail {id})"))
            }
            Err(Flow::Skipped) => {
                if with.has_else() {
                    self.write("else", id);
                }
                tail.shown(0)
            }
            flow => return flow,
        };
        value.inspect(|value| self.value(id, value));
        Ok(())
    }

    /// Several items are nested blocks (rule ORD-3).
    fn blocks(&mut self, levels: &[Level<'p>], body: &dyn Fn(&mut Self) -> Goes) -> Goes {
        let Some((level, rest)) = levels.split_first() else {
            return body(self);
        };
        if let Some(manager) = level.manager.filter(|manager| !manager.kind.is_exit()) {
            self.enter(manager)?;
        }
        // A block that is opened after its surroundings were told is told at once.
        let told = self.is_told().then_some(Err(Flow::Parked));
        self.open.push(*level);
        let mut flow = told.unwrap_or_else(|| self.blocks(rest, body));
        let level = self.open.pop().unwrap_or_default();
        let depth = self.open.len();
        let interrupted = self.interrupted.take_if(|(index, _)| *index == depth);
        if let Some(id) = interrupted.map(|(_, id)| id).or(level.overtaken) {
            flow = self.interrupt(flow, id);
        }
        self.leave(level.manager, flow, Some(depth))
    }

    /// A panic goes on in place of the interruption, and nothing else (rule CAN-6). In Python, everything does.
    fn interrupt(&mut self, flow: Goes, by: Id) -> Goes {
        match flow {
            Err(Flow::Panicked(..) | Flow::Dropped(_)) => return flow,
            Err(Flow::Cancelled | Flow::Parked) => {}
            _ if self.dialect == Dialect::Python => return flow,
            _ => self.report("body", CANCELLED, flow),
        }
        Err(Flow::Interrupted(by))
    }

    fn enter(&mut self, manager: &Manager) -> Goes {
        self.write("make", manager.id);
        act(manager.make, "make", manager.id)?;
        if self.is_told() {
            return Err(Flow::Parked);
        }
        self.write("enter", manager.id);
        (0..manager.enter_pends).try_for_each(|_| self.pend())?;
        act(manager.enter, "enter", manager.id)?;
        if let Some(inside) = &manager.inside {
            self.enter(inside)?;
        }
        self.write("entered", manager.id);
        Ok(())
    }

    /// Closes a stack that was moved out of another, or drops it if the body that was to do so was left.
    fn close(&mut self, moved: &[&'p Manager], left: Goes) -> Goes {
        let (here, is_told) = (self.open.len(), self.is_told());
        let goes = match left {
            Ok(()) | Err(Flow::Dropped(_)) => left,
            Err(_) => self.drop_inside(here),
        };
        // It goes on beside whatever else was dropped.
        self.is_ambiguous |= left.is_err() && !moved.is_empty() && !self.detached.is_empty();
        self.closes = true;
        let leave = |flow, manager: &&'p Manager| self.leave(Some(manager), flow, None);
        let goes = moved.iter().rev().fold(goes, leave);
        self.closes = false;
        match goes {
            _ if left.is_err() => left,
            Err(Flow::Skipped) => Ok(()),
            Err(Flow::Dropped(inside)) if inside == here && is_told => Err(Flow::Parked),
            Err(Flow::Dropped(inside)) if inside == here => Err(Flow::Cancelled),
            goes => goes,
        }
    }

    /// From the end of a manager's body to the end of its exit. Without a depth, no interruption reaches it.
    fn leave(&mut self, of: Option<&'p Manager>, mut flow: Goes, depth: Option<usize>) -> Goes {
        if let (Some(manager), Err(Flow::Failed(step, id))) = (of, flow)
            && manager.kind.inspects()
        {
            self.lines
                .push(format!("inspect {}: {step} {id}", manager.id));
            if manager.inspect_panics {
                flow = self.follow(flow, "inspect", Flow::Panicked("inspect", manager.id));
            }
        }
        // CAN-4: what was dropped in the body is waited for.
        let waits = |exit: &Detached| depth.is_some_and(|depth| exit.inside > depth);
        let ended = match flow {
            Err(Flow::Dropped(_)) => flow,
            _ if self.detached.iter().any(waits) => self.suspend(),
            _ => Ok(()),
        };
        let told = cause(flow);
        let exited = match (of, ended) {
            (None, Err(Flow::Dropped(_))) => ended,
            (None, _) => Ok(()),
            (Some(manager), Err(Flow::Dropped(inside))) => self.abandon(manager, told, inside),
            (Some(manager), _) => self.exit(manager, told),
        };
        if let Err(Flow::Dropped(_) | Flow::Cancelled) = exited {
            self.lose(flow);
            return exited;
        }
        let verdict = of.and_then(|manager| manager.verdict);
        let outer = self.interrupted.filter(|(index, _)| Some(*index) < depth);
        self.conclude(verdict, flow, exited, outer.is_some())
    }

    /// What was to be raised after an exit has nobody to be raised to; in Python, the drop is itself an interruption, and goes
    /// on in place of another one. What is around a generator comes before what is in it.
    fn lose(&mut self, flow: Goes) {
        if cause(flow) != CANCELLED || self.dialect == Dialect::Rust {
            let since = self.lines.split_off(self.dropped_at);
            self.report("body", cause(flow), flow);
            self.lines.extend(since);
        }
    }

    /// CAN-1: the exit runs outside, or the manager abandons.
    fn abandon(&mut self, manager: &'p Manager, told: Cause, inside: usize) -> Goes {
        match (manager.kind, &manager.inside) {
            (Kind::Scoped, _) => self.write("abandon", manager.id),
            (Kind::ScopedGenerator, None) => {}
            (Kind::ScopedGenerator, Some(inner)) => return self.abandon(inner, DROPPED, inside),
            _ => {
                self.outside = Some((inside, self.lines.len()));
                return self.exit(manager, told);
            }
        }
        Err(Flow::Dropped(inside))
    }

    /// How an exit ends; or how control goes on, when it is stopped in the middle (rule CAN-2).
    fn exit(&mut self, manager: &'p Manager, told: Cause) -> Goes {
        let outer = mem::replace(&mut self.survives, !manager.kind.is_scoped());
        let ended = self.steps(manager, told);
        self.survives = outer;
        if outer {
            return ended;
        }
        if let Some((inside, from)) = self.outside.take() {
            self.report("exit", told, ended);
            let (lines, pends) = (self.lines.split_off(from), manager.pends_in_exit());
            self.is_ambiguous |= self.is_beside && pends;
            self.detached.push(Detached {
                inside,
                lines,
                pends,
            });
            return Err(Flow::Dropped(inside));
        }
        if let Err(Flow::Dropped(_)) = ended {
            self.lines
                .push(format!("{REPORT}exit ({told}) was not finished"));
        }
        ended
    }

    fn steps(&mut self, manager: &'p Manager, told: Cause) -> Goes {
        match manager.kind {
            Kind::Callback => self.write("exit", manager.id),
            _ => self.lines.push(format!("exit {}: {told}", manager.id)),
        }
        let paused = (0..manager.exit_pends).try_for_each(|_| self.pause());
        match (paused, &manager.inside) {
            (Err(Flow::Dropped(at)), Some(inner)) => return self.abandon(inner, DROPPED, at),
            _ => paused?,
        }
        self.write("exited", manager.id);
        let ended = act(manager.exit, "exit", manager.id);
        let Some(inner) = &manager.inside else {
            return ended;
        };
        let flow = match ended {
            Ok(()) if told != COMPLETED => Err(Flow::Told(told)),
            _ => ended,
        };
        self.leave(Some(inner), flow, None)
    }

    /// A suspension point of an exit.
    fn pause(&mut self) -> Goes {
        let paused = match self.outside {
            Some(_) => Ok(()),
            None if self.closes => self.pend(),
            None => self.suspend(),
        };
        let stopped = match paused {
            Err(Flow::Cancelled | Flow::Parked) if self.closes => self.drop_inside(self.open.len()),
            // An exit that was started is finished.
            Err(Flow::Cancelled) if self.dialect == Dialect::Rust => Ok(()),
            paused => paused,
        };
        if let (Err(Flow::Dropped(inside)), true) = (stopped, self.survives) {
            self.outside = Some((inside, self.lines.len()));
            return Ok(());
        }
        stopped
    }

    /// Brings together how the body ended and how the exit did. Of a block that is cancelled from further out, nothing
    /// leaves but a panic.
    fn conclude(&mut self, by: Option<Verdict>, mut flow: Goes, exit: Goes, outer: bool) -> Goes {
        let is_python = self.dialect == Dialect::Python;
        let cancelled =
            outer && (!is_python || matches!(flow, Err(Flow::Cancelled | Flow::Parked)));
        let told = cause(flow);
        match exit {
            Ok(()) if suppresses(by, told) => flow = Err(Flow::Skipped),
            Ok(()) => {}
            Err(_) if is_python => return exit,
            Err(Flow::Failed(..)) if told == COMPLETED && !cancelled => flow = exit,
            Err(later) => flow = self.follow(flow, "exit", later),
        }
        match flow {
            Err(Flow::Panicked(..)) => flow,
            _ if cancelled => {
                self.report("body", cause(flow), flow);
                Err(Flow::Parked)
            }
            Err(Flow::Interrupted(id)) => Err(Flow::Failed("interrupt", id)),
            Err(Flow::Told(_)) => Ok(()),
            _ => flow,
        }
    }

    /// Something goes wrong after the body ended. A panic takes the place of what is pending, unless that is an earlier
    /// panic (rule PAN-2); an error does not (rule ERR-3).
    fn follow(&mut self, flow: Goes, phase: &str, later: Flow) -> Goes {
        let is_panic = matches!(flow, Err(Flow::Panicked(..)));
        if is_panic || matches!(later, Flow::Failed(..)) {
            self.report(phase, cause(flow), Err(later));
            return flow;
        }
        self.report("body", cause(flow), flow);
        Err(later)
    }
}
