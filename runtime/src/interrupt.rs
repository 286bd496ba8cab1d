//! Cooperative interruption (rule CAN-6): which blocks are open inside of one that a manager interrupts.
//!
//! Only blocks under a manager that may interrupt are members. When it does, every member inside is told and woken; each
//! drops its body once no member is left inside of it, and leaves when its exit is done. The interrupting block goes on
//! when all have left.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, Weak};
use std::task::Waker;

use crate::sync::{Mutex, MutexGuard};

/// How often a member that was told is woken without being polled, before nobody is thought to poll it any more. Waking
/// reaches the futures of a `FuturesUnordered` with one of the next polls, a few at a time and beside others that are busy.
const ROUNDS: u16 = 256;

/// One block, to those inside it.
#[derive(Clone)]
pub(crate) struct Node(Arc<Shared>);

#[derive(Default)]
struct Shared(Mutex<State>);

#[derive(Default)]
// Each is a fact of its own: any of them may hold with any other.
#[allow(clippy::struct_excessive_bools)]
struct State {
    /// And by which number it knows this block.
    parent: Option<(Node, u64)>,
    /// In the order in which they came in.
    inside: BTreeMap<u64, Weak<Shared>>,
    next: u64,
    waker: Option<Waker>,
    /// The block's own manager interrupts it.
    fired: bool,
    /// A manager further out interrupts it.
    cancelled: bool,
    /// It was polled since it was told.
    seen: bool,
    rounds: u16,
    unseen: usize,
    /// It woke itself to look again at those inside.
    looks_again: bool,
}

impl State {
    fn is_interrupted(&self) -> bool {
        self.fired || self.cancelled
    }
}

impl Node {
    /// Whether nothing goes on in the body any more but the exits inside of it.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.0.lock().is_interrupted()
    }

    /// Returns the number by which it knows the block.
    fn let_in(&self, inner: &Arc<Shared>) -> u64 {
        let mut state = self.0.lock();
        let number = state.next;
        state.next += 1;
        state.inside.insert(number, Arc::downgrade(inner));
        number
    }

    fn address(&self) -> *const Shared {
        Arc::as_ptr(&self.0)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inside(&self) -> Vec<Arc<Shared>> {
        self.lock()
            .inside
            .values()
            .filter_map(Weak::upgrade)
            .collect()
    }

    /// Tells this block and those inside it.
    fn cancel(&self) {
        let waker = {
            let mut state = self.lock();
            state.cancelled = true;
            state.seen = false;
            state.waker.clone()
        };
        self.inside().iter().for_each(|inner| inner.cancel());
        waker.into_iter().for_each(Waker::wake);
    }
}

/// A block's membership, from the first poll of its body to the end of its exit.
pub(crate) struct Member(Arc<Shared>);

impl Member {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    pub(crate) fn node(&self) -> Node {
        Node(Arc::clone(&self.0))
    }

    /// Takes note of a poll, and of who encloses the block now: a future may move between polls.
    pub(crate) fn polled(&self, enclosing: Option<Node>, waker: &Waker) {
        self.exit_polled(waker);
        let mut state = self.0.lock();
        let parent = state.parent.as_ref().map(|(node, _)| node.address());
        if parent != enclosing.as_ref().map(Node::address) {
            let left = state.parent.take();
            drop(state);
            leave(left);
            let entered = enclosing.clone().map(|node| {
                let number = node.let_in(&self.0);
                (node, number)
            });
            state = self.0.lock();
            state.parent = entered;
        }
        // One that went elsewhere before its body was dropped goes on there.
        state.cancelled = enclosing.is_some_and(|node| node.is_interrupted());
    }

    /// Takes note of a poll of the exit.
    pub(crate) fn exit_polled(&self, waker: &Waker) {
        let mut state = self.0.lock();
        state.seen = true;
        if !state
            .waker
            .as_ref()
            .is_some_and(|known| known.will_wake(waker))
        {
            let before = state.waker.replace(waker.clone());
            // Dropped without the lock: a task may go with its last waker, and blocks with it.
            drop(state);
            drop(before);
        }
    }

    /// The block's own manager interrupts.
    pub(crate) fn fire(&self) {
        self.0.lock().fired = true;
        self.0.inside().iter().for_each(|inner| inner.cancel());
    }

    pub(crate) fn is_fired(&self) -> bool {
        self.0.lock().fired
    }

    /// Whether a manager further out interrupts.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.0.lock().cancelled
    }

    /// Whether no block is open inside.
    pub(crate) fn is_alone(&self) -> bool {
        self.0
            .lock()
            .inside
            .values()
            .all(|inner| inner.strong_count() == 0)
    }

    /// Wakes those inside who were told and not polled since. Woken by something else than this, the block asks all of
    /// them anew: one whose exit runs may be left alone too.
    pub(crate) fn wake_unseen(&self) -> Unseen {
        let inside = self.0.inside();
        let anew = {
            let mut state = self.0.lock();
            let anew = !std::mem::take(&mut state.looks_again);
            if anew {
                (state.rounds, state.unseen) = (0, usize::MAX);
            }
            anew
        };
        if anew {
            for inner in &inside {
                inner.lock().seen = false;
            }
        }
        let unseen: Vec<_> = inside.iter().filter(|inner| !inner.lock().seen).collect();
        if unseen.is_empty() {
            return Unseen::None;
        }
        for inner in &unseen {
            let waker = inner.lock().waker.clone();
            waker.into_iter().for_each(Waker::wake);
        }
        let mut state = self.0.lock();
        // A set polls a few of its futures at a time: as long as there are fewer each time, they are polled.
        if unseen.len() < state.unseen {
            state.rounds = 0;
        }
        state.unseen = unseen.len();
        state.rounds += 1;
        if state.rounds < ROUNDS {
            Unseen::LookAgain
        } else if unseen.len() == inside.len() {
            Unseen::GivenUp
        } else {
            Unseen::None
        }
    }

    /// The next poll is to look again at the same ones.
    pub(crate) fn will_look_again(&self) {
        self.0.lock().looks_again = true;
    }
}

/// Lets the block outside go on without this one.
fn leave(parent: Option<(Node, u64)>) {
    let Some((Node(parent), number)) = parent else {
        return;
    };
    let waker = {
        let mut state = parent.lock();
        state.inside.remove(&number);
        // It may wait for the last one to leave.
        if state.is_interrupted() {
            state.waker.clone()
        } else {
            None
        }
    };
    waker.into_iter().for_each(Waker::wake);
}

/// Those that were told of an interruption, and not polled since.
pub(crate) enum Unseen {
    None,
    LookAgain,
    /// Nobody polls them any more.
    GivenUp,
}

impl Drop for Member {
    fn drop(&mut self) {
        let parent = self.0.lock().parent.take();
        leave(parent);
    }
}
