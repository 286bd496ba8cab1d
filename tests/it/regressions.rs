//! What random programs have shown to be wrong, as small as it gets.

use std::future::pending;
use std::panic::{AssertUnwindSafe, panic_any};
use std::time::Duration;

use async_with::report::{Entry, Phase, collect};
use async_with::{AsyncContextManager, Cause, Elapsed, drain, move_on_after, prelude::*, timeout};
use async_with_tests::{Boom, Gate, Log};
use futures::FutureExt;
use tokio::time::sleep;

/// ATT-2: the forms inside of an attributed function are on in the bodies of `async_with!` too. rustc did not know the
/// attribute `with` there.
#[tokio::test]
async fn marked_statements_in_the_body_of_a_macro() {
    #[attr::async_with]
    async fn forms(log: &Log, good: bool) -> Result<u64, Boom> {
        let value = async_with! { log.suppressing("a") => {
            #[with]
            let b = log.fallible("b");
            b.note();
            async_with!(log.manager("c"), {
                #[with(log.manager("d") as d)]
                {
                    d.check(good)?;
                }
            });
            b.value
        } else {
            #[with]
            let e = log.manager("e");
            e.value
        }};
        Ok(value)
    }
    let log = Log::new();
    assert_eq!(forms(&log, true).await, Ok(1));
    let expected = [
        "enter a",
        "enter b",
        "use b",
        "enter c",
        "enter d",
        "exit d: completed",
        "exit c: completed",
        "exit b: completed",
        "exit a: completed",
    ];
    assert_eq!(log.take(), expected);
    assert_eq!(forms(&log, false).await, Ok(0));
    let events = log.take();
    assert_eq!(
        events[events.len() - 3..],
        ["exit a: failed Boom", "enter e", "exit e: completed"]
    );
}

/// STK-1, EXI-7: what is entered through a stack sees the error before the block waits for what was detached in it, as in
/// a block of its own. It saw the error afterwards.
#[tokio::test]
async fn a_stack_shows_the_error_before_it_waits() {
    async fn fail(log: &Log) -> Result<(), Boom> {
        let lost = async {
            async_with::async_with! { log.manager("lost") => { std::future::pending::<()>().await; } }
        };
        assert!(lost.now_or_never().is_none());
        Err(Boom("body"))
    }
    async fn nested(log: &Log) -> Result<(), Boom> {
        async_with::async_with! { log.fallible("a") => { fail(log).await? } }
        Ok(())
    }
    async fn stacked(log: &Log) -> Result<(), Boom> {
        async_with::async_with! { AsyncExitStack::new() as stack => {
            stack.enter(log.fallible("a")).await?;
            fail(log).await?;
        }}
        Ok(())
    }
    let log = Log::new();
    let expected = [
        "enter a",
        "enter lost",
        "inspect a: Boom(\"body\")",
        "exit lost: dropped",
        "exit a: failed Boom",
    ];
    assert_eq!(nested(&log).await, Err(Boom("body")));
    assert_eq!(log.take(), expected);
    assert_eq!(stacked(&log).await, Err(Boom("body")));
    assert_eq!(log.take(), expected);
}

/// STK-1, CAN-2: dropped while the block of a stack waits for what was detached in it, the innermost manager is told how
/// the body ended, as in a block of its own, and those further out of the drop. It was told of the drop.
#[tokio::test]
async fn a_stack_that_is_dropped_while_it_waits() {
    async fn lose(log: &Log) {
        let lost = async {
            async_with::async_with! { log.manager("lost") => { std::future::pending::<()>().await; } }
        };
        assert!(lost.now_or_never().is_none());
    }
    let log = Log::new();
    let nested = async {
        async_with::async_with! { log.manager("a"), log.manager("b") => { lose(&log).await } }
    };
    let stacked = async {
        async_with::async_with! { AsyncExitStack::new() as stack => {
            let Ok(_) = stack.enter(log.manager("a")).await;
            let Ok(_) = stack.enter(log.manager("b")).await;
            lose(&log).await;
        }}
    };
    let expected = [
        "enter a",
        "enter b",
        "enter lost",
        "exit lost: dropped",
        "exit b: completed",
        "exit a: dropped",
    ];
    assert!(nested.now_or_never().is_none());
    drain().await;
    assert_eq!(log.take(), expected);
    assert!(stacked.now_or_never().is_none());
    drain().await;
    assert_eq!(log.take(), expected);
}

/// ATT-2: functions with attributes of their own, in each other: the innermost has the forms. Where the one around it has
/// managers, they were taken for misplaced ones.
#[tokio::test]
async fn attributed_functions_in_each_other() {
    #[attr::async_with]
    async fn outermost(log: &Log) -> Result<(), Boom> {
        #[attr::async_with(log.fallible("a"))]
        async fn outer(log: &Log) -> Result<(), Boom> {
            #[attr::async_with]
            async fn inner(log: &Log) -> Result<(), Boom> {
                #[with(log.fallible("b"))]
                {
                    log.write("body");
                }
                Ok(())
            }
            inner(log).await
        }
        outer(log).await
    }
    let log = Log::new();
    assert_eq!(outermost(&log).await, Ok(()));
    let expected = [
        "enter a",
        "enter b",
        "body",
        "exit b: completed",
        "exit a: completed",
    ];
    assert_eq!(log.take(), expected);
}

/// Opens the gate when the deadlines of the test have passed.
fn opened_late() -> Gate {
    let gate = Gate::new();
    let opens = gate.clone();
    tokio::spawn(async move {
        sleep(Duration::from_secs(5)).await;
        opens.open();
    });
    gate
}

const SECOND: Duration = Duration::from_secs(1);

/// STK-1, CAN-6: two entries of a stack that interrupt, the inner one first, while a block inside of the body exits. The
/// outer one was not heard until the exits of the stack ran.
#[tokio::test(start_paused = true)]
async fn an_outer_deadline_of_a_stack_that_passes_after_an_inner_one() {
    async fn nested(log: &Log, gate: &Gate) -> Result<(), Elapsed> {
        async_with::async_with! {
            timeout(2 * SECOND), log.manager("a"), timeout(SECOND),
            log.manager("b").exit_waits_for(gate) => {}
        }
        Ok(())
    }
    async fn stacked(log: &Log, gate: &Gate) -> Result<(), Elapsed> {
        async_with::async_with! { AsyncExitStack::new() as stack => {
            stack.enter(timeout(2 * SECOND)).await?;
            stack.enter_infallible(log.manager("a")).await;
            stack.enter(timeout(SECOND)).await?;
            async_with::async_with! { log.manager("b").exit_waits_for(gate) => {} }
        }}
        Ok(())
    }
    let log = Log::new();
    assert!(nested(&log, &opened_late()).await.is_err());
    let events = log.take();
    assert_eq!(events.last().map(String::as_str), Some("exit a: cancelled"));
    assert!(stacked(&log, &opened_late()).await.is_err());
    assert_eq!(log.take(), events);
}

/// STK-1, CAN-6: a deadline outside of a stack passes while the entry exits that interrupted the body. Its error was
/// reported as `MovedOn`; that of an entry, in place of which one further out interrupts, was not reported.
#[tokio::test(start_paused = true)]
async fn an_entry_that_interrupted_is_interrupted_itself() {
    #[async_context_manager]
    async fn deadline(gate: Gate) -> Result<(), anyhow::Error> {
        let passed = async {
            sleep(SECOND).await;
            anyhow::anyhow!("late")
        };
        yield_!((), interrupt = passed);
        gate.opened().await;
        Ok(())
    }
    async fn nested(gate: Gate) -> Result<(), anyhow::Error> {
        async_with::async_with! { timeout(2 * SECOND), deadline(gate) => { pending::<()>().await; } }
        Ok(())
    }
    async fn around(gate: Gate) -> Result<(), anyhow::Error> {
        async_with::async_with! { timeout(2 * SECOND), AsyncExitStack::new() as stack => {
            stack.enter(deadline(gate)).await?;
            pending::<()>().await;
        }}
        Ok(())
    }
    async fn stacked(gate: Gate) -> Result<(), anyhow::Error> {
        async_with::async_with! { AsyncExitStack::new() as stack => {
            stack.enter(timeout(2 * SECOND)).await?;
            stack.enter(deadline(gate)).await?;
            pending::<()>().await;
        }}
        Ok(())
    }
    fn check((result, reported): (Result<(), anyhow::Error>, Vec<Entry>)) {
        assert!(result.is_err_and(|error| error.is::<Elapsed>()));
        let [entry] = &reported[..] else {
            panic!("{reported:?}")
        };
        assert_eq!(entry.phase, Phase::Interrupt);
        // A backtrace may follow.
        assert!(entry.incident.to_string().starts_with("failed: late"));
    }
    check(collect(nested(opened_late())).await);
    check(collect(around(opened_late())).await);
    check(collect(stacked(opened_late())).await);
}

/// STK-1, CAN-4, CAN-6: the deadline of an entry passes while the stack waits for what was detached in its body. It was
/// not heard before the first exit.
#[tokio::test(start_paused = true)]
async fn a_deadline_of_a_stack_that_waits() {
    async fn lose(log: &Log, gate: &Gate) {
        let lost = async {
            async_with::async_with! { log.manager("lost").exit_waits_for(gate) => {
                pending::<()>().await;
            }}
        };
        assert!(lost.now_or_never().is_none());
    }
    async fn nested(log: &Log, gate: &Gate) -> Result<(), Elapsed> {
        async_with::async_with! { timeout(SECOND), log.manager("a"), log.manager("b") => {
            lose(log, gate).await;
        }}
        Ok(())
    }
    async fn stacked(log: &Log, gate: &Gate) -> Result<(), Elapsed> {
        async_with::async_with! { AsyncExitStack::new() as stack => {
            stack.enter(timeout(SECOND)).await?;
            stack.enter_infallible(log.manager("a")).await;
            stack.enter_infallible(log.manager("b")).await;
            lose(log, gate).await;
        }}
        Ok(())
    }
    let log = Log::new();
    assert!(nested(&log, &opened_late()).await.is_err());
    let events = log.take();
    assert_eq!(events.last().map(String::as_str), Some("exit a: cancelled"));
    assert!(stacked(&log, &opened_late()).await.is_err());
    assert_eq!(log.take(), events);
}

/// STK-4, CAN-6: the body goes on for a while after an entry has interrupted it, and moves that entry to another stack. The
/// block raises its error; it panicked, because it looked for the error among its entries.
#[tokio::test(start_paused = true)]
async fn an_entry_that_interrupted_is_moved_out() {
    async fn stacked(log: &Log, gate: &Gate) -> Result<(), Elapsed> {
        async_with::async_with! { AsyncExitStack::new() as stack => {
            stack.enter(timeout(SECOND)).await?;
            let inside = async {
                async_with::async_with! { log.manager("a").exit_waits_for(gate) => {} }
            };
            tokio::select! {
                () = inside => {}
                () = sleep(2 * SECOND) => {}
            }
            stack.pop_all().close().await?;
            log.write("not reached");
        }}
        Ok(())
    }
    let log = Log::new();
    assert!(stacked(&log, &opened_late()).await.is_err());
    let events = ["enter a", "exit a: completed", "exited a"];
    assert_eq!(log.take(), events);
}

/// STK-4, CAN-6: the same with a manager that moves on, in a stack of its own and in one that is a manager. There it
/// panicked: nobody was left to suppress what has no error to raise.
#[tokio::test(start_paused = true)]
async fn an_entry_that_moves_on_is_moved_out() {
    async fn pops(stack: &mut AsyncExitStack<Boom, Verdict>, log: &Log, gate: &Gate) {
        let Ok(_) = stack.enter(move_on_after(SECOND)).await else {
            panic!("it cannot fail")
        };
        let inside = async {
            async_with::async_with! { log.manager("a").exit_waits_for(gate) => {} }
        };
        tokio::select! {
            () = inside => {}
            () = sleep(2 * SECOND) => {}
        }
        drop(stack.pop_all());
        log.write("popped");
        pending::<()>().await;
    }
    let log = Log::new();
    let events = ["enter a", "exit a: completed", "popped", "exited a"];
    let gate = opened_late();
    let alone = async {
        async_with::async_with! { AsyncExitStack::suppressing() as stack => { pops(stack, &log, &gate).await } }
        Ok::<(), Boom>(())
    };
    assert_eq!(alone.await, Ok(()));
    assert_eq!(log.take(), events);
    let stack = AsyncExitStack::<Boom, Verdict>::suppressing();
    let gate = opened_late();
    let as_manager = async {
        async_with::async_with! { stack.into_manager() as stack => { pops(stack, &log, &gate).await } }
        Ok::<(), Boom>(())
    };
    assert_eq!(as_manager.await, Ok(()));
    assert_eq!(log.take(), events);
}

/// STK-3, ERR-2: an exit of a stack fails after an entry further in has moved on. A stack that is a manager panicked, with
/// no error of its own to raise.
#[tokio::test(start_paused = true)]
async fn an_exit_fails_after_an_entry_that_moved_on() {
    async fn fill(stack: &mut AsyncExitStack<Boom, Verdict>, log: &Log) -> Result<(), Boom> {
        stack.enter(log.fallible("a").exit_fails()).await?;
        let Ok(_) = stack.enter(move_on_after(SECOND)).await else {
            panic!("it cannot fail")
        };
        pending().await
    }
    let log = Log::new();
    let events = ["enter a", "exit a: completed"];
    let alone = async {
        async_with::async_with! { AsyncExitStack::suppressing() as stack => { fill(stack, &log).await? } }
        Ok::<(), Boom>(())
    };
    assert_eq!(alone.await, Err(Boom("a")));
    assert_eq!(log.take(), events);
    let stack = AsyncExitStack::<Boom, Verdict>::suppressing();
    let as_manager = async {
        async_with::async_with! { stack.into_manager() as stack => { fill(stack, &log).await? } }
        Ok::<(), Boom>(())
    };
    assert_eq!(as_manager.await, Err(Boom("a")));
    assert_eq!(log.take(), events);
}

/// STK-4, CAN-6: the interrupt of an entry that has left the stack is over. It may be entered again, in another block.
#[tokio::test(start_paused = true)]
async fn an_entry_that_interrupted_is_entered_again() {
    let (log, gate) = (Log::new(), opened_late());
    let mut kept = None;
    let first = async {
        async_with::async_with! { AsyncExitStack::new() as stack => {
            stack.enter(timeout(SECOND)).await?;
            let inside = async {
                async_with::async_with! { log.manager("a").exit_waits_for(&gate) => {} }
            };
            tokio::select! {
                () = inside => {}
                () = sleep(2 * SECOND) => {}
            }
            kept = Some(stack.pop_all());
            pending::<()>().await;
        }}
        Ok::<(), Elapsed>(())
    };
    assert!(first.await.is_err());
    let again = async {
        async_with::async_with! { kept.expect("it was moved out") => { sleep(2 * SECOND).await } }
        Ok::<(), Elapsed>(())
    };
    let (result, reported) = collect(again).await;
    assert_eq!((result, reported), (Ok(()), vec![]));
}

/// EXI-1, PAN-3: a stack in a stack, one of whose managers panics when it is shown the error. All are exited, told of the
/// panic, and it goes on. None was exited.
#[tokio::test]
async fn a_panic_in_an_inspect_of_a_stack_in_a_stack() {
    async fn stacked(log: &Log) -> Result<(), Boom> {
        async_with::async_with! { AsyncExitStack::new() as outer => {
            outer.enter(log.fallible("a")).await?;
            let inner = AsyncExitStack::<Boom>::new();
            inner.enter(log.fallible("b")).await?;
            inner.enter(log.fallible("c").inspect_panics()).await?;
            inner.enter(log.fallible("d")).await?;
            let inner = inner.into_manager().map_err(|error| error.into_inner().unwrap());
            outer.enter(inner).await?;
            log.write("body");
            Err(Boom("body"))
        }}
    }
    let log = Log::new();
    let (result, reported) = collect(AssertUnwindSafe(stacked(&log)).catch_unwind()).await;
    let payload = result.unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"c"));
    let expected = [
        "inspect d: Boom(\"body\")",
        "inspect c: Boom(\"body\")",
        "exit d: panicked",
        "exit c: panicked",
        "exit b: panicked",
        "exit a: panicked",
    ];
    let events = log.take();
    let body = events.iter().position(|event| event == "body");
    assert_eq!(events[body.unwrap() + 1..], expected);
    let [entry] = &reported[..] else {
        panic!("{reported:?}")
    };
    assert_eq!(entry.incident.to_string(), "failed: Boom(\"body\")");
}

/// STK-1, PAN-3: `interrupt` of a manager panics when it is entered through a stack. It is exited, told of the panic, which
/// goes on. It was not exited.
#[tokio::test]
async fn a_panic_in_an_interrupt_of_an_entry() {
    struct Panics(Log);
    impl AsyncContextManager for Panics {
        type Resource = ();
        type Error = Boom;
        type Exit = ();

        async fn enter(&mut self) -> Result<(), Boom> {
            self.0.write("enter");
            Ok(())
        }

        async fn exit(self, (): (), cause: Cause) -> Result<(), Boom> {
            self.0.write(format!("exit: {cause}"));
            Ok(())
        }

        #[allow(unreachable_code)]
        fn interrupt(&self, (): &()) -> impl Interruption<Boom> + Send + use<> {
            panic_any("interrupt");
            pending()
        }
    }
    async fn nested(log: &Log) -> Result<(), Boom> {
        async_with::async_with! { log.fallible("a"), Panics(log.clone()) => {
            pending::<()>().await;
        }}
        Ok(())
    }
    async fn stacked(log: &Log, owned: bool) -> Result<(), Boom> {
        async_with::async_with! { AsyncExitStack::new() as stack => {
            stack.enter(log.fallible("a")).await?;
            if owned {
                stack.enter_owned(Panics(log.clone())).await?;
            } else {
                stack.enter(Panics(log.clone())).await?;
            }
            pending::<()>().await;
        }}
        Ok(())
    }
    let log = Log::new();
    let expected = ["enter a", "enter", "exit: panicked", "exit a: panicked"];
    let payload = AssertUnwindSafe(nested(&log))
        .catch_unwind()
        .await
        .unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"interrupt"));
    assert_eq!(log.take(), expected);
    for owned in [false, true] {
        let payload = AssertUnwindSafe(stacked(&log, owned))
            .catch_unwind()
            .await
            .unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&"interrupt"));
        assert_eq!(log.take(), expected);
    }
}

/// STK-1, EXI-1: `name` of a manager is called before it is entered through a stack, as in a block: it owes nothing when
/// that panics. It was called afterwards, and the exit was lost.
#[tokio::test]
async fn a_panic_in_the_name_of_an_entry() {
    struct Nameless(Log);
    impl AsyncContextManager for Nameless {
        type Resource = ();
        type Error = Boom;
        type Exit = ();

        async fn enter(&mut self) -> Result<(), Boom> {
            self.0.write("enter");
            Ok(())
        }

        async fn exit(self, (): (), _: Cause) -> Result<(), Boom> {
            Ok(())
        }

        fn name(&self) -> &'static str {
            panic_any("name")
        }
    }
    let log = Log::new();
    let stack = AsyncExitStack::<Boom>::new();
    let entered = AssertUnwindSafe(stack.enter(Nameless(log.clone())))
        .catch_unwind()
        .await;
    assert_eq!(entered.unwrap_err().downcast_ref(), Some(&"name"));
    let entered = AssertUnwindSafe(stack.enter_owned(Nameless(log.clone())))
        .catch_unwind()
        .await;
    assert_eq!(entered.err().unwrap().downcast_ref(), Some(&"name"));
    assert!(stack.is_empty());
    assert!(log.take().is_empty());
}

/// STK-4: a `close` is dropped half-way, and its exits end while the stack is used again. What a registrar pushes after
/// that comes on top of what the stack holds. It came below.
#[tokio::test]
async fn a_registrar_of_a_stack_whose_close_was_dropped() {
    let log = Log::new();
    let write = |event: &'static str| {
        let log = log.clone();
        move || async move { log.write(event) }
    };
    for during in [false, true] {
        let gate = Gate::new();
        let mut stack = AsyncExitStack::<Boom>::new();
        let registrar = stack.registrar();
        stack.callback(write("x"));
        let opened = gate.clone();
        stack.callback(async move || opened.opened().await);
        assert!(stack.close().now_or_never().is_none());
        stack.callback(write("a"));
        if during {
            registrar.callback(write("b")).await.unwrap();
        }
        gate.open();
        drain().await;
        assert_eq!(log.take(), ["x"]);
        if !during {
            registrar.callback(write("b")).await.unwrap();
        }
        stack.callback(write("c"));
        assert_eq!(stack.len(), 3);
        assert_eq!(stack.close().await, Ok(()));
        assert_eq!(log.take(), ["c", "b", "a"]);
    }
}

/// CAN-6: the body puts another stack in the place of its own. What was entered in its own interrupts it still, whatever
/// becomes of that, and what is in the place is exited. The block panicked, for it looked for the error in the wrong one.
#[tokio::test(start_paused = true)]
async fn a_stack_that_is_taken_out_of_its_place() {
    async fn stacked(log: &Log, kept: &mut Option<AsyncExitStack<Elapsed>>) -> Result<(), Elapsed> {
        async_with::async_with! { AsyncExitStack::new() as stack => {
            stack.enter_infallible(log.manager("a")).await;
            stack.enter(timeout(SECOND)).await?;
            *kept = Some(std::mem::take(stack));
            stack.enter_infallible(log.manager("b")).await;
            stack.enter_infallible(log.manager("c")).await;
            pending::<()>().await;
        }}
        Ok(())
    }
    let log = Log::new();
    let mut kept = None;
    let (result, reported) = collect(stacked(&log, &mut kept)).await;
    assert!(result.is_err());
    assert!(reported.is_empty(), "{reported:?}");
    let expected = [
        "enter a",
        "enter b",
        "enter c",
        "exit c: cancelled",
        "exit b: cancelled",
    ];
    assert_eq!(log.take(), expected);
    assert!(kept.unwrap().close().await.is_ok());
    assert_eq!(log.take(), ["exit a: completed"]);
}

/// CAN-6: as above, with the stacks of two blocks in each other.
#[tokio::test(start_paused = true)]
async fn two_stacks_that_are_exchanged() {
    async fn stacked(log: &Log, [outer, inner]: [Duration; 2]) -> Result<(), Elapsed> {
        async_with::async_with! { AsyncExitStack::new() as one => {
            one.enter_infallible(log.manager("a")).await;
            one.enter(timeout(outer)).await?;
            let result: Result<(), Elapsed> = async {
                async_with::async_with! { AsyncExitStack::new() as other => {
                    other.enter_infallible(log.manager("b")).await;
                    other.enter(timeout(inner)).await?;
                    std::mem::swap(one, other);
                    pending::<()>().await;
                }}
                Ok(())
            }
            .await;
            log.write("went on");
            result
        }}
    }
    let log = Log::new();
    assert!(stacked(&log, [SECOND, 2 * SECOND]).await.is_err());
    let expected = [
        "enter a",
        "enter b",
        "exit a: cancelled",
        "exit b: cancelled",
    ];
    assert_eq!(log.take(), expected);
    assert!(stacked(&log, [2 * SECOND, SECOND]).await.is_err());
    let expected = [
        "enter a",
        "enter b",
        "exit a: cancelled",
        "went on",
        "inspect b: Elapsed",
        "exit b: failed Elapsed",
    ];
    assert_eq!(log.take(), expected);
}

/// CAN-6: a stack that was taken out of its block interrupts that no more, once it is closed, or in a block of its own.
#[tokio::test(start_paused = true)]
async fn a_stack_that_was_taken_out_is_closed_or_entered() {
    async fn closed(log: &Log, drops: bool) -> Result<(), Elapsed> {
        async_with::async_with! { AsyncExitStack::new() as stack => {
            stack.enter_infallible(log.manager("a")).await;
            stack.enter(timeout(SECOND)).await?;
            let mut taken = std::mem::take(stack);
            if drops {
                drop(taken);
            } else {
                taken.close().await?;
            }
            sleep(2 * SECOND).await;
            log.write("went on");
        }}
        Ok(())
    }
    async fn entered(log: &Log) -> Result<(), Elapsed> {
        async_with::async_with! { AsyncExitStack::new() as stack => {
            stack.enter(timeout(SECOND)).await?;
            let taken = std::mem::take(stack);
            let inner: Result<(), Elapsed> = async {
                async_with::async_with! { taken as stack => {
                    stack.enter_infallible(log.manager("a")).await;
                    pending::<()>().await;
                }}
                Ok(())
            }
            .await;
            assert!(inner.is_err());
            log.write("went on");
        }}
        Ok(())
    }
    let log = Log::new();
    assert!(closed(&log, false).await.is_ok());
    assert_eq!(log.take(), ["enter a", "exit a: completed", "went on"]);
    assert!(closed(&log, true).await.is_ok());
    assert_eq!(log.take(), ["enter a", "exit a: dropped", "went on"]);
    assert!(entered(&log).await.is_ok());
    assert_eq!(log.take(), ["enter a", "exit a: cancelled", "went on"]);
}

/// STK-4, CAN-6: the body goes on for a while after an entry has interrupted it, and closes the stack, or what was moved out
/// of it. Nothing is opened any more after that, and the error is raised.
#[tokio::test(start_paused = true)]
async fn a_stack_that_is_closed_after_an_entry_has_interrupted() {
    #[derive(Clone, Copy, Debug)]
    enum How {
        Close,
        PopAll,
        Take,
    }
    async fn stacked(log: &Log, gate: &Gate, how: How) -> Result<(), Elapsed> {
        async_with::async_with! { AsyncExitStack::suppressing() as stack => {
            stack.enter(timeout(SECOND)).await?;
            let inside = async {
                async_with::async_with! { log.manager("a").exit_waits_for(gate) => {} }
            };
            tokio::select! {
                () = inside => {}
                () = sleep(2 * SECOND) => {}
            }
            match how {
                How::Close => stack.close().await?,
                How::PopAll => stack.pop_all().close().await?,
                How::Take => {
                    let mut taken = std::mem::replace(stack, AsyncExitStack::suppressing());
                    taken.close().await?;
                }
            }
            stack.enter_infallible(log.suppressing("b")).await;
            pending::<()>().await;
        }}
        log.write("went on");
        Ok(())
    }
    let log = Log::new();
    for how in [How::Close, How::PopAll, How::Take] {
        assert!(stacked(&log, &opened_late(), how).await.is_err(), "{how:?}");
        let events = ["enter a", "exit a: completed", "exited a"];
        assert_eq!(log.take(), events, "{how:?}");
    }
}
