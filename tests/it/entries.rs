//! STK-1: an entry of an exit stack is a level like any other. STK-3: what is released early is gone.

use std::future::{Future, pending};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use allocation_counter::measure;
use async_with::report::{self, Entry, Incident, Phase};
use async_with::{
    AsyncContextManager, AsyncContextManagerExt as _, AsyncExitStack, Cause, Elapsed, Interruption,
    Raised, Verdict, async_with, cancellable, drain, join, manage, move_on_after, timeout,
};
use async_with_tests::{Boom, Gate, Log};
use tokio::task::yield_now;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::runtimes::{runtimes, until};

const SECOND: Duration = Duration::from_secs(1);

/// Notes how it sees an error, and may fail.
struct Views {
    log: Log,
    fails: bool,
}

impl AsyncContextManager for Views {
    type Resource = ();
    type Error = io::Error;
    type Exit = ();

    async fn enter(&mut self) -> io::Result<()> {
        Ok(())
    }

    async fn exit(self, (): (), _: Cause) -> io::Result<()> {
        if self.fails {
            return Err(io::Error::other("exit"));
        }
        Ok(())
    }

    fn inspect(&mut self, (): &mut (), raised: Raised<'_>) {
        let seen = raised.as_error().map(ToString::to_string);
        self.log.write(format!("{seen:?}"));
    }
}

/// An error that managers' errors are converted to.
#[derive(Debug)]
struct Wrapped(io::Error);

impl std::fmt::Display for Wrapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "wrapped {}", self.0)
    }
}

impl std::error::Error for Wrapped {}

impl From<io::Error> for Wrapped {
    fn from(error: io::Error) -> Self {
        Self(error)
    }
}

/// STK-1, ERR-6: the error of an inner exit is shown to the entries further out as what it is, converted or not.
#[tokio::test]
async fn the_error_of_an_inner_exit_is_shown_as_an_error() {
    async fn nested<E: From<io::Error> + std::error::Error + 'static>(log: &Log) -> Result<(), E> {
        async_with! {
            Views { log: log.clone(), fails: false },
            Views { log: log.clone(), fails: true } => {}
        }
        Ok(())
    }
    async fn stacked<E: From<io::Error> + std::error::Error + Send + 'static>(
        log: &Log,
    ) -> Result<(), E> {
        async_with! { AsyncExitStack::<E>::new() as stack => {
            for fails in [false, true] {
                stack.enter(Views { log: log.clone(), fails }).await?;
            }
        }}
        Ok(())
    }
    async fn boxed(log: &Log) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        async_with! { AsyncExitStack::new() as stack => {
            for fails in [false, true] {
                stack.enter(Views { log: log.clone(), fails }).await?;
            }
        }}
        Ok(())
    }
    let log = Log::new();
    assert!(nested::<io::Error>(&log).await.is_err());
    assert!(stacked::<io::Error>(&log).await.is_err());
    assert!(boxed(&log).await.is_err());
    assert_eq!(log.take(), ["Some(\"exit\")"; 3]);
    assert!(nested::<Wrapped>(&log).await.is_err());
    assert!(stacked::<Wrapped>(&log).await.is_err());
    assert_eq!(log.take(), ["Some(\"wrapped exit\")"; 2]);
}

/// STK-3: what was released interrupts no longer, whether it raises or moves on.
#[tokio::test(start_paused = true)]
async fn what_was_released_does_not_interrupt() {
    async fn raises() -> Result<u8, Elapsed> {
        async_with! { AsyncExitStack::new() as stack => {
            let first = stack.enter_owned(timeout(SECOND)).await?;
            let second = stack.enter_owned(timeout(2 * SECOND)).await?;
            let mut third = stack.enter_owned(timeout(9 * SECOND)).await?;
            first.release().await?;
            sleep(SECOND).await;
            second.release().await?;
            sleep(5 * SECOND).await;
            assert!(third.borrow().is_some());
            Ok(7)
        }}
    }
    async fn moves_on() -> Result<u8, Boom> {
        let mut went_on = 0;
        async_with! { AsyncExitStack::suppressing() as stack => {
            let first = stack.enter_owned(move_on_after(SECOND)).await.expect("it cannot fail");
            assert!(first.release().await.is_ok());
            sleep(5 * SECOND).await;
            went_on = 7;
        }}
        Ok(went_on)
    }
    async fn is_cancelled(releases: bool) -> Result<u8, async_with::Cancelled> {
        let token = CancellationToken::new();
        async_with! { AsyncExitStack::new() as stack => {
            let first = stack.enter_owned(cancellable(token.clone())).await?;
            if releases {
                first.release().await?;
            }
            token.cancel();
            yield_now().await;
            yield_now().await;
            Ok(7)
        }}
    }
    assert_eq!(raises().await, Ok(7));
    assert_eq!(moves_on().await, Ok(7));
    assert_eq!(is_cancelled(true).await, Ok(7));
    assert!(is_cancelled(false).await.is_err());
}

/// STK-3: a stack keeps nothing of what was released. What lies between is still exited in order.
#[tokio::test]
async fn a_stack_keeps_nothing_of_what_was_released() {
    let kept = |times: usize| {
        let mut kept = 0;
        let mut len = 0;
        let counted = measure(|| {
            let mut cx = Context::from_waker(Waker::noop());
            let stack = AsyncExitStack::<Boom>::new();
            {
                let mut block = pin!(async {
                    for _ in 0..times {
                        let handle = stack.enter_owned(timeout(SECOND).map_err(|_| Boom("late")));
                        handle.await.unwrap().release().await.unwrap();
                    }
                });
                assert!(block.as_mut().poll(&mut cx).is_ready());
            }
            len = stack.len();
            kept = std::mem::size_of_val(&stack);
            std::mem::forget(stack);
        });
        (len, kept, counted.count_current, counted.bytes_current)
    };
    // For what is set up but once.
    kept(1000);
    // Other tests may wait in `drain` meanwhile: what wakes them is dropped here.
    let is_flat = (0..100).any(|_| kept(1000) == kept(10));
    assert!(is_flat, "{:?} {:?}", kept(1000), kept(10));
    assert_eq!(kept(1000).0, 0);

    let log = Log::new();
    let mut stack = AsyncExitStack::<Boom>::new();
    stack.enter(log.fallible("a")).await.unwrap();
    let b = stack.enter_owned(log.fallible("b")).await.unwrap();
    stack.enter(log.fallible("c")).await.unwrap();
    let _d = stack.enter_owned(log.fallible("d")).await.unwrap();
    let e = stack.enter_owned(log.fallible("e")).await.unwrap();
    stack.enter(log.fallible("f")).await.unwrap();
    assert_eq!(stack.len(), 6);
    e.release().await.unwrap();
    b.release().await.unwrap();
    assert_eq!(stack.len(), 4);
    stack.close().await.unwrap();
    let events = log.take();
    assert_eq!(
        events[6..],
        [
            "exit e: completed",
            "exit b: completed",
            "exit f: completed",
            "exit d: completed",
            "exit c: completed",
            "exit a: completed",
        ]
    );
}

/// STK-1, CAN-6: of many entries that may interrupt, those are polled that were woken.
#[tokio::test]
async fn only_interrupts_that_were_woken_are_polled() {
    struct Counts {
        polls: Arc<AtomicUsize>,
        gate: Gate,
    }
    impl AsyncContextManager for Counts {
        type Resource = ();
        type Error = Boom;
        type Exit = ();

        async fn enter(&mut self) -> Result<(), Boom> {
            Ok(())
        }

        async fn exit(self, (): (), _: Cause) -> Result<(), Boom> {
            Ok(())
        }

        fn interrupt(&self, (): &()) -> impl Interruption<Boom> + Send + use<> {
            let (polls, gate) = (Arc::clone(&self.polls), self.gate.clone());
            async move {
                let mut opened = pin!(gate.opened());
                std::future::poll_fn(|cx| {
                    polls.fetch_add(1, Ordering::Relaxed);
                    opened.as_mut().poll(cx)
                })
                .await;
                Boom("interrupt")
            }
        }
    }
    async fn block(polls: &Arc<AtomicUsize>, gates: &[Gate]) -> Result<(), Boom> {
        async_with! { AsyncExitStack::new() as stack => {
            for gate in gates {
                let (polls, gate) = (Arc::clone(polls), gate.clone());
                stack.enter(Counts { polls, gate }).await?;
            }
            for _ in 0..50 {
                yield_now().await;
            }
            gates[3].open();
            pending::<()>().await;
        }}
        Ok(())
    }
    let polls = Arc::new(AtomicUsize::new(0));
    let gates: Vec<_> = (0..100).map(|_| Gate::new()).collect();
    assert_eq!(block(&polls, &gates).await, Err(Boom("interrupt")));
    assert_eq!(polls.load(Ordering::Relaxed), 101);
}

/// STK-1, STK-4, CAN-6: a deadline of an entry covers `close`, as it does the end of the stack's block.
#[tokio::test(start_paused = true)]
async fn a_deadline_in_a_stack_covers_close() {
    let slow = || manage((), async |(), _| sleep(5 * SECOND).await);
    let mut stack = AsyncExitStack::<Elapsed>::new();
    stack.enter(timeout(SECOND)).await.unwrap();
    stack.enter_infallible(slow()).await;
    assert!(stack.close().await.is_err());

    // It is empty now, and can be used again.
    assert!(stack.is_empty());
    stack.enter(timeout(9 * SECOND)).await.unwrap();
    stack.enter_infallible(slow()).await;
    assert_eq!(stack.close().await, Ok(()));

    // One that moves on ends there.
    let mut stack = AsyncExitStack::<Boom, Verdict>::suppressing();
    stack.push(async |cause: Cause| assert!(cause.is_completed()));
    stack.enter_infallible(move_on_after(SECOND)).await;
    stack.push(async |cause: Cause| assert_eq!(cause, Cause::Cancelled));
    stack.enter_infallible(slow()).await;
    assert_eq!(stack.close().await, Ok(()));
}

/// STK-1, CAN-6: closed in the body of its block, a stack interrupts there and not the block.
#[tokio::test(start_paused = true)]
async fn a_deadline_that_passes_during_close_interrupts_no_block() {
    async fn run() -> Result<u8, Elapsed> {
        async_with! { AsyncExitStack::new() as stack => {
            stack.enter(timeout(SECOND)).await?;
            stack.callback(async || sleep(5 * SECOND).await);
            assert!(stack.close().await.is_err());
            sleep(5 * SECOND).await;
            // What is entered now interrupts the block again.
            stack.enter(timeout(SECOND)).await?;
            sleep(5 * SECOND).await;
            Ok(7)
        }}
    }
    assert!(run().await.is_err());
}

/// STK-1, CAN-5: cut off by the shutdown of the runtime, each exit that is missing is reported by its own name.
#[test]
fn each_exit_that_is_cut_off_is_reported_by_its_name() {
    const NAMES: [&str; 3] = ["transaction", "lock file", "lease"];
    async fn nested(log: Log, gate: Gate) {
        let [a, b, c] = NAMES.map(|name| log.manager("m").exit_waits_for(&gate).named(name));
        async_with! { a, b, c => { log.write("body"); pending::<()>().await } }
    }
    async fn stacked(log: Log, gate: Gate) {
        async_with! { AsyncExitStack::new() as stack => {
            let [a, b, c] = NAMES.map(|name| log.manager("m").exit_waits_for(&gate).named(name));
            stack.enter_infallible(a).await;
            let _b = stack.enter_owned(b).await;
            stack.enter_infallible(c).await;
            log.write("body");
            pending::<()>().await;
        }}
    }
    async fn joined(log: Log, gate: Gate) {
        let [a, b, c] = NAMES.map(|name| log.manager("m").exit_waits_for(&gate).named(name));
        async_with! { join((a, b, c)) => { log.write("body"); pending::<()>().await } }
    }
    fn reported<F: Future<Output = ()> + Send + 'static>(
        block: fn(Log, Gate) -> F,
        begins: bool,
    ) -> Vec<(&'static str, Incident)> {
        let (log, gate) = (Log::new(), Gate::new());
        let [runtime, _] = runtimes();
        let collected = report::collect(async {
            runtime.block_on(async {
                let mut block = Box::pin(block(log.clone(), gate.clone()));
                assert!(futures::poll!(&mut block).is_pending());
                drop(block);
                if begins {
                    until(&log, "exit m: dropped").await;
                }
            });
            drop(runtime);
        });
        let ((), entries) = futures::executor::block_on(collected);
        let reported = entries
            .into_iter()
            .map(|entry| (entry.manager, entry.incident));
        reported.collect()
    }
    for begins in [false, true] {
        let missing = NAMES.map(|name| (name, Incident::Unfinished));
        let mut from_inside = missing.clone();
        from_inside.reverse();
        let mut of_blocks = reported(nested, begins);
        of_blocks.sort_by_key(|(name, _)| NAMES.iter().position(|known| known == name));
        assert_eq!(of_blocks, missing);
        assert_eq!(reported(stacked, begins), from_inside);
        assert_eq!(reported(joined, begins), from_inside);
    }
}

/// STK-1, EXI-7: a manager whose resource is lent elsewhere is shown the error when it is back, directly before its exit.
#[tokio::test]
async fn what_is_lent_elsewhere_is_shown_the_error_when_it_is_back() {
    async fn run(log: &Log, gate: &Gate) -> Result<(), Boom> {
        async_with! { AsyncExitStack::new() as stack => {
            stack.enter(log.fallible("a")).await?;
            let mut b = stack.enter_owned(log.fallible("b")).await?;
            stack.enter(log.fallible("c")).await?;
            let (log, gate) = (log.clone(), gate.clone());
            tokio::spawn(async move {
                let mut loan = b.borrow().expect("it is open");
                log.write("lent");
                gate.opened().await;
                loan.note();
            });
            yield_now().await;
            Err(Boom("body"))?;
        }}
        Ok(())
    }
    let (log, gate) = (Log::new(), Gate::new());
    let opens = async {
        until(&log, "exit c: failed Boom").await;
        for _ in 0..9 {
            yield_now().await;
        }
        log.write("opens");
        gate.open();
    };
    let (result, ()) = futures::join!(run(&log, &gate), opens);
    assert_eq!(result, Err(Boom("body")));
    let expected = [
        "enter a",
        "enter b",
        "enter c",
        "lent",
        "inspect c: Boom(\"body\")",
        "exit c: failed Boom",
        "opens",
        "use b",
        "inspect b: Boom(\"body\")",
        "exit b: failed Boom",
        "inspect a: Boom(\"body\")",
        "exit a: failed Boom",
    ];
    assert_eq!(log.take(), expected);
}

/// STK-1, CAN-2: dropped while it waits for what is lent elsewhere, the exit is told what it was to be told.
#[tokio::test]
async fn an_exit_that_waits_for_a_loan_keeps_its_cause() {
    let log = Log::new();
    let mut stack = AsyncExitStack::<Boom>::new();
    stack.enter(log.fallible("a")).await.unwrap();
    let mut b = stack.enter_owned(log.fallible("b")).await.unwrap();
    let loan = b.borrow().expect("it is open");
    {
        let mut close = Box::pin(stack.close());
        assert_eq!(futures::poll!(&mut close), Poll::Pending);
    }
    drop(loan);
    drain().await;
    let expected = ["enter a", "enter b", "exit b: completed", "exit a: dropped"];
    assert_eq!(log.take(), expected);
}

/// ERR-5: the error of an interruption is reported when the block is dropped whose exit it waits for.
#[tokio::test(start_paused = true)]
async fn the_error_of_an_interruption_is_not_lost_with_its_block() {
    async fn block(gate: &Gate) -> Result<(), Elapsed> {
        async_with! { timeout(SECOND).exit_waits(gate) => { pending::<()>().await } }
        Ok(())
    }
    async fn stacked(gate: &Gate) -> Result<(), Elapsed> {
        async_with! { AsyncExitStack::new() as stack => {
            stack.enter(timeout(SECOND).exit_waits(gate)).await?;
            pending::<()>().await;
        }}
        Ok(())
    }
    async fn dropped(block: impl Future<Output = Result<(), Elapsed>>) -> Vec<Entry> {
        let run = async {
            let mut block = pin!(block);
            tokio::select! {
                biased;
                _ = &mut block => panic!("its exit waits"),
                () = sleep(2 * SECOND) => {}
            }
        };
        report::collect(run).await.1
    }
    let gate = Gate::new();
    for entries in [dropped(block(&gate)).await, dropped(stacked(&gate)).await] {
        let [entry] = &entries[..] else {
            panic!("one error is pending: {entries:?}");
        };
        assert_eq!(
            (entry.phase, entry.cause),
            (Phase::Interrupt, Cause::Cancelled)
        );
        let Incident::Error { debug, .. } = &entry.incident else {
            panic!("it is an error: {entry}");
        };
        assert!(debug.contains("Elapsed"), "{debug}");
    }
    gate.open();
    drain().await;
}

/// A manager whose exit waits for a gate.
trait ExitWaits: AsyncContextManager + Sized {
    fn exit_waits(self, gate: &Gate) -> WaitsInExit<Self> {
        let gate = gate.clone();
        WaitsInExit {
            manager: self,
            gate,
        }
    }
}

impl<M: AsyncContextManager> ExitWaits for M {}

struct WaitsInExit<M> {
    manager: M,
    gate: Gate,
}

impl<M: AsyncContextManager> AsyncContextManager for WaitsInExit<M> {
    type Resource = M::Resource;
    type Error = M::Error;
    type Exit = M::Exit;

    async fn enter(&mut self) -> Result<M::Resource, M::Error> {
        self.manager.enter().await
    }

    async fn exit(self, resource: M::Resource, cause: Cause) -> Result<M::Exit, M::Error> {
        self.gate.opened().await;
        self.manager.exit(resource, cause).await
    }

    fn interrupt(&self, resource: &M::Resource) -> impl Interruption<M::Error> + Send + use<M> {
        self.manager.interrupt(resource)
    }
}

/// ERR-5: what is pending in a stack or in a `join` is reported when the block is dropped.
#[tokio::test]
async fn the_error_of_an_exit_is_not_lost_with_its_block() {
    async fn stacked(log: &Log, gate: &Gate) -> Result<(), Boom> {
        async_with! { AsyncExitStack::new() as stack => {
            stack.enter(log.fallible("a").exit_waits_for(gate)).await?;
            stack.enter(log.fallible("b").exit_fails()).await?;
        }}
        Ok(())
    }
    async fn joined(log: &Log, gate: &Gate) -> Result<(), Boom> {
        let waits = log.fallible("a").exit_waits_for(gate);
        async_with! { join((waits, log.fallible("b").exit_fails())) => {} }
        Ok(())
    }
    let (log, gate) = (Log::new(), Gate::new());
    let run = async {
        for is_joined in [false, true] {
            let mut block: std::pin::Pin<Box<dyn Future<Output = _>>> = if is_joined {
                Box::pin(joined(&log, &gate))
            } else {
                Box::pin(stacked(&log, &gate))
            };
            assert_eq!(futures::poll!(&mut block), Poll::Pending);
        }
        gate.open();
        drain().await;
    };
    let ((), entries) = report::collect(run).await;
    let errors = entries
        .iter()
        .filter(|entry| matches!(entry.incident, Incident::Error { .. }));
    assert_eq!(errors.count(), 2, "{entries:?}");
}

/// STK-5: when the block of a stack has ended, what is registered is run at once; also where its exits were cut off.
#[test]
fn a_registrar_of_a_stack_whose_block_has_ended_is_too_late() {
    async fn block(
        log: &Log,
        gate: &Gate,
        registrar: &mut Option<async_with::Registrar<async_with::NoError>>,
    ) {
        async_with! { AsyncExitStack::new() as stack => {
            *registrar = Some(stack.registrar());
            stack.enter_infallible(log.manager("a").exit_waits_for(gate)).await;
            pending::<()>().await;
        }}
    }
    for cut_off in [false, true] {
        let (log, gate) = (Log::new(), Gate::new());
        let mut registrar = None;
        let [runtime, another] = runtimes();
        let collected = report::collect(async {
            runtime.block_on(async {
                let mut block = Box::pin(block(&log, &gate, &mut registrar));
                assert!(futures::poll!(&mut block).is_pending());
                drop(block);
                if !cut_off {
                    gate.open();
                    drain().await;
                }
            });
            drop(runtime);
        });
        let ((), entries) = futures::executor::block_on(collected);
        assert_eq!(entries.len(), usize::from(cut_off));
        let registrar = registrar.expect("the block was polled");
        let late = log.clone();
        let registered = registrar.callback(async move || late.write("late"));
        assert!(another.block_on(registered).is_err());
        assert_eq!(log.take().last().map(String::as_str), Some("late"));
    }
}
