//! The exits of a stack, one after the other.

use std::any::type_name;
use std::fmt::Debug;
use std::future::poll_fn;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::interrupts::{Fired, Fires, Source};
use super::pile::{Home, Key, Pile};
use super::{BoxFuture, Entry};
use crate::cause::AsError;
use crate::generator;
use crate::leaving::{Leaving, Who};
use crate::manager::{Exited, Left, NothingLeft, Payload, report_of};
use crate::nest::Level;
use crate::nest::Ticket;
use crate::nest::{self, detach_exit, drop_caught};
use crate::report::{self, Incident, Phase};
use crate::{Cause, Raised, Verdict};

/// Runs the exits of a stack, one after the other: what leaves one entry is what the next one further out is told of.
struct Unwind<E: 'static> {
    entries: Vec<Box<dyn Entry<E>>>,
    pile: Arc<Pile<E>>,
    leaving: Leaving<Cause, E>,
    /// Who interrupts, and whose turn has not come yet: the last one is the outermost, and counts.
    fired: Fired<E>,
    /// The last one did so in this poll.
    just_fired: bool,
    begun: bool,
    /// By what the failure was suppressed.
    suppressed: Verdict,
    afterwards: Afterwards<E>,
    /// The innermost entry, when it was shown the failure.
    inspected: Option<Key>,
    /// What an entry is told whose turn it was when the drop came.
    settled: Option<(Key, Cause)>,
    running: Option<RunningExit<E>>,
}

/// What is registered when there are no exits left.
enum Afterwards<E> {
    /// It comes too late.
    Closed,
    /// It is an entry of the same stack, which is used again.
    Reopens(Arc<Home<E>>, Arc<Pile<E>>),
    /// Nobody registers any more.
    Gone,
}

struct RunningExit<E> {
    key: Key,
    name: &'static str,
    told: Cause,
    exit: BoxFuture<Result<Verdict, E>>,
    /// The entry itself, when it is not its exit that runs: it waits for what it has lent to others.
    waits: Option<Box<dyn Entry<E>>>,
}

impl<E: Debug + Send + 'static> Unwind<E> {
    fn new(
        entries: boxcar::Vec<Box<dyn Entry<E>>>,
        pile: Arc<Pile<E>>,
        cause: Cause,
        mut fired: Fired<E>,
        afterwards: Afterwards<E>,
    ) -> Self {
        if cause == Cause::Cancelled && fired.is_empty() {
            fired.push((Source::Outside, None));
        }
        Self {
            entries: entries.into_iter().collect(),
            pile,
            leaving: Leaving::of(cause),
            fired,
            just_fired: false,
            begun: false,
            suppressed: Verdict::Propagate,
            afterwards,
            inspected: None,
            settled: None,
            running: None,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>, left: &mut dyn Left) -> Poll<()> {
        if self.just_fired {
            self.interrupt_outside(left);
            self.just_fired = false;
        }
        loop {
            if let Some(mut running) = self.running.take() {
                let mut shown = Shown {
                    leaving: &mut self.leaving,
                    left: &mut *left,
                };
                let poll = AssertUnwindSafe(|| {
                    generator::showing(&mut shown, |_| running.exit.as_mut().poll(cx))
                });
                let exited = match catch_unwind(poll) {
                    Ok(Poll::Pending) => {
                        self.poll_interrupts(running.key, cx);
                        self.running = Some(running);
                        return Poll::Pending;
                    }
                    Ok(Poll::Ready(Ok(verdict))) => Exited::Returned(verdict),
                    Ok(Poll::Ready(Err(error))) => Exited::Failed(error),
                    Err(payload) => Exited::Panicked(payload),
                };
                self.ran(running, exited, left);
            } else if let Some((key, entry)) = self.pop() {
                self.start(key, entry, left);
            } else {
                self.end(left);
                return Poll::Ready(());
            }
        }
    }

    /// What was running has ended.
    fn ran(&mut self, running: RunningExit<E>, exited: Exited<Verdict, E>, left: &mut dyn Left) {
        let RunningExit {
            key,
            name,
            told,
            exit,
            waits,
        } = running;
        let late = drop_caught(exit);
        match (waits, exited) {
            (Some(entry), Exited::Returned(_)) => self.waited(key, entry, told, left),
            (_, exited) => self.exited(key, name, told, exited, left),
        }
        if let Err(payload) = late {
            let who = Who::named(name, told);
            self.leaving.panic(payload, Phase::Exit, left, &who);
        }
    }

    /// What an entry had lent to others is back, unless that took longer than an exit may.
    fn waited(&mut self, key: Key, mut entry: Box<dyn Entry<E>>, told: Cause, left: &mut dyn Left) {
        if entry.take_back(told).is_none() {
            self.start_exit(key, entry, left);
        } else {
            let given_up = Exited::Returned(Verdict::Propagate);
            self.exited(key, entry.name(), told, given_up, left);
        }
    }

    /// It is the turn of this entry.
    fn start(&mut self, key: Key, mut entry: Box<dyn Entry<E>>, left: &mut dyn Left) {
        self.take_turn(Source::Entry(key), entry.name());
        let told = self.told(key);
        match entry.take_back(told) {
            None => self.start_exit(key, entry, left),
            Some(back) => {
                self.running = Some(RunningExit {
                    key,
                    name: entry.name(),
                    told,
                    exit: back,
                    waits: Some(entry),
                });
            }
        }
    }

    fn start_exit(&mut self, key: Key, mut entry: Box<dyn Entry<E>>, left: &mut dyn Left) {
        if self.inspected != Some(key) {
            self.inspect(&mut *entry, left);
        }
        let (name, told) = (entry.name(), self.told(key));
        match catch_unwind(AssertUnwindSafe(|| entry.exit(told))) {
            Ok(exit) => {
                self.running = Some(RunningExit {
                    key,
                    name,
                    told,
                    exit,
                    waits: None,
                });
            }
            Err(payload) => self.exited(key, name, told, Exited::Panicked(payload), left),
        }
    }

    fn told(&self, key: Key) -> Cause {
        match self.settled {
            Some((of, cause)) if of == key => cause,
            _ => self.leaving.cause(),
        }
    }

    /// The exit of an entry has ended.
    fn exited(
        &mut self,
        key: Key,
        name: &'static str,
        told: Cause,
        exited: Exited<Verdict, E>,
        left: &mut dyn Left,
    ) {
        self.interrupt_outside(left);
        let verdict = match &exited {
            Exited::Returned(verdict) => *verdict,
            _ => Verdict::Propagate,
        };
        if let (Leaving::Cancelled, Exited::Failed(_)) = (&self.leaving, &exited)
            && left.is_not_cancelled()
        {
            // Who interrupted was a part of this manager, as a block around the yield of a generator is: it raises this.
            self.fired.retain(|(by, _)| *by != Source::Outside);
            self.leaving = Leaving::Nothing;
        }
        let was_over = matches!(self.leaving, Leaving::Nothing);
        let outside = self.fired.iter().any(|(by, _)| *by != Source::Entry(key));
        self.leaving
            .after(exited, outside, left, &Who::named(name, told));
        self.fired.retain(|(by, _)| *by != Source::Entry(key));
        if !was_over
            && matches!(self.leaving, Leaving::Nothing)
            && self.suppressed != Verdict::SuppressPanic
        {
            self.suppressed = verdict;
        }
    }

    /// All exits have run. What an entry asked for that has left the stack since is raised now.
    fn end(&mut self, left: &mut dyn Left) {
        let manager = type_name::<E>();
        let last = self.fired.pop();
        for (_, error) in mem::take(&mut self.fired) {
            if let Leaving::Cancelled = self.leaving {
                let left: &mut dyn Left = &mut NothingLeft::alone();
                let who = Who::named(manager, Cause::Cancelled);
                Leaving::Interrupted(error).lost(left, &who);
            }
        }
        let Some((by, error)) = last else { return };
        if by == Source::Outside {
            self.fired.push((by, None));
            return;
        }
        if let Leaving::Cancelled = self.leaving {
            self.leaving = Leaving::Interrupted(error);
        }
        self.interrupt_outside(left);
        let cause = self.leaving.cause();
        let outside = !self.fired.is_empty();
        self.leaving
            .go_on(outside, left, &Who::named(manager, cause));
    }

    /// When the body has ended, before anything is waited for.
    fn begin(&mut self, left: &mut dyn Left) {
        if mem::replace(&mut self.begun, true) {
            return;
        }
        left.drop_interrupt();
        self.interrupt_outside(left);
        if let Some(key) = self.innermost() {
            self.take_turn(Source::Entry(key), self.name(key));
            self.inspect_innermost(key, left);
        }
    }

    fn innermost(&self) -> Option<Key> {
        let in_vector = self.entries.len().checked_sub(1).map(Key::in_vector);
        in_vector.max(self.pile.top())
    }

    /// Where the one that interrupts is reached, its own error is what leaves. A panic has taken its place, if there was one.
    fn take_turn(&mut self, source: Source, name: &'static str) {
        let Some(at) = self.fired.iter().position(|(by, _)| *by == source) else {
            return;
        };
        match self.leaving {
            Leaving::Cancelled => self.leaving = Leaving::Interrupted(self.fired.remove(at).1),
            Leaving::Body(Cause::Panicked) | Leaving::Panicked(_) => {
                let error = self.fired[at].1.take();
                let who = Who::named(name, Cause::Cancelled);
                Leaving::Interrupted(error).lost(&mut NothingLeft::alone() as &mut dyn Left, &who);
            }
            _ => {}
        }
    }

    /// Whoever is further out interrupts in place of an entry.
    fn interrupt_outside(&mut self, left: &dyn Left) {
        if left.is_cancelled() {
            self.overtake(Source::Outside, None, self.just_fired);
        }
    }

    /// Another one interrupts, further out than the one that did before. Of those that do so in the same poll, only the
    /// outermost does.
    fn overtake(&mut self, by: Source, error: Option<E>, at_once: bool) {
        if at_once || self.fired.last().is_some_and(|(_, error)| error.is_none()) {
            self.fired.pop();
        }
        self.fired.push((by, error));
    }

    /// Shows the failure to an entry, if there is one.
    fn inspect(&mut self, entry: &mut dyn Entry<E>, left: &mut dyn Left) {
        let cause = self.leaving.cause();
        if let Cause::Failed(_) = cause {
            let mut shown = Shown {
                leaving: &mut self.leaving,
                left: &mut *left,
            };
            let inspect = || shown.raised(&mut |raised| entry.inspect(raised));
            if let Err(payload) = catch_unwind(AssertUnwindSafe(inspect)) {
                let who = Who::named(entry.name(), cause);
                self.leaving.panic(payload, Phase::Inspect, left, &who);
            }
        }
    }

    /// As a block of its own shows the failure to its manager. One that has lent what it holds to others is shown it when
    /// that is back.
    fn inspect_innermost(&mut self, key: Key, left: &mut dyn Left) {
        let entry = match key.at() {
            Some(_) => self.entries.pop(),
            None => self.pile.take(key),
        };
        let Some(mut entry) = entry else { return };
        if !entry.is_lent() {
            self.inspect(&mut *entry, left);
            self.inspected = Some(key);
        }
        match key.at() {
            Some(_) => self.entries.push(entry),
            None => self.pile.put_back(key, entry),
        }
    }

    /// The next entry, from the top.
    fn pop(&mut self) -> Option<(Key, Box<dyn Entry<E>>)> {
        loop {
            if let Some(top) = self.pile.pop_above(self.entries.len()) {
                return Some(top);
            }
            if let Some(entry) = self.entries.pop() {
                self.pile.shrinks(self.entries.len());
                return Some((Key::in_vector(self.entries.len()), entry));
            }
            if self.is_over() {
                return None;
            }
        }
    }

    /// Whether nothing was registered meanwhile. From then on it is something else.
    fn is_over(&self) -> bool {
        match &self.afterwards {
            Afterwards::Closed => self.pile.close_if_empty(),
            Afterwards::Reopens(home, next) => home.replace_if_empty(next),
            Afterwards::Gone => self.pile.len() == 0,
        }
    }

    /// Polls the interrupts of the entries further out, which cover the exits inside of them. Of those that fire, the
    /// outermost counts.
    fn poll_interrupts(&mut self, key: Key, cx: &mut Context<'_>) {
        let outermost = match self.fired.last() {
            _ if matches!(self.leaving, Leaving::Dropped) => return,
            None => key,
            Some((Source::Entry(fired), _)) => key.min(*fired),
            Some((Source::Gone | Source::Outside, _)) => return,
        };
        loop {
            match self.pile.poll_interrupts(Some(outermost), cx) {
                Fires::Not => return,
                Fires::Panic(of, payload) => {
                    // What runs goes on; nothing is interrupted.
                    let incident = Incident::panic(payload);
                    report_of(
                        self.name(of),
                        Phase::Interrupt,
                        self.leaving.cause(),
                        incident,
                    );
                }
                Fires::Error(by, error) => {
                    self.overtake(Source::Entry(by), error, false);
                    self.just_fired = true;
                    return;
                }
            }
        }
    }

    fn name(&self, key: Key) -> &'static str {
        let name = match key.at() {
            Some(at) => self.entries.get(at).map(|entry| entry.name()),
            None => self.pile.name(key),
        };
        name.unwrap_or_default()
    }

    /// Before a drop: the entry whose turn it is, and whose exit waits, keeps the cause that it was to be told.
    fn keep_cause(&mut self, waits: bool) {
        let waiting = match &self.running {
            Some(running) if running.waits.is_some() => Some((running.key, running.told)),
            None if waits => self.innermost().map(|key| (key, self.leaving.cause())),
            _ => None,
        };
        self.settled = waiting;
    }

    /// Takes note that nobody waits any more: what was going to leave is reported, and the exits that have not begun
    /// are told of the drop.
    fn dropped(&mut self) {
        let name = self
            .running
            .as_ref()
            .map_or(type_name::<E>(), |running| running.name);
        let cause = self.leaving.cause();
        self.entries.iter().for_each(|entry| entry.is_detached());
        self.pile.are_detached();
        let leaving = mem::replace(&mut self.leaving, Leaving::Dropped);
        leaving.lost(
            &mut NothingLeft::alone() as &mut dyn Left,
            &Who::named(name, cause),
        );
        for (by, error) in mem::take(&mut self.fired) {
            let name = match by {
                Source::Entry(key) => self.name(key),
                Source::Gone | Source::Outside => name,
            };
            let who = Who::named(name, Cause::Dropped);
            Leaving::Interrupted(error).lost(&mut NothingLeft::alone() as &mut dyn Left, &who);
        }
        self.pile.forget_all_interrupts();
    }
}

/// What leaves the entries so far, of which the next one is shown the failure.
struct Shown<'a, E> {
    leaving: &'a mut Leaving<Cause, E>,
    left: &'a mut dyn Left,
}

impl<E: Debug + 'static> Left for Shown<'_, E> {
    fn raised(&mut self, show: &mut dyn FnMut(Raised<'_>)) {
        match &mut self.leaving {
            Leaving::Raised(error) => show(Raised::new(error, self.left.view())),
            _ => self.left.raised(show),
        }
    }

    fn view(&self) -> Option<AsError> {
        self.left.view()
    }

    fn failure(&mut self) -> Option<Incident> {
        self.left.failure()
    }

    fn give_up(&mut self) -> Result<(), Payload> {
        self.left.give_up()
    }

    fn drop_interrupt(&mut self) {
        self.left.drop_interrupt();
    }

    fn is_cancelled(&self) -> bool {
        self.left.is_cancelled()
    }

    fn is_not_cancelled(&self) -> bool {
        self.left.is_not_cancelled()
    }
}

/// Dropped before it has come to its end, as where the runtime shuts down, each exit that is missing is reported by its own
/// name.
impl<E: 'static> Drop for Unwind<E> {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            report::cut_off(running.name);
        }
        for at in (0..=self.entries.len()).rev() {
            let between = self.pile.names_below(at);
            between.into_iter().rev().for_each(report::cut_off);
            if let Some(entry) = at.checked_sub(1).and_then(|at| self.entries.get(at)) {
                report::cut_off(entry.name());
            }
        }
        if let Afterwards::Closed = self.afterwards {
            self.pile.close();
        }
    }
}

/// The exit of a stack. Dropped before it is finished, it goes on elsewhere.
pub(super) struct StackExit<E: Debug + Send + 'static> {
    manager: &'static str,
    /// What it waits for before the first exit.
    wait: Option<BoxFuture<()>>,
    unwind: Option<Unwind<E>>,
    owed: Option<Level>,
    /// Keeps another `close` waiting.
    closing: Option<Ticket>,
}

impl<E: Debug + Send + 'static> StackExit<E> {
    /// That of a stack which ends with it.
    pub(super) fn for_good(
        manager: &'static str,
        entries: boxcar::Vec<Box<dyn Entry<E>>>,
        pile: Arc<Pile<E>>,
        cause: Cause,
        fired: Fired<E>,
        wait: Option<BoxFuture<()>>,
        owed: Option<Level>,
    ) -> Self {
        let unwind = Unwind::new(entries, pile, cause, fired, Afterwards::Closed);
        Self {
            manager,
            wait,
            unwind: Some(unwind),
            owed,
            closing: None,
        }
    }

    /// That of a stack which goes on with the next pile.
    pub(super) fn for_reuse(
        manager: &'static str,
        entries: boxcar::Vec<Box<dyn Entry<E>>>,
        home: Arc<Home<E>>,
        next: Arc<Pile<E>>,
        wait: Option<BoxFuture<()>>,
        level: Level,
    ) -> Self {
        let closing = home.closing.ticket();
        let pile = home.pile();
        let afterwards = Afterwards::Reopens(home, next);
        let unwind = Unwind::new(entries, pile, Cause::Completed, Vec::new(), afterwards);
        Self {
            manager,
            wait,
            unwind: Some(unwind),
            owed: Some(level),
            closing: Some(closing),
        }
    }

    pub(super) fn poll_with(
        &mut self,
        cx: &mut Context<'_>,
        left: &mut dyn Left,
    ) -> Poll<Exited<Verdict, E>> {
        if let Some(unwind) = &mut self.unwind {
            unwind.begin(left);
            if let Some(wait) = &mut self.wait {
                if wait.as_mut().poll(cx).is_pending() {
                    if let Some(innermost) = unwind.innermost() {
                        unwind.poll_interrupts(innermost, cx);
                    }
                    return Poll::Pending;
                }
                self.wait = None;
            }
            ready!(unwind.poll(cx, left));
        }
        let Some(mut unwind) = self.unwind.take() else {
            return Poll::Pending;
        };
        self.closing = None;
        unwind.pile.forget_all_interrupts();
        let leaving = mem::replace(&mut unwind.leaving, Leaving::Dropped);
        Poll::Ready(match leaving {
            Leaving::Panicked(payload) => Exited::Panicked(payload),
            Leaving::Raised(error) => Exited::Failed(error),
            _ => Exited::Returned(unwind.suppressed),
        })
    }

    /// Whose exit is running.
    pub(super) fn running(&self) -> Option<&'static str> {
        Some(self.unwind.as_ref()?.running.as_ref()?.name)
    }

    pub(super) fn take_owed(&mut self) -> Option<Level> {
        self.owed.take()
    }
}

impl<E: Debug + Send + 'static> Drop for StackExit<E> {
    fn drop(&mut self) {
        let Some(mut unwind) = self.unwind.take() else {
            return;
        };
        unwind.keep_cause(self.wait.is_some());
        if unwind.just_fired && nest::is_interrupted() {
            // Whoever is further out has interrupted in the very same poll.
            unwind.fired.pop();
        }
        unwind.dropped();
        if let Afterwards::Reopens(home, next) =
            mem::replace(&mut unwind.afterwards, Afterwards::Gone)
        {
            home.replace(next);
        } else {
            unwind.afterwards = Afterwards::Closed;
        }
        let is_done = unwind.entries.is_empty() && unwind.running.is_none() && unwind.is_over();
        if self.wait.is_none() && is_done {
            return;
        }
        let (manager, cause) = match &unwind.running {
            Some(running) => (running.name, running.told),
            None => (self.manager, unwind.leaving.cause()),
        };
        let (wait, closing) = (self.wait.take(), self.closing.take());
        detach_exit(manager, cause, self.owed.take(), async move {
            let _closing = closing;
            if let Some(wait) = wait {
                wait.await;
            }
            poll_fn(|cx| unwind.poll(cx, &mut NothingLeft::alone())).await;
        });
    }
}
