//! The nest: which levels are open in which, who waits for whom, who is interrupted, and what is owed.
//!
//! A *level* is a block, from its enter to the end of its exit; the frame of a generator; an exit that runs in the middle
//! of a body; an enter that outlives its body. Each has one slot in a table that all threads can read.
//!
//! # Invariants
//!
//! 1. A thread-local says which level the running code is in: while a driver polls or drops the body of a level, that is
//!    the *current* one, and while an exit is polled, its level is the *exiting* one. Both are what they were before as
//!    soon as the poll ends, also by a panic.
//! 2. What a level is inside of is what was exiting, or else current, in the same task, when it was polled last. There is
//!    no other way to find that out. (A level may lie deeper than where it is polled: a block whose resource is that of a
//!    generator is inside of the blocks around the yield. That is noted when its enter is over.)
//! 3. A level that waits for clean-up has a set of [`Children`]; the clean-up has a ticket of it. What is dropped with
//!    tickets out passes them on to what it is inside of.
//! 4. Nothing of the user's runs under a lock of the nest: wakers are woken, and values dropped, behind it.

mod children;
mod current;
mod drain;
mod handover;
mod member;
mod slot;

use std::future::poll_fn;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use current::{Current, current};

pub(crate) use children::{Children, Moment, Ticket, Wait};
#[cfg(feature = "tokio")]
pub use drain::drain_timeout;
pub use drain::{PendingExit, drain, pending_exits};
#[cfg(feature = "testing")]
pub(crate) use handover::local;
pub(crate) use handover::{abandoning, detach_exit, drop_caught};
pub use handover::{detach, set_spawner};
pub(crate) use member::{Member, Progress};
use slot::{
    AROUND, COLD, DETACHED, ENTERING, EXITING, GIVEN_UP, HAS_RUNTIME, HIDDEN, MARKED, MEMBER, PART,
    RESUMED, RUNS_OUT, SHIELD, Slot,
};

use crate::Cause;
use crate::executor::{Runtime, Task};

const NO_CONTEXT: usize = 0;

#[inline]
fn address(cx: Option<&Context<'_>>) -> usize {
    cx.map_or(NO_CONTEXT, |cx| std::ptr::from_ref(cx) as usize)
}

/// What a level is inside of, and where it runs.
#[derive(Clone, Copy)]
struct Whereabouts {
    task: Task,
    under: Option<Place>,
    /// It is polled by what it is inside of, directly.
    is_nested: bool,
}

impl Current {
    #[inline]
    fn whereabouts(&self, context: usize) -> Whereabouts {
        let innermost = self.exiting.get().or(self.level.get());
        if context != NO_CONTEXT && context == self.context.get() {
            return Whereabouts {
                task: self.task.get(),
                under: innermost.map(Slot::place),
                is_nested: true,
            };
        }
        let task = Task::current();
        Whereabouts {
            task,
            under: innermost
                .filter(|_| task == self.task.get())
                .map(Slot::place),
            is_nested: false,
        }
    }

    /// The level whose body runs, if it is in this task.
    fn body(&self) -> Option<&'static Slot> {
        self.level
            .get()
            .filter(|_| self.task.get() == Task::current())
    }
}

/// A slot, and the how-manieth use of it.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    slot: &'static Slot,
    generation: usize,
}

impl PartialEq for Place {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.slot, other.slot) && self.generation == other.generation
    }
}

impl Eq for Place {}

impl Place {
    /// The slot, if it is that of the same level still.
    #[inline]
    fn open(self) -> Option<&'static Slot> {
        (self.slot.generation() == self.generation).then_some(self.slot)
    }

    /// The manager's name, if the level is still open.
    pub(crate) fn name(self) -> &'static str {
        self.open().map_or("", Slot::name)
    }
}

/// What few levels have.
#[derive(Default)]
struct Cold {
    children: Option<Arc<Children>>,
    member: Option<Member>,
    /// How the block ended that a generator in the body gave its resource to.
    mark: Option<Cause>,
    /// The runtime, of a level that has waited and is inside of none.
    runtime: Runtime,
    /// The levels of generators that are around the body: each generator's innermost one, and its own.
    yielded: Vec<(Place, Place)>,
    /// Of an exit that goes on alone: where its ticket is from.
    waited_for_in: Option<Arc<Children>>,
    #[cfg(feature = "tracing")]
    span: Option<tracing::Span>,
}

impl Slot {
    /// Looks at what few levels have, if it is one of these.
    #[inline]
    fn seldom<T>(&self, look: impl FnOnce(&mut Cold) -> Option<T>) -> Option<T> {
        if !self.has(COLD) {
            return None;
        }
        look(&mut self.cold())
    }

    fn change<T>(&self, change: impl FnOnce(&mut Cold) -> T) -> T {
        self.set(COLD, true);
        change(&mut self.cold())
    }

    /// What it is inside of.
    fn outward(&self) -> Option<Place> {
        let around = |cold: &mut Cold| {
            let mut innermost = cold.yielded.iter().rev().map(|(innermost, _)| *innermost);
            innermost.find(|innermost| innermost.open().is_some())
        };
        let around = self.has(AROUND).then(|| self.seldom(around));
        around.flatten().or_else(|| self.under())
    }

    /// The membership of what is opened in the body: clean-up is not interrupted, nor what a shield is around.
    fn node(&self) -> Option<Member> {
        let flags = self.flags.load(Relaxed);
        if flags & (EXITING | SHIELD | RESUMED) != 0 {
            None
        } else if flags & MEMBER != 0 {
            self.seldom(|cold| cold.member.clone())
        } else if flags & HIDDEN != 0 {
            self.under()?.open()?.node()
        } else {
            None
        }
    }
}

/// From a level outwards.
fn outwards(from: Option<Place>) -> impl Iterator<Item = &'static Slot> {
    std::iter::successors(from.and_then(Place::open), |slot| {
        slot.outward().and_then(Place::open)
    })
}

/// A level that is open, until this is dropped. What was detached in it and still runs is passed on then.
pub struct Level(&'static Slot);

impl Level {
    #[inline]
    fn open_as(name: &'static str, flags: usize, context: usize) -> Self {
        current(|current| {
            let slot = current.free.take();
            let number = current.numbers.get() + 1;
            current.numbers.set(number);
            slot.open(name, flags, number);
            let at = current.whereabouts(context);
            let runtime = match at.under {
                Some(under) if at.is_nested => under.slot.runtime.load(Relaxed),
                _ => Runtime::current().id(),
            };
            slot.set_under(at.under);
            slot.task.store(at.task.0, Relaxed);
            slot.runtime.store(runtime, Relaxed);
            slot.show();
            #[cfg(feature = "tracing")]
            if flags & HIDDEN == 0 {
                note_span(slot);
            }
            Self(slot)
        })
    }

    /// A level whose exit is owed from now on.
    pub(crate) fn armed(name: &'static str) -> Self {
        Self::open_as(name, 0, NO_CONTEXT)
    }

    /// A level of an enter: what will be owed is not yet.
    #[inline]
    pub(crate) fn entering(name: &'static str, cx: &Context<'_>) -> Self {
        Self::open_as(name, HIDDEN | ENTERING, address(Some(cx)))
    }

    /// A level of what is a part of the one that is current, and was not entered.
    pub(crate) fn part(name: &'static str) -> Self {
        Self::open_as(name, PART, NO_CONTEXT)
    }

    /// A level of code that is polled apart, as that of a generator is: nothing is owed for it.
    pub(crate) fn hidden(name: &'static str, cx: &Context<'_>) -> Self {
        Self::open_as(name, HIDDEN, address(Some(cx)))
    }

    /// The same, of what goes on when the body around it ends: interruptions do not reach into it.
    pub(crate) fn shielded(name: &'static str) -> Self {
        Self::open_as(name, HIDDEN | SHIELD, NO_CONTEXT)
    }

    /// A level of an exit that runs in the middle of a body.
    pub(crate) fn exiting_early(name: &'static str) -> Self {
        Self::open_as(name, EXITING, NO_CONTEXT)
    }

    /// The enter is over: the exit is owed from now on. It is inside of the generators that yielded meanwhile.
    #[inline]
    pub(crate) fn arm(&self) {
        let Self(slot) = self;
        if slot.has(COLD)
            && let Some(yielded) = slot.seldom(|cold| Some(cold.yielded.clone()))
            && !yielded.is_empty()
        {
            move_into(slot, &yielded);
            slot.set(AROUND, true);
        }
        slot.set(HIDDEN | ENTERING, false);
        #[cfg(feature = "tracing")]
        note_span(slot);
        slot.reopen();
    }

    /// What was entered is a part of what is entered here, or of the body: so the generators are around that, which also owes
    /// its exit. It is listed by itself.
    pub(crate) fn join(&self) {
        let Self(slot) = self;
        let whole = enclosing().and_then(Place::open);
        let is_open = whole.is_some_and(|whole| !whole.has(ENTERING));
        if let Some(whole) = whole.filter(|_| !is_open) {
            slot.set_under(Some(whole.place_when_armed()));
        }
        if let Some(yielded) = slot.seldom(|cold| Some(std::mem::take(&mut cold.yielded)))
            && let Some(whole) = whole
            && !yielded.is_empty()
        {
            if is_open {
                move_into(whole, &yielded);
            }
            whole.change(|cold| cold.yielded.extend(yielded));
            whole.set(AROUND, is_open);
        }
        // What was detached in the enter is waited for where the part is exited.
        if let Some(children) = self.take_children() {
            children.pass_on();
        }
        slot.set(PART, true);
        slot.set(HIDDEN | ENTERING, false);
        slot.reopen();
    }

    /// Whether the exit of what it is a part of goes on without its block, is seen from where it runs.
    pub(crate) fn follow_whole(&self) {
        if enclosing()
            .and_then(Place::open)
            .is_some_and(|whole| whole.has(DETACHED))
        {
            self.is_detached();
        }
    }

    /// The exit of what it is a part of goes on without its block.
    pub(crate) fn is_detached(&self) {
        self.0.set(DETACHED, true);
        self.waits();
    }

    #[inline]
    pub(crate) fn place(&self) -> Place {
        self.0.place()
    }

    #[inline]
    pub(crate) fn name(&self) -> &'static str {
        self.0.name()
    }

    /// Makes this the current level until the guard is dropped, also when that is during a panic. Takes note of where it is
    /// now: its future may have moved since the last poll.
    #[inline]
    pub(crate) fn enter(&self, cx: Option<&Context<'_>>) -> Inside {
        let Self(slot) = self;
        let context = address(cx);
        current(|current| {
            let at = current.whereabouts(context);
            if at.under != slot.under()
                || at.task.0 != slot.task.load(Relaxed)
                || at.task == Task::UNKNOWN
            {
                follow(slot, at);
            }
            if !at.is_nested {
                current.now.set(0);
                current.is_noted.set(false);
            }
            Inside {
                level: current.level.replace(Some(slot)),
                exiting: current.exiting.take(),
                task: current.task.replace(at.task),
                context: current.context.replace(context),
            }
        })
    }

    /// Whether somebody interrupts, or may: then [`node`](Self::node) has to be looked at.
    #[inline]
    pub(crate) fn may_be_member(&self) -> bool {
        const SELDOM: usize = MEMBER | HIDDEN;
        self.0.has(MEMBER | AROUND) || self.0.under().is_some_and(|under| under.slot.has(SELDOM))
    }

    /// The membership of what the body is in.
    pub(crate) fn node(&self) -> Option<Member> {
        body_node(self.0)
    }

    #[inline]
    pub(crate) fn member(&self) -> Option<Member> {
        if !self.0.has(MEMBER) {
            return None;
        }
        self.0.seldom(|cold| cold.member.clone())
    }

    /// Whether a manager further out interrupts.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.member().is_some_and(|member| member.is_cancelled())
    }

    pub(crate) fn become_member(&self) -> Member {
        become_member(self.0)
    }

    /// It is interrupted no more.
    fn end_membership(&self) {
        if self.0.has(MEMBER) {
            self.0.set(MEMBER, false);
            let member = self.0.change(|cold| cold.member.take());
            if let Some(member) = member {
                member.end();
            }
        }
    }

    /// Takes note that it waits.
    #[inline]
    pub(crate) fn waits(&self) {
        waits(self.0);
    }

    /// It is interrupted around the yield of a generator: what stands behind that is run all the same.
    pub(crate) fn runs_out(&self, at_yield: AtYield) {
        self.0.set(RUNS_OUT, true);
        if at_yield == AtYield::Resumes {
            self.0.set(RESUMED, true);
        }
    }

    /// Whether what stands behind that yield is run to its end.
    pub(crate) fn is_to_run_out(&self) -> bool {
        self.0.has(RUNS_OUT)
    }

    /// Takes note that its exit has begun. The generators around the body are a part of it.
    #[inline]
    pub(crate) fn begin_exit(&self) {
        self.0.set(EXITING, true);
        self.0.set(AROUND, false);
    }

    #[inline]
    pub(crate) fn take_children(&self) -> Option<Arc<Children>> {
        self.0.seldom(|cold| cold.children.take())
    }

    /// How a block ended that a generator in the body gave its resource to, if it did not complete.
    #[inline]
    pub(crate) fn marked(&self) -> Option<Cause> {
        if !self.0.has(MARKED) {
            return None;
        }
        self.0.seldom(|cold| cold.mark)
    }

    /// The runtime that a level belongs to, of those that have waited.
    fn runtime_of(place: Place) -> Runtime {
        outwards(Some(place))
            .find_map(|slot| {
                slot.seldom(|cold| cold.runtime.is_known().then(|| cold.runtime.clone()))
            })
            .unwrap_or_default()
    }
}

impl Drop for Level {
    #[inline]
    fn drop(&mut self) {
        let Self(slot) = self;
        if slot.has(COLD) {
            empty(slot);
        }
        slot.give_back();
        drain::wake_waiting();
    }
}

#[inline]
fn waits(slot: &Slot) {
    current(|current| {
        if slot.since.load(Relaxed) == 0 {
            let _ = slot
                .since
                .compare_exchange(0, now(current), Relaxed, Relaxed);
        }
        // One inside that waits has the runtime for all that it is dropped with.
        if !slot.has(HAS_RUNTIME) && !current.is_noted.get() {
            note_runtime(slot);
        }
        current.is_noted.set(true);
    });
}

#[cold]
#[inline(never)]
fn note_runtime(slot: &Slot) {
    let runtime = Runtime::current();
    if runtime.is_known() {
        slot.set(HAS_RUNTIME, true);
        slot.change(|cold| cold.runtime = runtime);
    }
}

#[cold]
#[inline(never)]
fn empty(slot: &Slot) {
    let cold = std::mem::take(&mut *slot.cold());
    if let Some(member) = &cold.member {
        member.end();
    }
    if let Some(children) = &cold.children {
        children.pass_on();
    }
}

/// The level is inside of these generators from now on, one in the other.
#[cold]
fn move_into(slot: &Slot, generators: &[(Place, Place)]) {
    let mut outside = slot.outward();
    for (innermost, generator) in generators {
        let Some(frame) = generator.open() else {
            continue;
        };
        frame.set_under(outside);
        outside = Some(*innermost);
        let levels = outwards(outside).take_while(|level| level.place() != *generator);
        let outermost = levels
            .filter_map(|level| level.seldom(|cold| cold.member.clone()))
            .last();
        if let Some(outermost) = outermost {
            outermost.move_to(frame.node().as_ref());
        }
    }
    if let Some(member) = slot.seldom(|cold| cold.member.clone()) {
        let node = outside.and_then(Place::open).and_then(Slot::node);
        member.move_to(node.as_ref());
    }
}

/// The membership of what the body of a level is in.
fn body_node(slot: &Slot) -> Option<Member> {
    let node = |place: Option<Place>| place?.open()?.node();
    let around = node(slot.outward());
    let own = || slot.seldom(|cold| cold.member.clone());
    // As long as a generator that was entered in this very body is not polled around it, it is inside of it.
    let is_inside = slot.has(AROUND)
        && around
            .as_ref()
            .zip(own())
            .is_some_and(|(around, own)| around.is_inside(&own));
    if is_inside {
        node(slot.under())
    } else {
        around
    }
}

/// A generator goes on after its yield: its levels are around nothing any more.
pub(crate) fn goes_on(generator: Place) {
    let under = std::iter::successors(enclosing().and_then(Place::open), |slot| {
        slot.under()?.open()
    });
    for slot in under {
        let is_left = slot.seldom(|cold| {
            cold.yielded.retain(|(_, other)| *other != generator);
            Some(!cold.yielded.is_empty())
        });
        if slot.has(AROUND) && is_left == Some(false) {
            slot.set(AROUND, false);
        }
        // What is in their place is not polled before somebody may interrupt.
        if is_left.is_some()
            && !slot.has(EXITING)
            && let Some(member) = slot.seldom(|cold| cold.member.clone())
        {
            member.move_to(body_node(slot).as_ref());
        }
    }
}

/// The level has moved.
#[cold]
#[inline(never)]
fn follow(slot: &'static Slot, at: Whereabouts) {
    slot.set_under(at.under);
    slot.task.store(at.task.0, Relaxed);
    let runtime = match at.under {
        Some(under) if at.is_nested => under.slot.runtime.load(Relaxed),
        // Outside of a runtime, the one before is the one to clean up on.
        _ => match Runtime::current().id() {
            0 => return,
            runtime => runtime,
        },
    };
    move_to(slot, runtime);
}

fn move_to(slot: &Slot, runtime: u64) {
    if slot.runtime.swap(runtime, SeqCst) != runtime {
        slot.set(HAS_RUNTIME, false);
        let _before = slot.seldom(|cold| Some(std::mem::take(&mut cold.runtime)));
        drain::wake_waiting();
    }
}

#[cfg(feature = "tracing")]
fn note_span(slot: &Slot) {
    let span = tracing::Span::current();
    if !span.is_none() {
        slot.change(|cold| cold.span = Some(span));
    }
}

/// What was current before.
pub(crate) struct Inside {
    level: Option<&'static Slot>,
    exiting: Option<&'static Slot>,
    task: Task,
    context: usize,
}

impl Drop for Inside {
    #[inline]
    fn drop(&mut self) {
        current(|current| {
            current.level.set(self.level);
            current.exiting.set(self.exiting);
            current.task.set(self.task);
            current.context.set(self.context);
        });
    }
}

/// Polls the exit of a level, in the body that is current.
#[inline]
pub(crate) fn exiting<T>(
    level: Place,
    is_given_up: bool,
    cx: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    let Some(slot) = level.open() else {
        return poll(cx);
    };
    if is_given_up != slot.has(GIVEN_UP) {
        slot.set(GIVEN_UP, is_given_up);
    }
    let inside = enter_exit(slot, cx);
    let polled = poll(cx);
    drop(inside);
    if polled.is_pending()
        && let Some(slot) = level.open()
    {
        waits(slot);
    }
    polled
}

#[inline]
fn enter_exit(slot: &'static Slot, cx: &Context<'_>) -> Inside {
    let context = address(Some(cx));
    current(|current| {
        let at = current.whereabouts(context);
        let is_here = at.task == current.task.get();
        if !at.is_nested && at.under.is_none() {
            current.now.set(0);
            current.is_noted.set(false);
        }
        if at.under != slot.under() || at.task.0 != slot.task.load(Relaxed) {
            follow(slot, at);
        }
        let body = current.level.get();
        Inside {
            // What is current may be another task's.
            level: current.level.replace(body.filter(|_| is_here)),
            exiting: current.exiting.replace(Some(slot)),
            task: current.task.replace(at.task),
            context: current.context.replace(context),
        }
    })
}

/// The innermost level that encloses the running code in the same task.
pub(crate) fn enclosing() -> Option<Place> {
    current(|current| current.whereabouts(NO_CONTEXT).under)
}

/// Whether the running code is in a body that is interrupted, and stands still but for the exits inside.
#[inline]
pub(crate) fn is_interrupted() -> bool {
    let innermost = current(|current| current.exiting.get().or(current.level.get()));
    // Most are in none that may be.
    innermost.is_some_and(|slot| slot.has(MEMBER | HIDDEN)) && is_interrupted_here()
}

#[cold]
#[inline(never)]
fn is_interrupted_here() -> bool {
    node().is_some_and(|node| node.is_interrupted())
}

/// Goes on unless the running code is in a body that is interrupted, where nothing does.
pub(crate) async fn go_on() {
    poll_fn(|_| {
        if is_interrupted() {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
}

/// The membership of what the running code is in.
pub(crate) fn node() -> Option<Member> {
    enclosing()?.open()?.node()
}

/// Leaves a note in the block that encloses the running code: when its body ends, it is as if it had ended so (rule
/// GEN-6).
pub(crate) fn mark(cause: Cause) {
    if cause != Cause::Completed
        && let Some(slot) = current(Current::body)
    {
        slot.set(MARKED, true);
        slot.change(|cold| cold.mark = Some(cause));
    }
}

/// Lets the level that is being entered know that a generator has yielded, which has this level. Returns whether levels of
/// the generator are around the yield.
pub(crate) fn has_yielded(generator: Place) -> bool {
    let Some(innermost) = enclosing().filter(|innermost| *innermost != generator) else {
        return false;
    };
    let entering = outwards(generator.open().and_then(Slot::under))
        .take_while(|slot| slot.has(HIDDEN))
        .find(|slot| slot.has(ENTERING));
    if let Some(entering) = entering {
        entering.change(|cold| cold.yielded.push((innermost, generator)));
    }
    true
}

/// Where a generator stands whose body is polled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtYield {
    Not,
    /// It has lent what lies in it, and nothing of it may be dropped.
    Lends,
    /// It is going to go on after it.
    Resumes,
}

impl AtYield {
    pub(crate) fn now() -> Self {
        current(|current| current.at_yield.get())
    }

    /// Polls the body of a generator that stands so.
    pub(crate) fn run<T>(self, run: impl FnOnce() -> T) -> T {
        struct Restore(AtYield);
        impl Drop for Restore {
            fn drop(&mut self) {
                current(|current| current.at_yield.set(self.0));
            }
        }
        let _restore = Restore(current(|current| current.at_yield.replace(self)));
        run()
    }
}

/// What surrounds a manager when it is entered.
#[cfg_attr(not(feature = "tokio"), allow(dead_code))]
pub(crate) struct Surroundings(Option<Place>);

#[cfg_attr(not(feature = "tokio"), allow(dead_code))]
impl Surroundings {
    /// The exit that the running code is a part of, if it is one of any.
    pub(crate) fn here() -> Self {
        Self(exits_outwards().next().map(Slot::place))
    }

    /// Whether nobody waits any more for what is waited for here: an exit has begun since, of a block that was dropped, or
    /// is interrupted from further out, and this is a part of it.
    pub(crate) fn are_given_up(&self) -> bool {
        exits_outwards()
            .take_while(|slot| Some(slot.place()) != self.0)
            .any(|slot| slot.has(GIVEN_UP | DETACHED))
    }
}

fn exits_outwards() -> impl Iterator<Item = &'static Slot> {
    outwards(enclosing()).filter(|slot| slot.has(EXITING))
}

/// Takes part in the interruptions of what the running code is in. Returns whether the level is interrupted.
pub(crate) fn take_part(level: Place, waker: &Waker) -> bool {
    let Some(slot) = level.open() else {
        return false;
    };
    let node = node();
    if node.is_none() && !slot.has(MEMBER) {
        return false;
    }
    let member = become_member(slot);
    member.polled(node, waker);
    member.is_cancelled()
}

fn become_member(slot: &Slot) -> Member {
    slot.set(MEMBER, true);
    slot.change(|cold| cold.member.get_or_insert_with(Member::new).clone())
}

/// The level that waits for a task, once its enter is over; and what that is a part of, if it is.
pub(crate) type Waiting = [Option<Place>; 2];

/// The levels that are being entered.
#[cfg_attr(not(feature = "tokio"), allow(dead_code))]
pub(crate) fn entering() -> Waiting {
    let mut entering = outwards(enclosing())
        .take_while(|slot| slot.has(HIDDEN))
        .filter(|slot| slot.has(ENTERING))
        .map(Slot::place_when_armed);
    let innermost = entering.next();
    [innermost, entering.last()]
}

/// Polls a task that a block waits for.
#[cfg_attr(not(feature = "tokio"), allow(dead_code))]
pub(crate) fn waited_by<T>(block: Waiting, run: impl FnOnce() -> T) -> T {
    struct Restore(Waiting);
    impl Drop for Restore {
        fn drop(&mut self) {
            current(|current| current.waited_by.set(self.0));
        }
    }
    let _restore = Restore(current(|current| current.waited_by.replace(block)));
    run()
}

/// The time, where there is a clock: on `wasm32-unknown-unknown`, the standard library's panics. It is read once for all
/// that is polled together.
fn now(current: &Current) -> u64 {
    if current.now.get() == 0 {
        current.now.set(read_clock());
    }
    current.now.get()
}

static START: OnceLock<Instant> = OnceLock::new();

fn read_clock() -> u64 {
    if cfg!(all(target_family = "wasm", target_os = "unknown")) {
        return 1;
    }
    let since_start = START.get_or_init(Instant::now).elapsed();
    u64::try_from(since_start.as_nanos()).unwrap_or(u64::MAX - 1) + 1
}

fn instant(at: u64) -> Instant {
    match at.checked_sub(1) {
        Some(nanoseconds) => *START.get_or_init(Instant::now) + Duration::from_nanos(nanoseconds),
        None => Instant::now(),
    }
}
