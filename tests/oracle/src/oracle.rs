//! The reference: what the rules say that a program does, worked out synchronously and without futures.
//!
//! Which rules these are is in the [documentation of the crate](crate). A [`Dialect`] says where Python differs, so that
//! one reference stands between the library and Python itself.

use std::collections::HashMap;
use std::mem;

use crate::flow::{
    CANCELLED, COMPLETED, Cause, DROPPED, Detached, Flow, Goes, Level, PANICKED, REPORT, act,
    cause, falls_through, in_order, left, levels, outcome, reported, suppresses,
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
    let lines = in_order(oracle.lines, &outcome, dialect == Dialect::Rust);
    (!oracle.is_ambiguous).then_some(lines)
}

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
    /// The first exit of a stack that is closed waits for the next poll; its entries are the levels from this index on.
    waits: Option<usize>,
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
        self.lines.extend(reported(phase, told, goes));
    }

    /// The end of a poll: what is pending goes on in the next one, or it does not.
    fn suspend(&mut self) -> Goes {
        let before = self.interrupted;
        for index in (0..self.open.len()).rev() {
            // Of those that interrupt, the outermost is the one to raise.
            if let Some(manager) = self.open[index].manager
                && manager.interrupts.is_some_and(|at| at <= self.clock)
                // A generator in which the body is polled that closes the stack cannot be asked.
                && !(manager.inside.is_some() && self.waits.is_some_and(|from| from <= index))
                && self.interrupted.is_none_or(|(at, _)| index < at)
            {
                let inner = self.interrupted.replace((index, manager.id));
                if let Some((at, id)) = inner.filter(|_| inner == before && self.is_told()) {
                    self.open[at].overtaken = Some(id);
                }
            }
            self.use_up(index)?;
        }
        self.clock += 1;
        self.run_detached();
        let goes_on = self.interrupted == before;
        goes_on.then_some(()).ok_or(Flow::Cancelled)
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
        if let Some((at, id)) = self.interrupted.take_if(|(at, _)| *at >= index) {
            self.open[at].overtaken = Some(id);
        }
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
                    return Err(left(*way, *id));
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
                let moved: Vec<_> = levels.filter_map(|level| level.move_out(*stack)).collect();
                let (at, left) = (self.clock, self.stmts(body));
                self.close(&moved, at, left)?;
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
        let flow = told.unwrap_or_else(|| {
            // The body of a stack is polled in what stands around a yield from the next poll on.
            if level.stack.is_some() && level.has_inside() && self.dialect == Dialect::Rust {
                self.pend()?;
            }
            self.blocks(rest, body)
        });
        self.pop(flow)
    }

    /// The end of the innermost level whose body is running.
    fn pop(&mut self, mut flow: Goes) -> Goes {
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
            Err(Flow::Panicked(..) | Flow::Dropped(_)) => {
                let is_dropped = cause(flow) == DROPPED;
                let told = if is_dropped { DROPPED } else { CANCELLED };
                self.report("interrupt", told, Err(Flow::Interrupted(by)));
                return flow;
            }
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
    fn close(&mut self, moved: &[Level<'p>], at: u32, left: Goes) -> Goes {
        let here = self.open.len();
        let goes = match left {
            Ok(()) if self.is_told() => Err(Flow::Parked),
            Ok(()) | Err(Flow::Dropped(_)) => left,
            Err(_) => {
                (self.dropped_at, self.is_beside) = (self.lines.len(), false);
                Err(Flow::Dropped(here))
            }
        };
        // It waits for what was dropped in the body, and goes on beside whatever else was.
        let is_beside = self.detached.iter().any(|exit| exit.inside < here);
        self.is_ambiguous |= left.is_err() && !moved.is_empty() && is_beside;
        // In this poll, the body is polled in what stands around a yield.
        let is_around = self.dialect == Dialect::Rust && moved.iter().any(Level::has_inside);
        let waits_for = |exit: &Detached| exit.inside >= here && !moved.is_empty();
        let waits = is_around || self.detached.iter().any(waits_for);
        let from = if at == self.clock { here } else { usize::MAX };
        self.waits = (waits && left.is_ok()).then_some(from);
        self.open.extend(moved);
        match moved.iter().fold(goes, |goes, _| self.pop(goes)) {
            _ if left.is_err() => left,
            goes @ Err(Flow::Panicked(..) | Flow::Dropped(_)) => goes,
            _ if self.is_told() => Err(Flow::Parked),
            Err(Flow::Skipped) => Ok(()),
            goes => goes,
        }
    }

    /// From the end of a manager's body to the end of its exit. Without a depth, no interruption reaches it.
    fn leave(&mut self, of: Option<&'p Manager>, mut flow: Goes, depth: Option<usize>) -> Goes {
        if let (Some(manager), Err(Flow::Failed(step, id) | Flow::Shown(step, id))) = (of, flow)
            && manager.kind.inspects()
        {
            self.write(&format!("inspect {}: {step}", manager.id), id);
            if manager.inspect_panics {
                flow = self.follow(flow, "inspect", Flow::Panicked("inspect", manager.id));
            }
        }
        // CAN-4: what was dropped in the body is waited for.
        let waits = |exit: &Detached| depth.is_some_and(|depth| exit.inside > depth);
        let waits = self.waits.is_some() || self.detached.iter().any(waits);
        let ended = match flow {
            Err(Flow::Dropped(_)) => flow,
            _ if waits => self.suspend(),
            _ => Ok(()),
        };
        self.waits = None;
        let exited = match (of, ended) {
            (None, Err(Flow::Dropped(_))) => ended,
            (None, _) => Ok(()),
            (Some(manager), Err(Flow::Dropped(inside))) => self.abandon(manager, flow, inside),
            (Some(manager), _) => self.exit(manager, flow),
        };
        if let Err(Flow::Dropped(_) | Flow::Cancelled) = exited {
            self.lose(flow);
            return exited;
        }
        let outer = self.interrupted.is_some() && depth.is_some();
        self.conclude(of.and_then(|of| of.verdict), flow, exited, outer)
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
    fn abandon(&mut self, manager: &'p Manager, flow: Goes, inside: usize) -> Goes {
        let dropped = Err(Flow::Dropped(inside));
        match (manager.kind, &manager.inside) {
            (Kind::Scoped, _) => self.write("abandon", manager.id),
            (Kind::ScopedGenerator, None) => {}
            (Kind::ScopedGenerator, Some(inner)) => return self.abandon(inner, dropped, inside),
            _ => {
                self.outside = Some((inside, self.lines.len()));
                return self.exit(manager, flow);
            }
        }
        dropped
    }

    /// How an exit ends; or how control goes on, when it is stopped in the middle (rule CAN-2).
    fn exit(&mut self, manager: &'p Manager, flow: Goes) -> Goes {
        let told = cause(flow);
        let outer = mem::replace(&mut self.survives, !manager.kind.is_scoped());
        let ended = self.steps(manager, flow);
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

    fn steps(&mut self, manager: &'p Manager, flow: Goes) -> Goes {
        let told = cause(flow);
        match manager.kind {
            Kind::Callback => self.write("exit", manager.id),
            _ => self.lines.push(format!("exit {}: {told}", manager.id)),
        }
        let paused = (0..manager.exit_pends).try_for_each(|_| self.pause());
        match (paused, &manager.inside) {
            (Err(Flow::Dropped(at)), Some(inner)) => return self.abandon(inner, paused, at),
            _ => paused?,
        }
        self.write("exited", manager.id);
        let ended = act(manager.exit, "exit", manager.id);
        let Some(inner) = &manager.inside else {
            return ended;
        };
        let shows = self.outside.is_none() && self.dialect == Dialect::Rust;
        self.leave(Some(inner), ended.and(falls_through(flow, shows)), None)
    }

    /// A suspension point of an exit.
    fn pause(&mut self) -> Goes {
        if self.outside.is_some() {
            return Ok(());
        }
        match self.suspend() {
            // An exit that was started is finished.
            Err(Flow::Cancelled) if self.dialect == Dialect::Rust => Ok(()),
            Err(Flow::Dropped(inside)) if self.survives => {
                self.outside = Some((inside, self.lines.len()));
                Ok(())
            }
            paused => paused,
        }
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
            Err(Flow::Told(_) | Flow::Shown(..)) => Ok(()),
            _ => flow,
        }
    }

    /// Something goes wrong after the body ended. A panic takes the place of what is pending, unless that is an earlier
    /// panic (rule PAN-2), or a drop of a generator's user's block; an error does not (rule ERR-3).
    fn follow(&mut self, flow: Goes, phase: &str, later: Flow) -> Goes {
        let goes_on = matches!(cause(flow), PANICKED | DROPPED);
        if goes_on || matches!(later, Flow::Failed(..)) {
            self.report(phase, cause(flow), Err(later));
            return flow;
        }
        self.report("body", cause(flow), flow);
        Err(later)
    }
}
