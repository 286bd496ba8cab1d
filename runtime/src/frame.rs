//! Which block encloses the code that is running: the frame of a block, and the clean-up it owes a wait for.
//!
//! A frame lies in a thread-local while the body of its block is polled or dropped. A block that is dropped meanwhile
//! finds its enclosing block there, and hands its exit over (rule CAN-4). Frames are moved in and out, never shared, so
//! a block that stays in one piece pays for two moves per poll and for no allocation.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::mem;
use std::sync::{Arc, PoisonError};
use std::task::{Poll, Waker};

use crate::Cause;
use crate::executor::Task;
use crate::interrupt::{Member, Node};
use crate::registry::{self, Owed, Place};
use crate::sync::{Mutex, MutexGuard, thread_local};

thread_local! {
    static CURRENT: Current = const {
        Current {
            frame: RefCell::new(None),
            task: Cell::new(Task::UNKNOWN),
            exiting: Cell::new(None),
            before: Cell::new(None),
        }
    };
}

/// What encloses the code that runs on this thread.
struct Current {
    /// Borrowed only to look at it: nothing of the user's runs meanwhile.
    frame: RefCell<Option<Frame>>,
    /// The task that polls the frame: another one may be polled inside of it.
    task: Cell<Task>,
    /// The block whose exit is polled, in the scope of the frame.
    exiting: Cell<Option<Exiting>>,
    /// What the clean-up that is handed over by an `abandon` comes after.
    before: Cell<Option<Before>>,
}

/// The block that is abandoned.
#[derive(Clone)]
pub(crate) struct Before {
    /// What was detached inside of it.
    pub(crate) children: Option<Arc<Children>>,
    pub(crate) place: Option<Place>,
}

#[derive(Clone, Copy)]
struct Exiting {
    place: Option<Place>,
    /// The block is interrupted from further out.
    cancelled: bool,
    task: Task,
}

/// Looks at what is current. A thread that is being torn down has nothing: whatever is dropped there is a root.
fn with<T>(look: impl FnOnce(&Current) -> Option<T>) -> Option<T> {
    CURRENT.try_with(look).ok().flatten()
}

impl Current {
    /// Looks at the frame, if it belongs to the task that is running.
    fn frame<T>(&self, task: Task, look: impl FnOnce(&mut Frame) -> Option<T>) -> Option<T> {
        if self.task.get() != task {
            return None;
        }
        look(self.frame.try_borrow_mut().ok()?.as_mut()?)
    }

    /// The innermost block that encloses the running code in the same task.
    fn enclosing(&self, task: Task) -> Option<Place> {
        match self.exiting.get() {
            Some(Exiting {
                place, task: of, ..
            }) if of == task => place,
            _ => self.frame(task, |frame| match &frame.owed {
                Some(owed) => owed.place(),
                None => frame.parent,
            }),
        }
    }

    /// Makes another frame the current one, and returns the one before.
    fn replace(&self, frame: Option<Frame>) -> Option<Frame> {
        match self.frame.try_borrow_mut() {
            Ok(mut current) => mem::replace(&mut *current, frame),
            Err(_) => frame,
        }
    }
}

/// What a block keeps for the blocks inside it.
#[derive(Default)]
pub(crate) struct Frame {
    children: Option<Arc<Children>>,
    /// The block's entry among the exits that are owed.
    owed: Option<Owed>,
    /// The block outside, and the task, when the body was polled last.
    parent: Option<Place>,
    task: Task,
    /// It is that of a detached exit.
    detached: bool,
    /// Set under a manager that may interrupt.
    pub(crate) member: Option<Member>,
}

impl Frame {
    /// The frame of a detached exit.
    pub(crate) fn detached(owed: Owed) -> Self {
        Self {
            owed: Some(owed),
            detached: true,
            ..Self::default()
        }
    }

    /// Takes note that the block's exit is owed from now on. The block is inside of `place`, if there is one: a block in
    /// a generator encloses it in truth.
    pub(crate) fn arm(&mut self, manager: &'static str, place: Option<Place>) {
        self.task = Task::current();
        self.parent = with(|current| current.enclosing(self.task));
        self.owed = Some(Owed::by_block(manager, place.or(self.parent)));
    }

    /// Makes a frame that is no block's belong to the block outside.
    pub(crate) fn belong_to_enclosing(&mut self) {
        self.parent = enclosing();
    }

    pub(crate) fn owed(&self) -> Option<&Owed> {
        self.owed.as_ref()
    }

    pub(crate) fn take_owed(&mut self) -> Option<Owed> {
        self.owed.take()
    }

    /// Makes this the current frame until the guard is dropped, also when that is during a panic. Takes note of where the
    /// block is now: its future may have moved since the last poll. `place` is what [`arm`](Self::arm) was given.
    pub(crate) fn follow(&mut self, place: impl FnOnce() -> Option<Place>) -> Entered<'_> {
        let task = Task::current();
        let parent = with(|current| current.enclosing(task));
        // Outside of tasks, the runtime may have changed without a sign; there are few such polls.
        if parent != self.parent || task != self.task || task == Task::UNKNOWN {
            (self.parent, self.task) = (parent, task);
            if let Some(owed) = &self.owed {
                owed.moved(place().or(parent));
            }
        }
        self.enter_in(task)
    }

    /// As [`follow`](Self::follow), where the block cannot have moved.
    pub(crate) fn enter(&mut self) -> Entered<'_> {
        self.enter_in(Task::current())
    }

    fn enter_in(&mut self, task: Task) -> Entered<'_> {
        let outer = with(|current| {
            Some(Outer {
                frame: current.replace(Some(mem::take(self))),
                task: current.task.replace(task),
                exiting: current.exiting.take(),
            })
        });
        Entered {
            frame: self,
            task,
            outer,
        }
    }

    /// How a block ended that a generator in the body gave its resource to, if it did not complete.
    pub(crate) fn marked(&self) -> Option<Cause> {
        self.children.as_ref()?.lock().mark
    }

    /// The clean-up that was detached inside this block, if there was any.
    pub(crate) fn take_children(&mut self) -> Option<Arc<Children>> {
        self.children.take()
    }
}

/// A frame that is current; undone on drop.
pub(crate) struct Entered<'a> {
    frame: &'a mut Frame,
    task: Task,
    outer: Option<Outer>,
}

/// What was current before.
struct Outer {
    frame: Option<Frame>,
    task: Task,
    exiting: Option<Exiting>,
}

impl Entered<'_> {
    /// The node of the block outside, which this one is to follow.
    pub(crate) fn enclosing_node(&self) -> Option<Node> {
        let Outer {
            frame,
            task,
            exiting,
        } = self.outer.as_ref()?;
        let member = frame.as_ref()?.member.as_ref()?;
        // Clean-up is not interrupted.
        (*task == self.task && exiting.is_none()).then(|| member.node())
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let Some(Outer {
            frame,
            task,
            exiting,
        }) = self.outer.take()
        else {
            return;
        };
        let inner = with(|current| {
            current.task.set(task);
            current.exiting.set(exiting);
            current.replace(frame)
        });
        *self.frame = inner.unwrap_or_default();
    }
}

/// A ticket of the block that encloses the running code in the same task, if there is one.
pub(crate) fn ticket() -> Option<Ticket> {
    let task = Task::current();
    let in_frame = |frame: &mut Frame| Some(frame.owed.as_ref().and_then(Owed::place));
    let place = with(|current| current.frame(task, in_frame))?;
    // Another runtime may be driven inside of the body; the task alone does not tell.
    if !place.is_none_or(registry::is_on_this_runtime) {
        return None;
    }
    let ticket = |frame: &mut Frame| Some(frame.children.get_or_insert_default().ticket());
    with(|current| current.frame(task, ticket))
}

/// The innermost block that encloses the running code in the same task.
pub(crate) fn enclosing() -> Option<Place> {
    with(|current| current.enclosing(Task::current()))
}

/// Whether the running code is in the body of a block that is interrupted, and stands still but for the exits inside.
pub(crate) fn is_interrupted() -> bool {
    let is_interrupted = with(|current| match current.exiting.get() {
        Some(_) => None,
        None => current.frame(Task::current(), |frame| {
            Some(frame.member.as_ref()?.node().is_interrupted())
        }),
    });
    is_interrupted.unwrap_or(false)
}

/// Leaves a note in the block that encloses the running code: when its body ends, it is as if it had ended so (rule
/// GEN-6).
pub(crate) fn mark(cause: Cause) {
    if cause != Cause::Completed {
        with(|current| {
            current.frame(Task::current(), |frame| {
                frame.children.get_or_insert_default().lock().mark = Some(cause);
                Some(())
            })
        });
    }
}

/// Whether nobody waits any more for what the exit that is running waits for: its block was dropped, or is interrupted
/// from further out.
#[cfg_attr(not(feature = "tokio"), allow(dead_code))]
pub(crate) fn is_exit_given_up() -> bool {
    let given_up = with(|current| match current.exiting.get() {
        Some(exiting) => Some(exiting.cancelled && exiting.task == Task::current()),
        None => current.frame(Task::current(), |frame| Some(frame.detached)),
    });
    given_up.unwrap_or(false)
}

/// What clean-up that is detached now has to wait for.
pub(crate) fn before() -> Option<Before> {
    with(|current| {
        let before = current.before.take();
        current.before.set(before.clone());
        before
    })
}

/// Runs part of the exit of a block, in the scope of the enclosing one.
pub(crate) fn exiting<T>(place: Option<Place>, cancelled: bool, run: impl FnOnce() -> T) -> T {
    struct Restore(Option<Exiting>);
    impl Drop for Restore {
        fn drop(&mut self) {
            let outer = self.0;
            with(|current| {
                current.exiting.set(outer);
                Some(())
            });
        }
    }
    let exiting = Exiting {
        place,
        cancelled,
        task: Task::current(),
    };
    let _restore = Restore(with(|current| current.exiting.replace(Some(exiting))));
    run()
}

/// Runs an `abandon`: what it detaches waits for the children of its block.
pub(crate) fn abandoning<T>(block: Before, run: impl FnOnce() -> T) -> T {
    struct Restore(Option<Before>);
    impl Drop for Restore {
        fn drop(&mut self) {
            let outer = self.0.take();
            with(|current| {
                current.before.set(outer);
                Some(())
            });
        }
    }
    let _restore = Restore(with(|current| current.before.replace(Some(block))));
    run()
}

/// Clean-up that runs on its own, and that a block waits for before its own exit.
#[derive(Default)]
pub struct Children(Mutex<State>);

#[derive(Default)]
struct State {
    live: usize,
    waiters: Vec<Waker>,
    /// Left by a generator.
    mark: Option<Cause>,
    /// The set that these children were passed on to, when their own block could not wait for them.
    heir: Option<Ticket>,
}

impl Children {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn ticket(self: &Arc<Self>) -> Ticket {
        self.lock().live += 1;
        Ticket(Arc::clone(self))
    }

    /// Whether no ticket is left.
    pub(crate) fn is_idle(&self) -> bool {
        self.lock().live == 0
    }

    /// Waits until no ticket is left.
    pub(crate) async fn wait(&self) {
        poll_fn(|cx| {
            let mut state = self.lock();
            if state.live == 0 {
                return Poll::Ready(());
            }
            state.waiters.retain(|waiter| !waiter.will_wake(cx.waker()));
            state.waiters.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Lets the enclosing block wait for these children in place of their own.
    pub(crate) fn pass_on(&self) {
        let heir = ticket();
        let mut state = self.lock();
        if state.live > 0 {
            state.heir = heir;
        }
    }
}

/// Keeps the block that gave it out from exiting.
pub(crate) struct Ticket(Arc<Children>);

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.live -= 1;
        if state.live == 0 {
            let (waiters, heir) = (mem::take(&mut state.waiters), state.heir.take());
            drop(state);
            drop(heir);
            waiters.into_iter().for_each(Waker::wake);
        }
    }
}
