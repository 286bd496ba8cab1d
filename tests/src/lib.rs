//! The event log that is the oracle of the tests, and managers that write down what happens to them.

pub mod database;

use std::convert::Infallible;
use std::fmt::{Debug, Display, Formatter};
use std::future::poll_fn;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

use async_with::{
    AsyncContextManager, Cause, ExitVerdict, Raised, ScopedAsyncContextManager, Verdict,
};

/// A shared, ordered list of events.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// An empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes an event.
    pub fn write(&self, event: impl Into<String>) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(event.into());
    }

    /// The events so far, which stay.
    #[must_use]
    pub fn events(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The events so far, which are removed.
    #[must_use]
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A surviving manager that cannot fail.
    #[must_use]
    pub fn manager(&self, name: &'static str) -> Logged {
        Logged::new(self, name)
    }

    /// A surviving manager that can fail with [`Boom`].
    #[must_use]
    pub fn fallible(&self, name: &'static str) -> Logged<Boom> {
        Logged::new(self, name)
    }

    /// A surviving manager that suppresses.
    #[must_use]
    pub fn suppressing(&self, name: &'static str) -> Logged<Infallible, Verdict> {
        Logged::new(self, name).verdict(Verdict::Suppress)
    }

    /// A surviving manager that can fail with [`Boom`], and may suppress.
    #[must_use]
    pub fn any(&self, name: &'static str) -> Logged<Boom, Verdict> {
        Logged::new(self, name)
    }

    /// A scoped manager that borrows the log.
    #[must_use]
    pub fn scoped(&self, name: &'static str) -> Scoped<'_> {
        Scoped {
            inner: Plan::new(name),
            log: self,
            exit: PhantomData,
        }
    }
}

/// What the managers of this crate fail with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boom(pub &'static str);

impl Display for Boom {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "boom: {}", self.0)
    }
}

impl std::error::Error for Boom {}

/// The cause as the log shows it: short, without the paths of types.
#[must_use]
pub fn short(cause: Cause) -> String {
    match cause {
        Cause::Failed(error) => {
            format!(
                "failed {}",
                error.name().rsplit("::").next().unwrap_or_default()
            )
        }
        cause => cause.to_string(),
    }
}

/// Is pending for as many polls, each of which asks to be polled again.
pub async fn pend(times: usize) {
    let mut left = times;
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

/// What tests wait for, and open when they want what waits to go on.
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

    /// Lets everybody through, from now on.
    pub fn open(&self) {
        let wakers = {
            let mut gated = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            gated.open = true;
            std::mem::take(&mut gated.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Waits until it is open.
    pub async fn opened(&self) {
        poll_fn(|cx| {
            let mut gated = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if gated.open {
                return Poll::Ready(());
            }
            gated.wakers.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// What a manager does at each step.
#[derive(Clone, Debug)]
struct Plan {
    name: &'static str,
    enter: Act,
    exit: Act,
    inspect: Act,
    enter_pends: usize,
    exit_pends: usize,
    gate: Option<Gate>,
    verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    Succeed,
    Fail,
    Panic,
}

impl Act {
    fn act(self, what: &'static str) -> Result<(), Boom> {
        match self {
            Act::Succeed => Ok(()),
            Act::Fail => Err(Boom(what)),
            Act::Panic => std::panic::panic_any(what),
        }
    }
}

impl Plan {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            enter: Act::Succeed,
            exit: Act::Succeed,
            inspect: Act::Succeed,
            enter_pends: 0,
            exit_pends: 0,
            gate: None,
            verdict: Verdict::Propagate,
        }
    }

    async fn enter(&self, log: &Log) -> Result<Resource, Boom> {
        pend(self.enter_pends).await;
        log.write(format!("enter {}", self.name));
        self.enter.act(self.name)?;
        Ok(Resource {
            name: self.name,
            log: log.clone(),
            value: 0,
        })
    }

    async fn exit(&self, log: &Log, cause: Cause) -> Result<(), Boom> {
        log.write(format!("exit {}: {}", self.name, short(cause)));
        pend(self.exit_pends).await;
        if let Some(gate) = &self.gate {
            gate.opened().await;
        }
        if self.exit_pends > 0 || self.gate.is_some() {
            log.write(format!("exited {}", self.name));
        }
        self.exit.act(self.name)
    }

    fn inspect(&self, log: &Log, raised: &Raised<'_>) {
        log.write(format!("inspect {}: {raised:?}", self.name));
        let _ = self.inspect.act(self.name);
    }
}

/// The resource of all managers of this crate.
#[derive(Debug)]
pub struct Resource {
    /// The name of its manager.
    pub name: &'static str,
    /// Where it writes.
    pub log: Log,
    /// Something to change.
    pub value: u64,
}

impl Resource {
    /// Writes that it was used.
    pub fn note(&mut self) {
        self.value += 1;
        self.log.write(format!("use {}", self.name));
    }

    /// Fails, or does not.
    ///
    /// # Errors
    ///
    /// When asked to.
    pub fn check(&self, good: bool) -> Result<u64, Boom> {
        if good {
            Ok(self.value)
        } else {
            Err(Boom("check"))
        }
    }
}

/// The errors that a manager of this crate may have.
pub trait FromBoom: Debug + Send + 'static {
    /// The error, where it can be.
    fn from_boom(boom: Boom) -> Self;
}

impl FromBoom for Boom {
    fn from_boom(boom: Boom) -> Self {
        boom
    }
}

impl FromBoom for Infallible {
    fn from_boom(_: Boom) -> Self {
        unreachable!("a manager that cannot fail is not told to")
    }
}

/// A surviving manager.
pub struct Logged<E = Infallible, V = ()> {
    plan: Plan,
    log: Log,
    types: PhantomData<fn() -> (E, V)>,
}

impl<E, V> Logged<E, V> {
    fn new(log: &Log, name: &'static str) -> Self {
        Self {
            plan: Plan::new(name),
            log: log.clone(),
            types: PhantomData,
        }
    }

    /// Is pending so many times in enter and in exit.
    #[must_use]
    pub fn pending(self, times: usize) -> Self {
        self.enter_pending(times).exit_pending(times)
    }

    /// Is pending so many times in enter.
    #[must_use]
    pub fn enter_pending(mut self, times: usize) -> Self {
        self.plan.enter_pends = times;
        self
    }

    /// Is pending so many times in exit.
    #[must_use]
    pub fn exit_pending(mut self, times: usize) -> Self {
        self.plan.exit_pends = times;
        self
    }

    /// Waits in exit until the gate is open.
    #[must_use]
    pub fn exit_waits_for(mut self, gate: &Gate) -> Self {
        self.plan.gate = Some(gate.clone());
        self
    }

    /// Panics in enter.
    #[must_use]
    pub fn enter_panics(mut self) -> Self {
        self.plan.enter = Act::Panic;
        self
    }

    /// Panics in exit.
    #[must_use]
    pub fn exit_panics(mut self) -> Self {
        self.plan.exit = Act::Panic;
        self
    }

    /// Panics in inspect.
    #[must_use]
    pub fn inspect_panics(mut self) -> Self {
        self.plan.inspect = Act::Panic;
        self
    }
}

impl<V> Logged<Boom, V> {
    /// Fails in enter.
    #[must_use]
    pub fn enter_fails(mut self) -> Self {
        self.plan.enter = Act::Fail;
        self
    }

    /// Fails in exit.
    #[must_use]
    pub fn exit_fails(mut self) -> Self {
        self.plan.exit = Act::Fail;
        self
    }
}

impl<E> Logged<E, Verdict> {
    /// Decides this.
    #[must_use]
    pub fn verdict(mut self, verdict: Verdict) -> Self {
        self.plan.verdict = verdict;
        self
    }
}

impl<E: FromBoom, V: ExitVerdict> AsyncContextManager for Logged<E, V> {
    type Resource = Resource;
    type Error = E;
    type Exit = V;

    async fn enter(&mut self) -> Result<Resource, E> {
        self.plan.enter(&self.log).await.map_err(E::from_boom)
    }

    async fn exit(self, _: Resource, cause: Cause) -> Result<V, E> {
        self.plan
            .exit(&self.log, cause)
            .await
            .map_err(E::from_boom)?;
        Ok(V::from_verdict(self.plan.verdict))
    }

    fn inspect(&mut self, _: &mut Resource, raised: Raised<'_>) {
        self.plan.inspect(&self.log, &raised);
    }
}

/// A scoped manager; with `V = Rc<()>` not even `Send`.
pub struct Scoped<'a, V = ()> {
    inner: Plan,
    log: &'a Log,
    exit: PhantomData<V>,
}

impl<V> Scoped<'_, V> {
    /// Is pending so many times in enter and in exit.
    #[must_use]
    pub fn pending(self, times: usize) -> Self {
        self.enter_pending(times).exit_pending(times)
    }

    /// Is pending so many times in enter.
    #[must_use]
    pub fn enter_pending(mut self, times: usize) -> Self {
        self.inner.enter_pends = times;
        self
    }

    /// Is pending so many times in exit.
    #[must_use]
    pub fn exit_pending(mut self, times: usize) -> Self {
        self.inner.exit_pends = times;
        self
    }

    /// Waits in exit until the gate is open.
    #[must_use]
    pub fn exit_waits_for(mut self, gate: &Gate) -> Self {
        self.inner.gate = Some(gate.clone());
        self
    }
}

impl<'a> Scoped<'a> {
    /// The same, but not `Send`.
    #[must_use]
    pub fn local(self) -> Scoped<'a, Rc<()>> {
        Scoped {
            inner: self.inner,
            log: self.log,
            exit: PhantomData,
        }
    }
}

impl<V> ScopedAsyncContextManager for Scoped<'_, V> {
    type Resource = Resource;
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<Resource, Infallible> {
        self.inner
            .enter(self.log)
            .await
            .map_err(Infallible::from_boom)
    }

    async fn exit(self, _: Resource, cause: Cause) -> Result<(), Infallible> {
        self.inner
            .exit(self.log, cause)
            .await
            .map_err(Infallible::from_boom)
    }

    fn abandon(self, _: Resource) {
        self.log.write(format!("abandon {}", self.inner.name));
    }

    fn inspect(&mut self, _: &mut Resource, raised: Raised<'_>) {
        self.inner.inspect(self.log, &raised);
    }
}
