//! What a program runs with: the log, the managers, and the driver that polls by hand.

use std::any::Any;
use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::{self, Debug, Formatter};
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use async_with::report::{Entry, collect};
use async_with::{
    AsyncContextManager, Cause, ExitVerdict, Generated, Interruption, Raised,
    ScopedAsyncContextManager, ScopedGenerated, Verdict, async_context_manager, async_with, drain,
    pending_exits,
};
use async_with_tests::{Log, pend, short};
use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;

use crate::program::{Act, End, Id, Kind, Manager, label};

/// What statements and managers fail with.
#[derive(Clone, PartialEq, Eq)]
pub struct Boom(pub String);

impl Boom {
    /// An error with this label.
    #[must_use]
    pub fn new(label: &str) -> Self {
        Self(label.to_owned())
    }
}

/// Shows the label alone.
impl Debug for Boom {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The error of a manager: [`Boom`], or [`Infallible`] when it has none to raise.
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

/// One run of a program.
#[derive(Clone, Default)]
pub struct Run(Arc<Shared>);

#[derive(Default)]
struct Shared {
    log: Log,
    /// The number of the poll that is going on.
    clock: AtomicU32,
    reached: Mutex<HashMap<Id, u8>>,
}

impl Run {
    /// Writes an event.
    pub fn log(&self, event: impl Into<String>) {
        self.0.log.write(event);
    }

    /// Writes the value of a statement.
    pub fn value(&self, id: Id, value: impl Debug) {
        self.log(format!("value {id}: {value:?}"));
    }

    /// Whether the statement is reached for the n-th time.
    #[must_use]
    pub fn is_time(&self, id: Id, nth: u8) -> bool {
        let mut reached = self
            .0
            .reached
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let reached = reached.entry(id).or_default();
        *reached += 1;
        *reached == nth
    }

    /// Is pending for as many polls.
    pub async fn pend(&self, times: u8) {
        pend(times.into()).await;
    }

    /// Polls a future so many times, and drops it if it is still pending.
    pub async fn limited<F: Future>(&self, polls: u8, future: F) -> Option<F::Output> {
        let mut future = Box::pin(future);
        let mut left = polls;
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => {
                left -= 1;
                if left == 0 {
                    Poll::Ready(None)
                } else {
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// The expression of an item. It panics when its plan says so.
    #[must_use]
    pub fn make(&self, plan: Manager) -> Made<'_> {
        self.log(label("make", plan.id));
        if plan.make == Act::Panic {
            panic_with(label("make", plan.id));
        }
        Made { plan, run: self }
    }

    /// The expression of an item that fails.
    ///
    /// # Errors
    ///
    /// When its plan says so.
    pub fn try_make(&self, plan: Manager) -> Result<Made<'_>, Boom> {
        let made = self.make(plan);
        match made.plan.make {
            Act::Fail => Err(Boom(label("make", made.plan.id))),
            Act::Succeed | Act::Panic => Ok(made),
        }
    }

    async fn set_up(&self, plan: &Manager) -> Result<(), Boom> {
        self.log(label("enter", plan.id));
        self.pend(plan.enter_pends).await;
        act(plan.enter, "enter", plan.id)
    }

    fn entered(&self, plan: &Manager) -> Entered {
        self.log(label("entered", plan.id));
        Entered(plan.id)
    }

    async fn enter(&self, plan: &Manager) -> Result<Entered, Boom> {
        self.set_up(plan).await?;
        Ok(self.entered(plan))
    }

    async fn exit(&self, plan: &Manager, cause: Cause) -> Result<(), Boom> {
        self.log(format!("exit {}: {}", plan.id, short(cause)));
        self.clean_up(plan).await
    }

    async fn clean_up(&self, plan: &Manager) -> Result<(), Boom> {
        self.pend(plan.exit_pends).await;
        self.log(label("exited", plan.id));
        act(plan.exit, "exit", plan.id)
    }

    /// An exit for a stack.
    pub fn pushed<V: ExitVerdict>(
        &self,
        plan: Manager,
    ) -> impl FnOnce(Cause) -> Exiting<Result<V, Boom>> + Send + 'static {
        let run = self.clone();
        move |cause| {
            Box::pin(async move {
                run.exit(&plan, cause).await?;
                Ok(V::from_verdict(plan.verdict.unwrap_or_default()))
            })
        }
    }

    /// A callback for a stack.
    pub fn callback(&self, plan: Manager) -> impl FnOnce() -> Exiting<()> + Send + 'static {
        let run = self.clone();
        move || {
            Box::pin(async move {
                run.log(label("exit", plan.id));
                if let Err(Boom(label)) = run.clean_up(&plan).await {
                    panic_with(label);
                }
            })
        }
    }

    fn inspect(&self, plan: &Manager, raised: &Raised<'_>) {
        self.log(format!("inspect {}: {raised:?}", plan.id));
        if plan.inspect_panics {
            panic_with(label("inspect", plan.id));
        }
    }

    fn interrupt<E: FromBoom>(&self, plan: &Manager) -> impl Future<Output = E> + Send + use<E> {
        let (shared, id) = (Arc::clone(&self.0), plan.id);
        let at = plan.interrupts.unwrap_or(u32::MAX);
        poll_fn(move |_| {
            if shared.clock.load(Ordering::Relaxed) < at {
                return Poll::Pending;
            }
            Poll::Ready(E::from_boom(Boom(label("interrupt", id))))
        })
    }
}

/// The future of an exit of a stack.
pub type Exiting<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Panics without the panic hook, which would print.
pub fn panic_with(label: String) -> ! {
    resume_unwind(Box::new(label))
}

fn act(act: Act, step: &str, id: Id) -> Result<(), Boom> {
    match act {
        Act::Succeed => Ok(()),
        Act::Fail => Err(Boom(label(step, id))),
        Act::Panic => panic_with(label(step, id)),
    }
}

/// A plan, to be made into a manager.
pub struct Made<'a> {
    plan: Manager,
    run: &'a Run,
}

impl<'a> Made<'a> {
    /// A manager whose exit survives cancellation.
    #[must_use]
    pub fn surviving<V, E>(self) -> Surviving<V, E> {
        Surviving {
            plan: self.plan,
            run: self.run.clone(),
            types: PhantomData,
        }
    }

    /// A manager that is a function.
    pub fn generator<V: Generates>(self) -> Generated<Entered, Boom, V> {
        V::generator(self.run.clone(), self.plan)
    }

    /// A manager that is a function, and borrows.
    pub fn scoped_generator(
        self,
    ) -> ScopedGenerated<Entered, Boom, (), impl Future<Output = Result<(), Boom>> + use<'a>> {
        scoped_generator(self.run, self.plan)
    }

    /// A manager that is a function, borrows, and decides.
    pub fn deciding_scoped_generator(
        self,
    ) -> ScopedGenerated<
        Entered,
        Boom,
        Verdict,
        impl Future<Output = Result<Verdict, Boom>> + use<'a>,
    > {
        deciding_scoped_generator(self)
    }

    /// A manager that borrows.
    #[must_use]
    pub fn scoped<V, E>(self) -> Scoped<'a, V, E> {
        Scoped {
            plan: self.plan,
            run: self.run,
            types: PhantomData,
        }
    }
}

/// The resource of all managers.
pub struct Entered(pub Id);

/// A manager whose exit survives cancellation.
pub struct Surviving<V = (), E = Boom> {
    plan: Manager,
    run: Run,
    types: PhantomData<fn() -> (V, E)>,
}

impl<V, E> Surviving<V, E> {
    /// The same, but it interrupts: a type of its own, because most blocks have no such manager.
    #[must_use]
    pub fn interrupting(self) -> Interrupting<Self> {
        Interrupting(self)
    }
}

impl<V: ExitVerdict, E: FromBoom> AsyncContextManager for Surviving<V, E> {
    type Resource = Entered;
    type Error = E;
    type Exit = V;

    async fn enter(&mut self) -> Result<Entered, E> {
        self.run.enter(&self.plan).await.map_err(E::from_boom)
    }

    async fn exit(self, _: Entered, cause: Cause) -> Result<V, E> {
        let exited = self.run.exit(&self.plan, cause).await;
        exited.map_err(E::from_boom)?;
        Ok(V::from_verdict(self.plan.verdict.unwrap_or_default()))
    }

    fn inspect(&mut self, _: &mut Entered, raised: Raised<'_>) {
        self.run.inspect(&self.plan, &raised);
    }
}

/// A manager that borrows.
pub struct Scoped<'a, V = (), E = Boom> {
    plan: Manager,
    run: &'a Run,
    types: PhantomData<fn() -> (V, E)>,
}

impl<V, E> Scoped<'_, V, E> {
    /// The same, but it interrupts.
    #[must_use]
    pub fn interrupting(self) -> Interrupting<Self> {
        Interrupting(self)
    }
}

impl<V: ExitVerdict, E: FromBoom> ScopedAsyncContextManager for Scoped<'_, V, E> {
    type Resource = Entered;
    type Error = E;
    type Exit = V;

    async fn enter(&mut self) -> Result<Entered, E> {
        self.run.enter(&self.plan).await.map_err(E::from_boom)
    }

    async fn exit(self, _: Entered, cause: Cause) -> Result<V, E> {
        let exited = self.run.exit(&self.plan, cause).await;
        exited.map_err(E::from_boom)?;
        Ok(V::from_verdict(self.plan.verdict.unwrap_or_default()))
    }

    fn inspect(&mut self, _: &mut Entered, raised: Raised<'_>) {
        self.run.inspect(&self.plan, &raised);
    }

    fn abandon(self, _: Entered) {
        self.run.log(label("abandon", self.plan.id));
    }
}

macro_rules! generator {
    (
        $(#[$attribute:meta])*
        fn $name:ident($($parameter:ident: $type:ty),*) with ($run:expr, $plan:expr);
        ends with $end:expr;
        $(inside $kind:ident: $made:ident;)*
    ) => {
        /// A manager that is one function, which may open another one around its yield.
        $(#[$attribute])*
        async fn $name($($parameter: $type),*) -> Result<Entered, Boom> {
            let (run, plan) = (&$run, &$plan);
            run.set_up(plan).await?;
            match plan.inside.clone() {
                $(Some(inside) if inside.kind == Kind::$kind => {
                    async_with! { run.try_make(*inside)?.$made::<(), Boom>() => {
                        let entered = run.entered(plan);
                        let (_, cause) = if plan.interrupts.is_some() {
                            yield_!(entered, interrupt = run.interrupt(plan))
                        } else {
                            yield_!(entered)
                        };
                        run.exit(plan, cause).await?;
                    }}
                })*
                _ => {
                    let mut entered = run.entered(plan);
                    let cause = if plan.interrupts.is_some() {
                        yield_!(&mut entered, interrupt = run.interrupt(plan))
                    } else {
                        yield_!(&mut entered)
                    };
                    run.exit(plan, cause).await?;
                }
            }
            $end
        }
    };
}

generator! {
    #[async_context_manager]
    fn generator(run: Run, plan: Manager) with (run, plan);
    ends with Ok(());
    inside Surviving: surviving;
}
generator! {
    #[async_context_manager]
    fn deciding_generator(run: Run, plan: Manager) with (run, plan);
    ends with Ok::<Verdict, _>(plan.verdict.unwrap_or_default());
    inside Surviving: surviving;
}
generator! {
    #[async_context_manager]
    fn scoped_generator(run: &Run, plan: Manager) with (*run, plan);
    ends with Ok(());
    inside Surviving: surviving;
    inside Scoped: scoped;
}
generator! {
    #[async_context_manager(scoped)]
    fn deciding_scoped_generator(made: Made<'_>) with (*made.run, made.plan);
    ends with Ok::<Verdict, _>(made.plan.verdict.unwrap_or_default());
    inside Surviving: surviving;
    inside Scoped: scoped;
}

/// How a generator may end.
pub trait Generates: ExitVerdict + Sized {
    #[doc(hidden)]
    fn generator(run: Run, plan: Manager) -> Generated<Entered, Boom, Self>;
}

impl Generates for () {
    fn generator(run: Run, plan: Manager) -> Generated<Entered, Boom> {
        generator(run, plan)
    }
}

impl Generates for Verdict {
    fn generator(run: Run, plan: Manager) -> Generated<Entered, Boom, Self> {
        deciding_generator(run, plan)
    }
}

/// A manager that interrupts its body.
pub struct Interrupting<M>(M);

impl<V: ExitVerdict, E: FromBoom> AsyncContextManager for Interrupting<Surviving<V, E>> {
    type Resource = Entered;
    type Error = E;
    type Exit = V;

    async fn enter(&mut self) -> Result<Entered, E> {
        self.0.enter().await
    }

    async fn exit(self, entered: Entered, cause: Cause) -> Result<V, E> {
        self.0.exit(entered, cause).await
    }

    fn inspect(&mut self, entered: &mut Entered, raised: Raised<'_>) {
        self.0.inspect(entered, raised);
    }

    fn interrupt(&self, _: &Entered) -> impl Interruption<E> + Send + use<V, E> {
        self.0.run.interrupt(&self.0.plan)
    }
}

impl<'a, V: ExitVerdict, E: FromBoom> ScopedAsyncContextManager for Interrupting<Scoped<'a, V, E>> {
    type Resource = Entered;
    type Error = E;
    type Exit = V;

    async fn enter(&mut self) -> Result<Entered, E> {
        self.0.enter().await
    }

    async fn exit(self, entered: Entered, cause: Cause) -> Result<V, E> {
        self.0.exit(entered, cause).await
    }

    fn inspect(&mut self, entered: &mut Entered, raised: Raised<'_>) {
        self.0.inspect(entered, raised);
    }

    fn interrupt(&self, _: &Entered) -> impl Interruption<E> + use<'a, V, E> {
        self.0.run.interrupt(&self.0.plan)
    }

    fn abandon(self, entered: Entered) {
        self.0.abandon(entered);
    }
}

/// Where programs run: a runtime for what is detached, on this thread.
pub struct Driver(Runtime);

impl Driver {
    /// # Panics
    ///
    /// When the runtime cannot be made.
    #[must_use]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        let runtime = Builder::new_current_thread().build();
        Self(runtime.expect("a runtime of this thread needs no resources"))
    }

    /// Polls the program by hand up to its end, waits for what it left behind, and returns the lines that it wrote.
    pub fn observe(
        &self,
        end: End,
        program: impl AsyncFnOnce(&Run) -> Result<u32, Boom>,
    ) -> Vec<String> {
        let run = Run::default();
        let whole = async {
            let outcome = drive(&run, end, program(&run)).await;
            drain().await;
            outcome
        };
        let (outcome, entries) = self.0.block_on(collect(whole));
        let mut lines = run.0.log.take();
        lines.push(format!("outcome: {outcome}"));
        lines.extend(entries.iter().map(reported));
        lines
    }

    /// Prints what the program writes, under its number.
    pub fn print(
        &self,
        number: usize,
        end: End,
        program: impl AsyncFnOnce(&Run) -> Result<u32, Boom>,
    ) {
        println!("{PROGRAM}{number}");
        for line in self.observe(end, program) {
            println!("{line}");
        }
    }
}

/// Stands before the number of a program in what a batch prints.
const PROGRAM: &str = "program ";

/// Takes the output of a batch apart: the lines of each program, in order.
#[must_use]
pub fn printed(output: &str) -> Vec<Vec<String>> {
    let mut programs = Vec::<Vec<String>>::new();
    for line in output.lines() {
        if line.starts_with(PROGRAM) {
            programs.push(Vec::new());
        } else if let Some(lines) = programs.last_mut() {
            lines.push(line.to_owned());
        }
    }
    programs
}

/// Far more polls than any program has.
const STUCK: u32 = 100_000;

/// Between two polls of the program, what was detached runs to its end.
async fn drive(run: &Run, end: End, program: impl Future<Output = Result<u32, Boom>>) -> String {
    let mut program = Box::pin(program);
    let mut context = Context::from_waker(Waker::noop());
    for clock in 1..STUCK {
        run.0.clock.store(clock, Ordering::Relaxed);
        let mut poll = || -> Poll<_> { Pin::as_mut(&mut program).poll(&mut context) };
        match catch_unwind(AssertUnwindSafe(&mut poll)) {
            Ok(Poll::Ready(result)) => return format!("{result:?}"),
            Ok(Poll::Pending) if end == End::Drop(clock) => return "dropped".to_owned(),
            Ok(Poll::Pending) => {
                while pending_exits().iter().any(|exit| exit.detached) {
                    yield_now().await;
                }
            }
            Err(payload) => return format!("panic {}", message(&*payload)),
        }
    }
    "stuck".to_owned()
}

fn message(payload: &(dyn Any + Send)) -> String {
    let literal = payload
        .downcast_ref::<&str>()
        .map(|&message| message.to_owned());
    literal
        .or_else(|| payload.downcast_ref().cloned())
        .unwrap_or_default()
}

fn reported(entry: &Entry) -> String {
    let Entry {
        phase,
        cause,
        incident,
        ..
    } = entry;
    format!("report: {phase} ({}) {incident}", short(*cause))
}
