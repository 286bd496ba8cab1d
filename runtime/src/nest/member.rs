//! Cooperative interruption (rule CAN-6): which levels are open inside of one that a manager interrupts.
//!
//! Only levels under a manager that may interrupt are members. When it does, every member inside is told and woken; each
//! drops its body once no member is left inside of it, and leaves when its exit is done. The interrupting level goes on
//! when all have left.
//!
//! # Who is no longer polled
//!
//! A body may hold a block that it does not poll any more: the loser of a `select`, say. It is told, and does not answer.
//! So those inside are *asked*, which is to wake them: who is polled then, answers. When the body does nothing more of its
//! own, nobody has answered, and nothing outside is there that could wake it, the level does not wait for them any more.
//! When there is, it waits a while: the body may poll them again.
//!
//! # Invariants
//!
//! 1. A member is inside of one other, or of none, and knows its number there.
//! 2. To tell, to ask and to count is linear in those who are told, asked, and counted: each is asked anew only after so
//!    many polls as there are members.
//! 3. No two members are locked at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, Weak};
use std::task::{Context, Wake, Waker};

use super::drain::wake;
use crate::executor::Patience;
use crate::sync::{Mutex, MutexGuard};

/// After so many polls for each of those inside they are asked anew.
const REST: usize = 8;

/// A level's membership, from the first poll of its body to the end of its exit.
#[derive(Clone)]
pub(crate) struct Member(Arc<Shared>);

#[derive(Default)]
struct Shared(Mutex<State>);

#[derive(Default)]
struct State {
    /// And by which number it knows this member.
    parent: Option<(Member, u64)>,
    /// In the order in which they came in.
    inside: BTreeMap<u64, Weak<Shared>>,
    next: u64,
    waker: Option<Waker>,
    /// The level's own manager interrupts it.
    fired: bool,
    /// A manager further out interrupts it.
    cancelled: bool,
    /// The last question of its parent that it has answered.
    answered: u64,
    asking: Asking,
}

/// What a member knows of those inside.
#[derive(Default)]
struct Asking {
    /// The how-manieth time.
    question: u64,
    is_open: bool,
    answers: usize,
    /// One of those inside was polled.
    is_live: bool,
    /// How many polls there have to be before the next question.
    rest: usize,
    watch: Option<Arc<Watch>>,
    patience: Option<Patience>,
    is_out_of_patience: bool,
}

impl Asking {
    fn ask(&mut self) {
        self.question += 1;
        self.is_open = true;
        self.answers = 0;
    }
}

impl State {
    fn is_interrupted(&self) -> bool {
        self.fired || self.cancelled
    }
}

/// How it is with those inside of a level that is interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// No level is open inside.
    Alone,
    /// Something goes on, and wakes.
    Waiting,
    /// Nobody polls them any more.
    GivenUp,
}

/// Notices that a body wakes itself.
struct Watch {
    is_woken: AtomicBool,
    waker: Waker,
}

impl Wake for Watch {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        self.waker.wake_by_ref();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inside(&self) -> Vec<Arc<Self>> {
        self.lock()
            .inside
            .values()
            .filter_map(Weak::upgrade)
            .collect()
    }

    /// Tells those inside.
    fn tell_inside(&self) {
        self.lock().asking.ask();
        let mut wakers = Vec::new();
        for inner in self.inside() {
            inner.tell(&mut wakers);
        }
        wake(wakers.into_iter());
    }

    fn tell(&self, wakers: &mut Vec<Waker>) {
        {
            let mut state = self.lock();
            state.cancelled = true;
            state.asking.ask();
            wakers.extend(state.waker.clone());
        }
        for inner in self.inside() {
            inner.tell(wakers);
        }
    }

    /// How many of those inside, at any depth, wait to be woken by this.
    fn count_wakers(&self, of: &Waker) -> usize {
        let inside = self.inside().into_iter();
        inside
            .map(|inner| {
                let waits = |waker: &Waker| usize::from(waker.will_wake(of));
                let own = inner.lock().waker.as_ref().map_or(0, waits);
                own + inner.count_wakers(of)
            })
            .sum()
    }
}

impl Member {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    /// Whether nothing goes on in the body any more but the exits inside of it.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.0.lock().is_interrupted()
    }

    /// Whether a manager further out interrupts.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.0.lock().cancelled
    }

    /// Whether no level is open inside.
    pub(crate) fn is_alone(&self) -> bool {
        self.0.lock().inside.is_empty()
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Returns the number by which it knows the member from now on.
    fn let_in(&self, inner: &Arc<Shared>) -> u64 {
        let mut state = self.0.lock();
        let number = state.next;
        state.next += 1;
        state.inside.insert(number, Arc::downgrade(inner));
        number
    }

    /// Takes note of a poll, and of who encloses the level now: a future may move between polls.
    pub(crate) fn polled(&self, enclosing: Option<Member>, waker: &Waker) {
        self.move_to(enclosing.as_ref());
        // One that went elsewhere before its body was dropped goes on there.
        let is_cancelled = enclosing.as_ref().is_some_and(Member::is_interrupted);
        let before = {
            let mut state = self.0.lock();
            state.cancelled = is_cancelled;
            match &state.waker {
                Some(known) if known.will_wake(waker) => None,
                _ => state.waker.replace(waker.clone()),
            }
        };
        // Dropped without the lock: a task may go with its last waker, and blocks with it.
        drop(before);
        if is_cancelled && let Some(parent) = enclosing {
            self.answer(&parent);
        }
    }

    /// It is inside of another one from now on, or of none.
    pub(crate) fn move_to(&self, enclosing: Option<&Member>) {
        let is_there = {
            let state = self.0.lock();
            match (&state.parent, enclosing) {
                (Some((parent, _)), Some(enclosing)) => parent.is(enclosing),
                (None, None) => true,
                _ => false,
            }
        };
        if is_there {
            return;
        }
        self.leave();
        let entered = enclosing.map(|parent| (parent.clone(), parent.let_in(&self.0)));
        self.0.lock().parent = entered;
    }

    /// Whether it is inside of that one, at whatever depth.
    pub(crate) fn is_inside(&self, outer: &Member) -> bool {
        let parent = |member: &Member| {
            let state = member.0.lock();
            state.parent.as_ref().map(|(parent, _)| parent.clone())
        };
        std::iter::successors(Some(self.clone()), parent).any(|member| member.is(outer))
    }

    /// Its level has ended: what is still inside of it is inside of what it was in.
    pub(crate) fn end(&self) {
        let parent = self
            .0
            .lock()
            .parent
            .as_ref()
            .map(|(parent, _)| parent.clone());
        for inner in self.0.inside() {
            Member(inner).move_to(parent.as_ref());
        }
        self.leave();
    }

    fn answer(&self, parent: &Member) {
        let question = {
            let mut state = parent.0.lock();
            state.asking.is_live = true;
            state.asking.question
        };
        let is_new = {
            let mut state = self.0.lock();
            std::mem::replace(&mut state.answered, question) != question
        };
        if is_new {
            parent.0.lock().asking.answers += 1;
        }
    }

    /// The level's own manager interrupts.
    pub(crate) fn fire(&self) {
        self.0.lock().fired = true;
        self.0.tell_inside();
    }

    /// Lets what it is inside of go on without this one.
    fn leave(&self) {
        let (parent, answered) = {
            let mut state = self.0.lock();
            (state.parent.take(), state.answered)
        };
        let Some((parent, number)) = parent else {
            return;
        };
        let waker = {
            let mut state = parent.0.lock();
            if state.inside.remove(&number).is_some() && answered == state.asking.question {
                state.asking.answers = state.asking.answers.saturating_sub(1);
            }
            // It may wait for the last one to leave.
            if state.is_interrupted() && state.inside.is_empty() {
                state.waker.clone()
            } else {
                None
            }
        };
        wake(waker.into_iter());
    }

    /// Polls the body of a level that is interrupted, and looks how it is with those inside. The body runs with a waker
    /// that notices when it is woken meanwhile.
    pub(crate) fn watch<T>(
        &self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Option<T>,
    ) -> Result<T, Progress> {
        let watch = self.watch_for(cx.waker());
        let waker = Waker::from(Arc::clone(&watch));
        watch.is_woken.store(false, Ordering::Release);
        if let Some(ended) = poll(&mut Context::from_waker(&waker)) {
            return Ok(ended);
        }
        let is_woken = watch.is_woken.load(Ordering::Acquire);
        Err(self.progress(is_woken, &watch, &waker, cx))
    }

    fn watch_for(&self, waker: &Waker) -> Arc<Watch> {
        let mut state = self.0.lock();
        match &state.asking.watch {
            Some(watch) if watch.waker.will_wake(waker) => Arc::clone(watch),
            _ => {
                let watch = Arc::new(Watch {
                    is_woken: AtomicBool::new(false),
                    waker: waker.clone(),
                });
                let before = state.asking.watch.replace(Arc::clone(&watch));
                drop(state);
                drop(before);
                watch
            }
        }
    }

    fn progress(
        &self,
        is_woken: bool,
        watch: &Arc<Watch>,
        waker: &Waker,
        cx: &mut Context<'_>,
    ) -> Progress {
        let (is_live, is_open) = {
            let mut state = self.0.lock();
            let inside = state.inside.len();
            let asking = &mut state.asking;
            let is_live = std::mem::take(&mut asking.is_live);
            if is_live {
                asking.is_out_of_patience = false;
            }
            let _over = asking.patience.take_if(|_| is_live);
            if inside == 0 {
                return Progress::Alone;
            }
            if is_woken {
                return Progress::Waiting;
            }
            if asking.is_open && asking.answers > 0 {
                asking.is_open = false;
                asking.rest = REST * inside;
            }
            asking.rest = asking.rest.saturating_sub(1);
            if !asking.is_open && asking.answers > 0 && is_live && asking.rest > 0 {
                return Progress::Waiting;
            }
            (is_live, asking.is_open)
        };
        if is_open && is_live {
            // Those who were polled have left; the next ones may be polled in the next poll.
            self.ask_again(cx);
            return Progress::Waiting;
        }
        if !is_open {
            // Those who answered may have been left alone since. As long as something else goes on, there is time.
            let has_answers = self.0.lock().asking.answers > 0;
            if !(has_answers && !is_live && self.is_patient(cx)) {
                self.ask_again(cx);
            }
            return Progress::Waiting;
        }
        // One for the body, one is kept, one is the waker of this poll.
        let others = Arc::strong_count(watch).saturating_sub(3);
        if others > self.0.count_wakers(waker) && self.is_patient(cx) {
            return Progress::Waiting;
        }
        Progress::GivenUp
    }

    fn ask_again(&self, cx: &Context<'_>) {
        self.0.lock().asking.ask();
        let inside = self.0.inside().into_iter();
        let wakers: Vec<_> = inside
            .filter_map(|inner| inner.lock().waker.clone())
            .collect();
        wake(wakers.into_iter());
        cx.waker().wake_by_ref();
    }

    /// Whether it waits a while longer: since when it first had to.
    fn is_patient(&self, cx: &mut Context<'_>) -> bool {
        let patience = {
            let mut state = self.0.lock();
            if state.asking.is_out_of_patience {
                return false;
            }
            state.asking.patience.take()
        };
        let Some(mut patience) = patience.or_else(Patience::new) else {
            return false;
        };
        let is_over = patience.poll(cx).is_ready();
        let mut state = self.0.lock();
        if is_over {
            state.asking.is_out_of_patience = true;
        } else {
            state.asking.patience = Some(patience);
        }
        !is_over
    }
}
