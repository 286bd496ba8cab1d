//! An event log, and managers that follow a script and write down what happens to them.

use std::borrow::Borrow;
use std::convert::Infallible;
use std::error::Error;
use std::fmt::{self, Debug, Display, Formatter};
use std::future::poll_fn;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use crate::{
    AsyncContextManager, Cause, ExitVerdict, Interruption, NoInterruption, Raised,
    ScopedAsyncContextManager, Verdict,
};

/// A shared, ordered list of events: what a test compares.
///
/// ```
/// use async_with::async_with;
/// use async_with::testing::{EventLog, block_on};
///
/// let log = EventLog::new();
/// block_on(async {
///     async_with! { log.manager("a"), log.scoped("b") as b => {
///         b.note();
///     }}
/// });
/// assert_eq!(log.take(), ["enter a", "enter b", "use b", "exit b: completed", "exit a: completed"]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct EventLog(Arc<Mutex<Vec<String>>>);

impl EventLog {
    /// An empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes an event.
    pub fn write(&self, event: impl Into<String>) {
        self.lock().push(event.into());
    }

    /// The events so far, which stay.
    #[must_use]
    pub fn events(&self) -> Vec<String> {
        self.lock().clone()
    }

    /// The events so far, which are removed.
    #[must_use]
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.lock())
    }

    /// A manager whose exit survives cancellation. It never fails and never suppresses, unless its script says so.
    #[must_use]
    pub fn manager(&self, name: &'static str) -> Scripted {
        Scripted::new(self.clone(), name)
    }

    /// A scoped manager, which borrows the log.
    #[must_use]
    pub fn scoped(&self, name: &'static str) -> Scripted<&Self> {
        Scripted::new(self, name)
    }

    /// A scoped manager that is not `Send`.
    #[must_use]
    pub fn local(&self, name: &'static str) -> Scripted<Rc<Self>> {
        Scripted::new(Rc::new(self.clone()), name)
    }
}

/// What a [`Scripted`] manager fails with, and panics with as text: the name of the manager.
///
/// ```
/// use async_with::async_with;
/// use async_with::testing::{EventLog, Fault, block_on};
///
/// let log = EventLog::new();
/// let block = async {
///     async_with! { log.manager("a").fails_in_enter() => {} }
///     Ok(())
/// };
/// assert_eq!(block_on(block), Err(Fault("a")));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault(pub &'static str);

impl Display for Fault {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "fault of {}", self.0)
    }
}

impl Error for Fault {}

/// The parts of a manager that a script can break.
///
/// ```
/// use async_with::testing::{EventLog, Step, block_on};
/// use async_with::{Verdict, async_with};
///
/// let log = EventLog::new();
/// block_on(async {
///     async_with! {
///         log.manager("a").suppresses(Verdict::SuppressPanic), log.scoped("b").panics_in(Step::Exit) => {}
///     }
/// });
/// assert_eq!(log.take(), ["enter a", "enter b", "exit b: completed", "exit a: panicked"]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// [`enter`](AsyncContextManager::enter).
    Enter,
    /// [`exit`](AsyncContextManager::exit).
    Exit,
    /// [`inspect`](AsyncContextManager::inspect).
    Inspect,
    /// [`interrupt`](AsyncContextManager::interrupt), when it is polled for the first time.
    Interrupt,
    /// [`abandon`](ScopedAsyncContextManager::abandon) of a scoped manager.
    Abandon,
    /// [`around_poll`](AsyncContextManager::around_poll), each time.
    AroundPoll,
}

/// A manager that follows a script, and writes what happens to it to an [`EventLog`].
///
/// Made by [`EventLog::manager`], [`EventLog::scoped`] and [`EventLog::local`]; `L` is how it holds the log, which decides
/// the kind of manager. The events are `enter a`, `exit a: cause`, `exited a` when the exit was pending in between,
/// `inspect a: error`, `abandon a`, and, if asked for, `poll a` and `polled a` around each poll.
///
/// ```
/// use async_with::testing::{EventLog, Fault, block_on};
/// use async_with::{Verdict, async_with};
///
/// let log = EventLog::new();
/// let block = async {
///     async_with! { log.manager("a").suppresses(Verdict::Suppress), log.scoped("b").pending(2).fails_in_exit() => {} }
///     Ok::<_, Fault>(())
/// };
/// assert_eq!(block_on(block), Ok(()));
/// assert_eq!(
///     log.take(),
///     [
///         "enter a",
///         "enter b",
///         "exit b: completed",
///         "exited b",
///         "inspect a: Fault(\"b\")",
///         "exit a: failed Fault"
///     ]
/// );
/// ```
pub struct Scripted<L = EventLog, E = Infallible, V = (), I = NoInterrupt> {
    log: L,
    script: Script,
    interrupt: I,
    types: PhantomData<fn() -> (E, V)>,
}

#[derive(Clone)]
struct Script {
    name: &'static str,
    fails: Vec<Step>,
    panics: Vec<Step>,
    enter_pends: usize,
    exit_pends: usize,
    gate: Option<Gate>,
    verdict: Verdict,
    logs_polls: bool,
}

impl<L: Borrow<EventLog>> Scripted<L> {
    fn new(log: L, name: &'static str) -> Self {
        let script = Script {
            name,
            fails: Vec::new(),
            panics: Vec::new(),
            enter_pends: 0,
            exit_pends: 0,
            gate: None,
            verdict: Verdict::Propagate,
            logs_polls: false,
        };
        Self {
            log,
            script,
            interrupt: NoInterrupt(()),
            types: PhantomData,
        }
    }
}

impl<L, E, V, I> Scripted<L, E, V, I> {
    fn typed<F, W, J>(self, interrupt: impl FnOnce(I) -> J) -> Scripted<L, F, W, J> {
        Scripted {
            log: self.log,
            script: self.script,
            interrupt: interrupt(self.interrupt),
            types: PhantomData,
        }
    }

    fn scripted(mut self, change: impl FnOnce(&mut Script)) -> Self {
        change(&mut self.script);
        self
    }

    /// Is pending for so many polls in enter, and for as many in exit.
    #[must_use]
    pub fn pending(self, polls: usize) -> Self {
        self.pending_in_enter(polls).pending_in_exit(polls)
    }

    /// Is pending for so many polls in enter.
    #[must_use]
    pub fn pending_in_enter(self, polls: usize) -> Self {
        self.scripted(|script| script.enter_pends = polls)
    }

    /// Is pending for so many polls in exit.
    #[must_use]
    pub fn pending_in_exit(self, polls: usize) -> Self {
        self.scripted(|script| script.exit_pends = polls)
    }

    /// Waits in exit until the gate is open.
    #[must_use]
    pub fn exit_waits_for(self, gate: &Gate) -> Self {
        self.scripted(|script| script.gate = Some(gate.clone()))
    }

    /// Writes `poll` and `polled` around each poll of the body, and around its drop.
    #[must_use]
    pub fn logs_polls(self) -> Self {
        self.scripted(|script| script.logs_polls = true)
    }

    /// Panics with its name, at the end of this step: after what the step awaits and writes.
    #[must_use]
    pub fn panics_in(self, step: Step) -> Self {
        self.scripted(|script| script.panics.push(step))
    }

    /// Can fail with [`Fault`], and does not.
    #[must_use]
    pub fn fallible(self) -> Scripted<L, Fault, V, I> {
        self.typed(|interrupt| interrupt)
    }

    /// Fails with [`Fault`] in enter.
    #[must_use]
    pub fn fails_in_enter(self) -> Scripted<L, Fault, V, I> {
        self.scripted(|script| script.fails.push(Step::Enter))
            .fallible()
    }

    /// Fails with [`Fault`] in exit.
    #[must_use]
    pub fn fails_in_exit(self) -> Scripted<L, Fault, V, I> {
        self.scripted(|script| script.fails.push(Step::Exit))
            .fallible()
    }

    /// Interrupts the body with [`Fault`] after so many polls of it.
    #[must_use]
    pub fn interrupts_after(self, polls: usize) -> Scripted<L, Fault, V, InterruptAfter> {
        self.typed(|_| InterruptAfter(polls))
    }

    /// Returns this verdict from exit.
    #[must_use]
    pub fn suppresses(self, verdict: Verdict) -> Scripted<L, E, Verdict, I> {
        self.scripted(|script| script.verdict = verdict)
            .typed(|interrupt| interrupt)
    }
}

impl Script {
    fn act(&self, step: Step) -> Result<(), Fault> {
        if self.panics.contains(&step) {
            std::panic::panic_any(self.name);
        }
        if self.fails.contains(&step) {
            return Err(Fault(self.name));
        }
        Ok(())
    }

    async fn enter(&self, log: &EventLog) -> Result<ScriptedResource, Fault> {
        pend(self.enter_pends).await;
        log.write(format!("enter {}", self.name));
        self.act(Step::Enter)?;
        Ok(ScriptedResource {
            name: self.name,
            log: log.clone(),
            value: 0,
        })
    }

    async fn exit<V: ExitVerdict>(&self, log: &EventLog, cause: Cause) -> Result<V, Fault> {
        log.write(format!("exit {}: {}", self.name, short(cause)));
        pend(self.exit_pends).await;
        if let Some(gate) = &self.gate {
            gate.opened().await;
        }
        if self.exit_pends > 0 || self.gate.is_some() {
            log.write(format!("exited {}", self.name));
        }
        self.act(Step::Exit)?;
        Ok(V::from_verdict(self.verdict))
    }

    fn inspect(&self, log: &EventLog, raised: &Raised<'_>) {
        log.write(format!("inspect {}: {raised:?}", self.name));
        // It can only panic.
        let _ = self.act(Step::Inspect);
    }

    fn around_poll(&self, log: &EventLog) -> Option<Polled> {
        let _ = self.act(Step::AroundPoll);
        self.logs_polls.then(|| {
            log.write(format!("poll {}", self.name));
            Polled(log.clone(), self.name)
        })
    }

    fn panics_in_interrupt(&self) -> bool {
        self.panics.contains(&Step::Interrupt)
    }
}

/// Writes the end of a poll.
struct Polled(EventLog, &'static str);

impl Drop for Polled {
    fn drop(&mut self) {
        self.0.write(format!("polled {}", self.1));
    }
}

/// The cause as the log shows it: without the path of the error's type.
fn short(cause: Cause) -> String {
    match cause {
        Cause::Failed(error) => {
            let name = error.name();
            format!("failed {}", name.rsplit("::").next().unwrap_or(name))
        }
        cause => cause.to_string(),
    }
}

// Not what somebody who forgot an `impl` looks for.
#[diagnostic::do_not_recommend]
impl<E, V, I> AsyncContextManager for Scripted<EventLog, E, V, I>
where
    E: FromFault,
    V: ExitVerdict,
    I: Interrupting,
{
    type Resource = ScriptedResource;
    type Error = E;
    type Exit = V;

    async fn enter(&mut self) -> Result<ScriptedResource, E> {
        self.script.enter(&self.log).await.map_err(E::from_fault)
    }

    async fn exit(self, _: ScriptedResource, cause: Cause) -> Result<V, E> {
        let exit = self.script.exit(&self.log, cause);
        exit.await.map_err(E::from_fault)
    }

    fn inspect(&mut self, _: &mut ScriptedResource, raised: Raised<'_>) {
        self.script.inspect(&self.log, &raised);
    }

    fn interrupt(&self, _: &ScriptedResource) -> impl Interruption<E> + Send + use<E, V, I> {
        self.interrupt
            .start(self.script.name, self.script.panics_in_interrupt())
    }

    fn around_poll(&self) -> impl Sized {
        self.script.around_poll(&self.log)
    }
}

macro_rules! scoped {
    ($([$($lifetime:lifetime)?] $log:ty;)*) => {
        $(
            #[diagnostic::do_not_recommend]
            impl<$($lifetime,)? E, V, I> ScopedAsyncContextManager for Scripted<$log, E, V, I>
            where
                E: FromFault,
                V: ExitVerdict,
                I: Interrupting,
            {
                type Resource = ScriptedResource;
                type Error = E;
                type Exit = V;

                async fn enter(&mut self) -> Result<ScriptedResource, E> {
                    self.script.enter(&self.log).await.map_err(E::from_fault)
                }

                async fn exit(self, _: ScriptedResource, cause: Cause) -> Result<V, E> {
                    let exit = self.script.exit(&self.log, cause);
                    exit.await.map_err(E::from_fault)
                }

                fn abandon(self, _: ScriptedResource) {
                    self.log.write(format!("abandon {}", self.script.name));
                    let _ = self.script.act(Step::Abandon);
                }

                fn inspect(&mut self, _: &mut ScriptedResource, raised: Raised<'_>) {
                    self.script.inspect(&self.log, &raised);
                }

                fn interrupt(
                    &self,
                    _: &ScriptedResource,
                ) -> impl Interruption<E> + use<$($lifetime,)? E, V, I> {
                    self.interrupt.start(self.script.name, self.script.panics_in_interrupt())
                }

                fn around_poll(&self) -> impl Sized {
                    self.script.around_poll(&self.log)
                }
            }
        )*
    };
}

scoped! {
    ['a] &'a EventLog;
    [] Rc<EventLog>;
}

/// The resource of a [`Scripted`] manager.
///
/// ```
/// use async_with::async_with;
/// use async_with::testing::{EventLog, Fault, block_on};
///
/// let log = EventLog::new();
/// let block = async {
///     async_with! { log.manager("a") as a => {
///         a.note();
///         a.check(a.value > 1)
///     }}
/// };
/// assert_eq!(block_on(block), Err(Fault("a")));
/// assert_eq!(log.take()[1..], ["use a", "inspect a: Fault(\"a\")", "exit a: failed Fault"]);
/// ```
#[derive(Debug)]
pub struct ScriptedResource {
    /// The name of its manager.
    pub name: &'static str,
    /// Where it writes.
    pub log: EventLog,
    /// How often it was used, or whatever a test makes of it.
    pub value: u64,
}

impl ScriptedResource {
    /// Writes `use` and the name, and counts.
    pub fn note(&mut self) {
        self.value += 1;
        self.log.write(format!("use {}", self.name));
    }

    /// Fails if asked to, for a body that is to fail with `?`.
    ///
    /// # Errors
    ///
    /// [`Fault`], with the name of the manager, unless `good`.
    pub fn check(&self, good: bool) -> Result<u64, Fault> {
        if good {
            Ok(self.value)
        } else {
            Err(Fault(self.name))
        }
    }
}

/// What a [`Scripted`] manager may have for an error: [`Fault`], or [`Infallible`]. The trait is sealed.
pub trait FromFault: Debug + Send + sealed::Sealed + 'static {
    #[doc(hidden)]
    fn from_fault(fault: Fault) -> Self;
}

impl FromFault for Fault {
    fn from_fault(fault: Fault) -> Self {
        fault
    }
}

impl FromFault for Infallible {
    fn from_fault(_: Fault) -> Self {
        unreachable!("a manager that cannot fail is not told to")
    }
}

/// Whether a [`Scripted`] manager interrupts: [`NoInterrupt`] or [`InterruptAfter`]. The trait is sealed.
pub trait Interrupting: Send + sealed::Sealed + 'static {
    #[doc(hidden)]
    fn start<E: FromFault>(
        &self,
        name: &'static str,
        panics: bool,
    ) -> impl Interruption<E> + Send + use<Self, E>;
}

/// The manager never interrupts. It costs a block nothing.
pub struct NoInterrupt(());

impl Interrupting for NoInterrupt {
    fn start<E: FromFault>(
        &self,
        name: &'static str,
        panics: bool,
    ) -> impl Interruption<E> + Send + use<E> {
        if panics {
            std::panic::panic_any(name);
        }
        NoInterruption
    }
}

/// The manager interrupts after so many polls.
pub struct InterruptAfter(usize);

impl Interrupting for InterruptAfter {
    fn start<E: FromFault>(
        &self,
        name: &'static str,
        panics: bool,
    ) -> impl Interruption<E> + Send + use<E> {
        let polls = self.0;
        async move {
            pend(polls).await;
            if panics {
                std::panic::panic_any(name);
            }
            E::from_fault(Fault(name))
        }
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Fault {}
    impl Sealed for std::convert::Infallible {}
    impl Sealed for super::NoInterrupt {}
    impl Sealed for super::InterruptAfter {}
}

/// Is pending for so many polls, each of which asks for the next one.
///
/// ```
/// # use async_with::testing::{block_on, pend};
/// block_on(pend(2));
/// ```
///
/// # Cancel safety
///
/// It can be dropped at any time.
pub async fn pend(polls: usize) {
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// What a test closes in the way of others, and opens when they are to go on.
///
/// ```
/// use async_with::async_with;
/// use async_with::testing::{EventLog, Gate, block_on};
///
/// let (log, gate) = (EventLog::new(), Gate::new());
/// block_on(async {
///     async_with! { log.manager("a").exit_waits_for(&gate) => {
///         gate.open();
///     }}
/// });
/// assert_eq!(log.take(), ["enter a", "exit a: completed", "exited a"]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<Mutex<Gated>>);

#[derive(Debug, Default)]
struct Gated {
    open: bool,
    wakers: Vec<Waker>,
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Gated> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets everybody through, from now on.
    pub fn open(&self) {
        let wakers = {
            let mut gated = self.lock();
            gated.open = true;
            std::mem::take(&mut gated.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Waits until it is open.
    ///
    /// # Cancel safety
    ///
    /// It can be dropped and called again.
    pub async fn opened(&self) {
        poll_fn(|cx| {
            let mut gated = self.lock();
            if gated.open {
                return Poll::Ready(());
            }
            gated.wakers.retain(|waker| !waker.will_wake(cx.waker()));
            gated.wakers.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}
