//! Every manager of this project, held to the protocol by its own kit: the ready-made ones, the adaptors, stacks,
//! generators, and the sugar. Where a manager holds something, the kit is told how much is open.

use std::convert::Infallible;
use std::future::ready;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_with::testing::{Conformance, pend};
use async_with::{
    AsyncClose, AsyncContextManager, AsyncExitStack, Backoff, BoxManager, Cause, Either,
    ScopedAsyncContextManager, TransactionControl, Verdict, async_context_manager, async_with,
    callback, cancellable, closing, join, manage, move_on_after, move_on_at,
    move_on_when_cancelled, nullcontext, permits, reading, releasable, retry, scoped_nullcontext,
    suppress, suppress_if, task_group, timeout, timeout_at, transaction, try_task_group, writing,
};
use async_with_tests::Boom;
use tokio::sync::{Mutex, RwLock, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const LONG: Duration = Duration::from_secs(3600);
const PERMITS: usize = 1000;

// --- What managers hold -----------------------------------------------------------------------------------------------

/// What can be opened, and how much of it is open.
struct World {
    pool: Pool,
    mutex: Arc<Mutex<()>>,
    lock: Arc<RwLock<()>>,
    semaphore: Arc<Semaphore>,
    token: CancellationToken,
}

impl World {
    fn new() -> Self {
        Self {
            pool: Pool::default(),
            mutex: Arc::default(),
            lock: Arc::default(),
            semaphore: Arc::new(Semaphore::new(PERMITS)),
            token: CancellationToken::new(),
        }
    }

    fn open(&self) -> usize {
        let locked = usize::from(self.mutex.try_lock().is_err());
        let written = usize::from(self.lock.try_write().is_err());
        let permits = PERMITS - self.semaphore.available_permits();
        self.pool.0.load(Ordering::SeqCst) + locked + written + permits
    }

    fn lease(&self) -> Lease {
        Lease(self.pool.clone())
    }

    fn borrowed(&self) -> Borrowed<'_> {
        Borrowed(&self.pool)
    }

    fn connection(&self) -> Connection {
        Connection(self.pool.clone(), None)
    }
}

/// How many of its leases are open.
#[derive(Clone, Default)]
struct Pool(Arc<AtomicUsize>);

impl Pool {
    fn open(&self) -> Open {
        self.0.fetch_add(1, Ordering::SeqCst);
        Open(self.clone())
    }
}

/// Open until it is dropped.
struct Open(Pool);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl AsyncClose for Open {
    type Error = io::Error;

    async fn close(self) -> io::Result<()> {
        pend(1).await;
        Ok(())
    }
}

// --- Managers with sugar and as generators ----------------------------------------------------------------------------

struct Lease(Pool);

#[async_context_manager]
impl AsyncContextManager for Lease {
    async fn enter(&mut self) -> Result<Open, Boom> {
        let open = self.0.open();
        pend(1).await;
        Ok(open)
    }

    async fn exit(self, open: Open, _: Cause) -> Result<(), Boom> {
        pend(1).await;
        drop(open);
        Ok(())
    }
}

struct Borrowed<'a>(&'a Pool);

#[async_context_manager]
impl ScopedAsyncContextManager for Borrowed<'_> {
    async fn enter(&mut self) -> Result<Open, Boom> {
        let open = self.0.open();
        pend(1).await;
        Ok(open)
    }

    async fn exit(self, open: Open, _: Cause) -> Result<(), Boom> {
        pend(1).await;
        drop(open);
        Ok(())
    }
}

/// Refuses everything.
struct Refusing;

#[async_context_manager]
impl AsyncContextManager for Refusing {
    async fn enter(&mut self) -> Result<Open, Boom> {
        pend(1).await;
        Err(Boom("refused"))
    }

    async fn exit(self, _: Open, _: Cause) -> Result<(), Boom> {
        Ok(())
    }
}

#[async_context_manager]
async fn generated(pool: Pool) -> Result<Open, Boom> {
    let mut open = pool.open();
    pend(1).await;
    yield_!(&mut open);
    pend(1).await;
}

#[async_context_manager]
async fn giving_away(pool: Pool) -> Result<Open, Boom> {
    let open = pool.open();
    pend(1).await;
    let (open, _) = yield_!(open);
    pend(1).await;
    drop(open);
}

#[async_context_manager]
async fn generated_in_blocks(pool: Pool) -> Result<Open, Boom> {
    async_with! { Lease(pool.clone()), generated(pool) as open => {
        pend(1).await;
        yield_!(open);
        pend(1).await;
    }}
}

#[async_context_manager(suppresses)]
async fn generated_forgiving(pool: Pool) -> Result<Open, Infallible> {
    let mut open = pool.open();
    let cause = yield_!(&mut open);
    forgiving(cause)
}

fn forgiving(cause: Cause) -> Verdict {
    if matches!(cause, Cause::Failed(_)) {
        Verdict::Suppress
    } else {
        Verdict::Propagate
    }
}

#[async_context_manager]
async fn generated_with_interrupt(token: CancellationToken) -> Result<(), Boom> {
    let cancelled = async move {
        token.cancelled().await;
        Boom("cancelled")
    };
    yield_!((), interrupt = cancelled);
}

#[async_context_manager]
async fn generated_by_reference(pool: &Pool) -> Result<Open, Boom> {
    let mut open = pool.open();
    pend(1).await;
    yield_!(&mut open);
    pend(1).await;
}

#[async_context_manager]
async fn generated_in_borrowing_blocks(pool: &Pool) -> Result<Open, Boom> {
    async_with! { Borrowed(pool), generated_by_reference(pool) as open => {
        yield_!(open);
        pend(1).await;
    }}
}

/// Has one transaction at most.
struct Connection(Pool, Option<Open>);

impl TransactionControl for Connection {
    type Error = Boom;

    async fn begin(&mut self) -> Result<(), Boom> {
        self.1 = Some(self.0.open());
        pend(1).await;
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), Boom> {
        pend(1).await;
        self.1 = None;
        Ok(())
    }

    async fn rollback(&mut self) -> Result<(), Boom> {
        pend(1).await;
        self.1 = None;
        Ok(())
    }

    fn abandon(&mut self) {
        self.1 = None;
    }
}

// --- The table --------------------------------------------------------------------------------------------------------

/// A test for each manager, with what the kit is told of it. With `held`, what is open is counted.
macro_rules! conforming {
    ($constructor:ident, $counting:tt, |$world:ident| { $($name:ident: $manager:expr $(, $told:ident)*;)* }) => {$(
        #[tokio::test]
        async fn $name() {
            let world = World::new();
            let $world = &world;
            let _ = $world;
            let conformance = Conformance::$constructor(|| $manager)$(.$told())*;
            let conformance = conforming!(@$counting conformance, world);
            conformance.check().await.assert();
            assert_eq!(world.open(), 0);
        }
    )*};
    (@held $conformance:ident, $world:ident) => { $conformance.open_count(|| $world.open()) };
    (@nothing $conformance:ident, $world:ident) => { $conformance };
}

/// CAN-1 to CAN-7, EXI-1: managers whose exit survives, which hold something while they are entered.
mod surviving {
    use super::*;
    use async_with::AsyncContextManagerExt as _;

    conforming!(new, held, |world| {
        sugar: world.lease();
        generator: generated(world.pool.clone());
        generator_that_gives_away: giving_away(world.pool.clone());
        generator_with_blocks: generated_in_blocks(world.pool.clone());
        generator_that_suppresses: generated_forgiving(world.pool.clone()), suppresses_errors;
        adaptor_map: world.lease().map(|open| drop(open.0.open()));
        adaptor_map_err: world.lease().map_err(io::Error::other);
        adaptor_named: world.lease().named("lease");
        adaptor_enter_within: world.lease().enter_within(LONG);
        adaptor_exit_within: world.lease().exit_within(LONG);
        adaptor_finish_enter: world.lease().finish_enter();
        adaptor_on_enter: world.lease().on_enter(|open| drop(open.0.open()));
        adaptor_on_exit: world.lease().on_exit(|open, _| drop(open.0.open()));
        adaptor_boxed: world.lease().boxed();
        all_adaptors: world.lease().map(|_| 7).map_err(io::Error::other).named("lease").enter_within(LONG)
            .exit_within(LONG).finish_enter().on_enter(|_| ()).on_exit(|_, _| ()).boxed();
        generator_in_adaptors: generated(world.pool.clone()).named("lease").exit_within(LONG).on_exit(|_, _| ()).boxed();
        in_a_box: Box::new(world.lease());
        some: Some(world.lease());
        either_left: Either::<_, Lease>::Left(world.lease());
        either_right: Either::<BoxManager<Open, Boom>, _>::Right(world.lease());
        joined: join((world.lease(), world.lease()));
        joined_of_different_kinds: join((world.lease(), nullcontext(7).map_err(|never| -> Boom { match never {} }), generated(world.pool.clone())));
        held_until_released: releasable(world.lease());
        retried: retry(Backoff::attempts(3), { let pool = world.pool.clone(); move || Lease(pool.clone()) });
        in_a_transaction: transaction(world.connection());
        mutex: Arc::clone(&world.mutex), exclusive;
        written: writing(Arc::clone(&world.lock)), exclusive;
        semaphore: Arc::clone(&world.semaphore);
        several_permits: permits(2, Arc::clone(&world.semaphore));
        stack_with_an_entry: {
            let pool = world.pool.clone();
            AsyncExitStack::<Boom>::new().into_manager().on_enter(move |stack| {
                stack.adopt(pool.open(), |open, _| async move { pend(1).await; drop(open); });
            })
        };
    });
}

/// EXI-4, SUP-4: managers whose exit survives, and which hold nothing, or what was there before.
mod surviving_without_resource {
    use super::*;
    use async_with::AsyncContextManagerExt as _;

    conforming!(new, nothing, |world| {
        nothing: nullcontext(7);
        none: None::<Lease>;
        closed: closing(world.pool.open());
        managed: manage(world.pool.open(), |open, _| async move { pend(1).await; drop(open); });
        managed_with_verdict: manage((), |(), cause| ready(forgiving(cause))), suppresses_errors;
        called_back: callback(|| pend(1));
        called_back_with_error: callback(|| ready(Ok::<(), Boom>(())));
        suppressed: suppress::<io::Error>();
        suppressed_if: suppress_if(|_| true), suppresses_errors;
        timed: timeout(LONG);
        timed_at: timeout_at(Instant::now() + LONG);
        moved_on: move_on_after(LONG);
        moved_on_at: move_on_at(Instant::now() + LONG);
        cancelled: cancellable(world.token.clone());
        moved_on_when_cancelled: move_on_when_cancelled(world.token.clone());
        generator_with_interrupt: generated_with_interrupt(world.token.clone());
        group: task_group();
        group_that_can_fail: try_task_group::<Boom>();
        group_with_tasks: task_group().on_enter(|tasks| tasks.spawn(pend(3)));
        read: reading(Arc::clone(&world.lock));
        stack: AsyncExitStack::<Boom>::new().into_manager();
        stack_that_suppresses: AsyncExitStack::<Boom, Verdict>::suppressing().into_manager();
    });
}

/// CAN-1, CAN-2: managers that borrow, or may.
mod scoped {
    use super::*;
    use async_with::ScopedAsyncContextManagerExt as _;
    use async_with::ScopedBoxManager;

    conforming!(scoped, held, |world| {
        sugar: world.borrowed();
        generator: generated_by_reference(&world.pool);
        generator_with_blocks: generated_in_borrowing_blocks(&world.pool);
        adaptor_map: world.borrowed().map(|open| drop(open.0.open()));
        adaptor_map_err: world.borrowed().map_err(io::Error::other);
        adaptor_named: world.borrowed().named("lease");
        adaptor_enter_within: world.borrowed().enter_within(LONG);
        adaptor_exit_within: world.borrowed().exit_within(LONG);
        adaptor_on_enter: world.borrowed().on_enter(|open| drop(open.0.open()));
        adaptor_on_exit: world.borrowed().on_exit(|open, _| drop(open.0.open()));
        adaptor_boxed: world.borrowed().boxed();
        all_adaptors: world.borrowed().map(|_| 7).map_err(io::Error::other).named("lease").enter_within(LONG)
            .exit_within(LONG).on_enter(|_| ()).on_exit(|_, _| ()).boxed();
        in_a_box: Box::new(world.borrowed());
        some: Some(world.borrowed());
        either_left: Either::<_, Borrowed<'_>>::Left(world.borrowed());
        either_right: Either::<ScopedBoxManager<'_, Open, Boom>, _>::Right(world.borrowed());
        retried: retry(Backoff::attempts(3), || world.borrowed());
        in_a_transaction: transaction(Box::leak(Box::new(world.connection())));
        mutex: &*world.mutex, exclusive;
        written: writing(&*world.lock), exclusive;
        semaphore: &*world.semaphore;
        several_permits: permits(2, &*world.semaphore);
    });
}

/// EXI-4: managers that may borrow, and hold nothing.
mod scoped_without_resource {
    use super::*;

    conforming!(scoped, nothing, |world| {
        nothing: scoped_nullcontext(&world.token);
        none: None::<Borrowed<'_>>;
        read: reading(&*world.lock);
    });
}

/// EXI-1: an enter that fails leaves nothing open, however it is wrapped.
#[tokio::test]
async fn failed_enters_leave_nothing_open() {
    use async_with::AsyncContextManagerExt as _;
    let world = World::new();
    let check = |make: fn(&World, bool) -> BoxManager<(), Boom>| {
        Conformance::new({
            let world = &world;
            move || make(world, false)
        })
        .failing_enter({
            let world = &world;
            move || make(world, true)
        })
        .open_count(|| world.open())
        .check()
    };
    let reports = [
        check(|world, refuses| {
            let second = either(refuses, &world.pool);
            join((world.lease(), second)).map(|_| ()).boxed()
        })
        .await,
        check(|world, refuses| {
            let backoff = Backoff::attempts(2).initial_delay(Duration::ZERO);
            let pool = world.pool.clone();
            retry(backoff, move || either(refuses, &pool))
                .map(|_| ())
                .boxed()
        })
        .await,
        check(|world, refuses| {
            let inner = either(refuses, &world.pool);
            refused_in_blocks(world.pool.clone(), inner)
                .map(|_| ())
                .boxed()
        })
        .await,
    ];
    for report in reports {
        report.assert();
    }
}

fn either(refuses: bool, pool: &Pool) -> Either<Refusing, Lease> {
    if refuses {
        Either::Left(Refusing)
    } else {
        Either::Right(Lease(pool.clone()))
    }
}

#[async_context_manager]
async fn refused_in_blocks(pool: Pool, inner: Either<Refusing, Lease>) -> Result<Open, Boom> {
    async_with! { Lease(pool), inner as open => {
        yield_!(open);
    }}
}
