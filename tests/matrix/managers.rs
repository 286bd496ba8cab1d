//! The managers of the programs: they write down what happens to them, and are where a program is hit.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use async_with::prelude::*;
use async_with::{
    BoxManager, Cancelled, Elapsed, ScopedAsyncContextManager, cancellable, timeout, try_task_group,
};
use async_with_tests::{Gate, Log, pend, short};
use tokio_util::sync::CancellationToken;

use crate::constructs::{Program, nested};

/// What programs fail with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Failure {
    Body,
    Enter(&'static str),
    Exit(&'static str),
    Task,
    Elapsed,
    Cancelled,
}

impl From<Elapsed> for Failure {
    fn from(_: Elapsed) -> Self {
        Failure::Elapsed
    }
}

impl From<Cancelled> for Failure {
    fn from(_: Cancelled) -> Self {
        Failure::Cancelled
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Surviving,
    Scoped,
}

/// What a manager does besides writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum What {
    Nothing,
    /// It has a block in its enter, `s`, and one in its exit, `c`.
    Hosts,
    /// In its enter, a block is dropped, `d`, whose exit takes longer than the enter.
    Sheds,
    Timeout,
    Token,
    /// A group with a task, which holds a block, `t`, unless it is the task that fails.
    Group,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fault {
    EnterFails,
    EnterPanics,
    ExitFails,
    ExitPanics,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Item {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) what: What,
    pub(crate) fault: Option<Fault>,
}

impl Item {
    pub(crate) const fn new(name: &'static str, kind: Kind, what: What) -> Self {
        Self {
            name,
            kind,
            what,
            fault: None,
        }
    }

    pub(crate) const fn plain(name: &'static str) -> Self {
        Self::new(name, Kind::Surviving, What::Nothing)
    }
}

/// Where a program is hit: from there on it waits, until that was noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Point {
    Enter(&'static str),
    SetUp(&'static str),
    Body,
    CleanUp(&'static str),
    Exit(&'static str),
    /// The exit of a group waits for its task.
    Waiting(&'static str),
}

/// What hits it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    /// All of it is dropped.
    Drop,
    /// What is inside of its outermost block is dropped.
    Cut,
    Timeout,
    Token,
    Task,
}

/// How the body ends when it is not hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ending {
    Completes,
    Fails,
    Panics,
    /// It waits for all exits that are owed, and completes.
    Drains,
}

/// Longer than a timeout, on the paused clock.
const MISSED: Duration = Duration::from_secs(1);

/// One run of a program.
pub(crate) struct Run {
    pub(crate) log: Log,
    pub(crate) hit: Option<Point>,
    pub(crate) source: Source,
    pub(crate) ending: Ending,
    /// Open when it is hit.
    pub(crate) fired: Gate,
    /// Open when that was noticed.
    pub(crate) noticed: Gate,
    token: CancellationToken,
    is_hit: AtomicBool,
    /// What hits it has ended already, so that nobody is to notice.
    misses: bool,
    /// How many events there were when it was hit.
    mark: Mutex<Option<usize>>,
    /// What the program itself has two of, and can return one.
    lost: Mutex<Vec<Failure>>,
}

impl Run {
    pub(crate) fn new(hit: Option<(Point, Source)>, ending: Ending, misses: bool) -> Arc<Self> {
        let source = hit.map_or(Source::Drop, |(_, source)| source);
        let hit = hit.map(|(point, _)| point);
        Arc::new(Self {
            log: Log::new(),
            hit,
            source,
            ending,
            fired: Gate::new(),
            noticed: Gate::new(),
            token: CancellationToken::new(),
            is_hit: AtomicBool::new(false),
            misses,
            mark: Mutex::new(None),
            lost: Mutex::default(),
        })
    }

    pub(crate) fn mark(&self) -> Option<usize> {
        *self.mark.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn lose(&self, failure: Failure) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.push(failure);
    }

    pub(crate) fn lost(&self) -> Vec<Failure> {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut lost)
    }

    /// Whether it is hit here; then whoever is to do so does.
    fn fires_at(&self, point: Point) -> bool {
        if self.hit != Some(point) || self.is_hit.swap(true, Ordering::Relaxed) {
            return false;
        }
        let mut mark = self.mark.lock().unwrap_or_else(PoisonError::into_inner);
        *mark = Some(self.log.events().len());
        drop(mark);
        if self.source == Source::Token {
            self.token.cancel();
        }
        // A timeout passes because nothing else goes on.
        self.fired.open();
        true
    }

    async fn at(&self, point: Point) {
        if self.fires_at(point) {
            if self.misses {
                tokio::time::sleep(MISSED).await;
            } else {
                self.noticed.opened().await;
            }
            pend(2).await;
        } else {
            pend(1).await;
        }
    }

    async fn forever_at(&self, point: Point) {
        if self.fires_at(point) {
            if self.misses {
                return tokio::time::sleep(MISSED).await;
            }
            std::future::pending::<()>().await;
        }
    }

    /// The innermost body.
    pub(crate) async fn body(self: Arc<Self>) -> Result<u8, Failure> {
        let guards = GUARDS.with_borrow(|guards| guards.join(" "));
        self.log.write(format!("body in {guards}"));
        self.forever_at(Point::Body).await;
        pend(1).await;
        match self.ending {
            Ending::Completes => Ok(7),
            Ending::Fails => Err(Failure::Body),
            // A panic without the hook, which would print thousands of messages.
            Ending::Panics => resume_unwind(Box::new("body")),
            Ending::Drains => {
                async_with::drain().await;
                Ok(7)
            }
        }
    }

    /// Drops a block whose exit takes longer than what comes next.
    pub(crate) async fn shed(self: &Arc<Self>) -> OpenedOnDrop {
        let gate = Gate::new();
        let detached = Detached(Arc::clone(self), gate.clone());
        let mut part = Box::pin(async move {
            async_with! { detached => { std::future::pending::<()>().await } }
        });
        assert!(futures::poll!(&mut part).is_pending());
        drop(part);
        OpenedOnDrop(gate)
    }
}

/// Opens a gate when what comes next has ended, or is dropped.
pub(crate) struct OpenedOnDrop(Gate);

impl Drop for OpenedOnDrop {
    fn drop(&mut self) {
        self.0.open();
    }
}

/// The manager of a block that is dropped in a body or an enter which goes on.
struct Detached(Arc<Run>, Gate);

impl AsyncContextManager for Detached {
    type Resource = ();
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    async fn exit(self, (): (), cause: Cause) -> Result<(), Infallible> {
        self.1.opened().await;
        pend(3).await;
        self.0.log.write(format!("exit d: {}", short(cause)));
        pend(1).await;
        self.0.log.write("exited d");
        Ok(())
    }

    fn name(&self) -> &'static str {
        "d"
    }
}

thread_local! {
    static GUARDS: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
}

/// What a manager holds while its body is polled.
struct Guard(&'static str);

impl Guard {
    fn new(name: &'static str) -> Self {
        GUARDS.with_borrow_mut(|guards| guards.push(name));
        Self(name)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        GUARDS.with_borrow_mut(|guards| {
            if let Some(at) = guards.iter().rposition(|name| *name == self.0) {
                guards.remove(at);
            }
        });
    }
}

/// What the two kinds of manager have in common, and generators.
pub(crate) struct Managed {
    pub(crate) item: Item,
    pub(crate) run: Arc<Run>,
    ready_made: Option<BoxManager<(), Failure>>,
    /// Open when the exit begins on a completed path.
    completed: Gate,
}

impl Managed {
    pub(crate) fn new(item: Item, run: &Arc<Run>) -> Self {
        let completed = Gate::new();
        Self {
            item,
            run: Arc::clone(run),
            ready_made: ready_made(item, run, &completed),
            completed,
        }
    }

    /// A block of one manager, around a point.
    fn block_around(&self, name: &'static str, point: Point) -> Program {
        let run = Arc::clone(&self.run);
        let body = async move {
            run.at(point).await;
            Ok(0)
        };
        nested(
            vec![Managed::new(Item::plain(name), &self.run)],
            Box::pin(body),
        )
    }

    pub(crate) async fn enter(&mut self) -> Result<(), Failure> {
        let Item {
            name, what, fault, ..
        } = self.item;
        self.run.at(Point::Enter(name)).await;
        if what == What::Hosts {
            self.block_around("s", Point::SetUp(name)).await?;
        }
        let _shed = match what {
            What::Sheds => Some(self.run.shed().await),
            _ => None,
        };
        match fault {
            Some(Fault::EnterFails) => return Err(Failure::Enter(name)),
            Some(Fault::EnterPanics) => resume_unwind(Box::new("enter")),
            _ => {}
        }
        if let Some(ready_made) = &mut self.ready_made {
            ready_made.enter().await?;
        }
        self.run.log.write(format!("enter {name}"));
        Ok(())
    }

    pub(crate) async fn exit(mut self, cause: Cause) -> Result<(), Failure> {
        let Item {
            name, what, fault, ..
        } = self.item;
        self.run.log.write(format!("exit {name}: {}", short(cause)));
        if cause.is_completed() {
            self.completed.open();
        }
        let ended = match self.ready_made.take() {
            Some(ready_made) => ready_made.exit((), cause).await,
            None => Ok(()),
        };
        if what == What::Hosts {
            self.block_around("c", Point::CleanUp(name)).await?;
        }
        self.run.at(Point::Exit(name)).await;
        self.run.log.write(format!("exited {name}"));
        match fault {
            Some(Fault::ExitFails) => Err(Failure::Exit(name)),
            Some(Fault::ExitPanics) => resume_unwind(Box::new("exit")),
            _ => ended,
        }
    }

    fn inspect(&self, raised: &Raised<'_>) {
        let name = self.item.name;
        self.run.log.write(format!("inspect {name}: {raised:?}"));
    }

    pub(crate) fn abandon(&self) {
        self.run.log.write(format!("abandon {}", self.item.name));
    }

    pub(crate) fn interruption(&self) -> Interrupts {
        let run = Arc::clone(&self.run);
        Interrupts(self.ready_made.as_ref().map(|ready_made| {
            let interrupt = ready_made.interrupt(&());
            let interrupted: Pin<Box<dyn Future<Output = Failure> + Send>> = Box::pin(async move {
                let mut interrupt = pin!(interrupt);
                let error = poll_fn(|cx| interrupt.as_mut().poll_interruption(cx)).await;
                run.noticed.open();
                error
            });
            interrupted
        }))
    }
}

/// The manager of this library that interrupts.
fn ready_made(item: Item, run: &Arc<Run>, completed: &Gate) -> Option<BoxManager<(), Failure>> {
    let run = Arc::clone(run);
    match item.what {
        What::Nothing | What::Hosts | What::Sheds => None,
        What::Timeout => {
            let fires = run.source == Source::Timeout;
            let duration = Duration::from_millis(if fires { 10 } else { 100_000_000 });
            let timeout = timeout(duration).map(|_| ()).map_err(Failure::from);
            Some(timeout.boxed())
        }
        What::Token => {
            let token = if run.source == Source::Token {
                run.token.clone()
            } else {
                CancellationToken::new()
            };
            Some(
                cancellable(token)
                    .map(|_| ())
                    .map_err(Failure::from)
                    .boxed(),
            )
        }
        What::Group => {
            let completed = completed.clone();
            let group = try_task_group().map(move |tasks| {
                if run.source == Source::Task {
                    tasks.spawn(async move {
                        tokio::select! {
                            biased;
                            () = run.fired.opened() => Err(Failure::Task),
                            () = completed.opened() => Ok(()),
                        }
                    });
                } else {
                    tasks.spawn(task_with_block(item.name, run, completed));
                }
            });
            Some(group.boxed())
        }
    }
}

async fn task_with_block(
    group: &'static str,
    run: Arc<Run>,
    completed: Gate,
) -> Result<(), Failure> {
    let within = Arc::clone(&run);
    let body = Box::pin(async move {
        completed.opened().await;
        within.forever_at(Point::Waiting(group)).await;
        Ok(0)
    });
    nested(vec![Managed::new(Item::plain("t"), &run)], body)
        .await
        .map(drop)
}

/// An interruption, if there is one.
pub(crate) struct Interrupts(Option<Pin<Box<dyn Future<Output = Failure> + Send>>>);

impl Interruption<Failure> for Interrupts {
    fn is_never(&self) -> bool {
        self.0.is_none()
    }

    fn poll_interruption(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Failure> {
        match &mut self.0 {
            Some(interrupted) => interrupted.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

impl Interrupts {
    /// As a future, for a yield.
    pub(crate) async fn fires(mut self) -> Failure {
        poll_fn(|cx| Pin::new(&mut self).poll_interruption(cx)).await
    }
}

/// A manager whose exit survives.
pub(crate) struct Surviving(pub(crate) Managed);

/// A manager whose exit lives in the frame of its block.
pub(crate) struct InFrame(pub(crate) Managed);

impl AsyncContextManager for Surviving {
    type Resource = ();
    type Error = Failure;
    type Exit = ();

    async fn enter(&mut self) -> Result<(), Failure> {
        self.0.enter().await
    }

    async fn exit(self, (): (), cause: Cause) -> Result<(), Failure> {
        self.0.exit(cause).await
    }

    fn inspect(&mut self, (): &mut (), raised: Raised<'_>) {
        self.0.inspect(&raised);
    }

    fn interrupt(&self, (): &()) -> impl Interruption<Failure> + Send + use<> {
        self.0.interruption()
    }

    fn around_poll(&self) -> impl Sized {
        Guard::new(self.0.item.name)
    }

    fn name(&self) -> &'static str {
        self.0.item.name
    }
}

impl ScopedAsyncContextManager for InFrame {
    type Resource = ();
    type Error = Failure;
    type Exit = ();

    async fn enter(&mut self) -> Result<(), Failure> {
        self.0.enter().await
    }

    async fn exit(self, (): (), cause: Cause) -> Result<(), Failure> {
        self.0.exit(cause).await
    }

    fn abandon(self, (): ()) {
        self.0.abandon();
    }

    fn inspect(&mut self, (): &mut (), raised: Raised<'_>) {
        self.0.inspect(&raised);
    }

    fn interrupt(&self, (): &()) -> impl Interruption<Failure> + use<> {
        self.0.interruption()
    }

    fn around_poll(&self) -> impl Sized {
        Guard::new(self.0.item.name)
    }

    fn name(&self) -> &'static str {
        self.0.item.name
    }
}
