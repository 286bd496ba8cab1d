//! What an adaptor changes, and that it changes nothing else.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::{Future, pending};
use std::io;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, panic_any};
use std::pin::pin;
use std::time::Duration;

use async_with::report::{self, Entry};
use async_with::{
    AsyncContextManager, BoxManager, Cause, Either, OrElapsed, Raised, ScopedAsyncContextManager,
    Verdict, callback, drain, exit_within, manage, nullcontext, pending_exits, prelude::*,
    scoped_nullcontext, suppress_if, timeout,
};
use async_with_tests::{Boom, Gate, Log, Logged, Resource, pend, short};
use futures::FutureExt;

/// Far more than any test takes.
const LONG: Duration = Duration::from_secs(60);

/// A guard that writes when it is made and when it is dropped.
struct Guard<'a>(&'a Log);

impl<'a> Guard<'a> {
    fn new(log: &'a Log) -> Self {
        log.write("guard");
        Self(log)
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.write("unguard");
    }
}

/// A manager that has everything a manager can have.
macro_rules! probe {
    ($Protocol:ident for $Probe:ident, $($abandon:item)?) => {
        struct $Probe {
            log: Log,
            gate: Gate,
        }

        impl $Probe {
            fn new(log: &Log, gate: &Gate) -> Self {
                let (log, gate) = (log.clone(), gate.clone());
                Self { log, gate }
            }
        }

        impl $Protocol for $Probe {
            type Resource = u32;
            type Error = Boom;
            type Exit = Verdict;

            async fn enter(&mut self) -> Result<u32, Boom> {
                self.log.write("enter");
                pend(1).await;
                Ok(7)
            }

            async fn exit(self, resource: u32, cause: Cause) -> Result<Verdict, Boom> {
                self.log.write(format!("exit {resource}: {cause}"));
                pend(1).await;
                self.log.write("exited");
                Ok(Verdict::Propagate)
            }

            $($abandon)?

            fn inspect(&mut self, resource: &mut u32, raised: Raised<'_>) {
                self.log.write(format!("inspect {resource}: {raised:?}"));
            }

            fn interrupt(&self, resource: &u32) -> impl Interruption<Boom> + use<> {
                self.log.write(format!("interrupt {resource}"));
                let gate = self.gate.clone();
                async move {
                    gate.opened().await;
                    Boom("interrupted")
                }
            }

            fn around_poll(&self) -> impl Sized {
                Guard::new(&self.log)
            }

            fn name(&self) -> &'static str {
                "probe"
            }
        }
    };
}

probe! { AsyncContextManager for Probe, }

probe! { ScopedAsyncContextManager for ScopedProbe,
    fn abandon(self, resource: u32) {
        self.log.write(format!("abandon {resource}"));
    }
}

/// What is reported, as text.
async fn reports<F: Future>(future: F) -> (F::Output, Vec<String>) {
    let (output, entries) = report::collect(future).await;
    (output, entries.iter().map(Entry::to_string).collect())
}

/// Everything that can happen to the block of a manager: the events, and what the block left.
macro_rules! histories {
    ($log:ident, $gate:ident, $manager:expr) => {{
        let mut histories = Vec::new();
        for how in ["completes", "fails", "panics", "is interrupted"] {
            for polls in 0..30 {
                let ($log, $gate) = (&Log::new(), &Gate::new());
                let block = async {
                    async_with! { $log.manager("outer").exit_pending(1), $manager => {
                        for pending in pending_exits() {
                            $log.write(format!("pending {}", pending.manager));
                        }
                        pend(1).await;
                        match how {
                            "completes" => {}
                            "fails" => Err(Boom("body"))?,
                            "panics" => std::panic::panic_any(Boom("body")),
                            _ => {
                                $gate.open();
                                pending().await
                            }
                        }
                    }};
                    Ok::<_, Boom>(())
                };
                let (left, entries) = {
                    let mut block =
                        Box::pin(report::collect(AssertUnwindSafe(block).catch_unwind()));
                    let mut left = None;
                    for _ in 0..polls {
                        if let std::task::Poll::Ready(ready) = futures::poll!(&mut block) {
                            left = Some(ready);
                            break;
                        }
                    }
                    match left {
                        Some((left, entries)) => (Some(left.map_err(|_| "panicked")), entries),
                        None => (None, Vec::<Entry>::new()),
                    }
                };
                drain().await;
                let finished = left.is_some();
                histories.push((how, polls, $log.take(), left, entries));
                if finished {
                    break;
                }
            }
        }
        histories
    }};
}

/// Compares the histories of adapted managers of both kinds with those of the manager alone.
macro_rules! changes_nothing {
    ($($name:ident: $probe:ident => $adapted:expr;)*) => {$(
        #[tokio::test(start_paused = true)]
        async fn $name() {
            let alone = histories!(log, gate, Probe::new(log, gate));
            let adapted = histories!(log, gate, {
                let $probe = Probe::new(log, gate);
                $adapted
            });
            assert_eq!(adapted, alone);
            let alone = histories!(log, gate, ScopedProbe::new(log, gate));
            let adapted = histories!(log, gate, {
                let $probe = ScopedProbe::new(log, gate);
                $adapted
            });
            assert_eq!(adapted, alone);
        }
    )*};
}

// ERR-6, EXI-6, EXI-7, CAN-1, CAN-2, CAN-6, CAN-7: whatever happens to a block, its manager sees the same through an
// adaptor.
changes_nothing! {
    map_changes_the_resource_only: probe => probe.map(|resource| *resource + 1);
    map_err_changes_the_error_only: probe => probe.map_err(|boom| boom);
    named_changes_the_name_only: probe => probe.named("probe");
    enter_within_changes_slow_enters_only: probe => probe.enter_within(LONG).map_err(|error| match error {
        OrElapsed::Other(boom) => boom,
        OrElapsed::Elapsed(_) => unreachable!(),
    });
    exit_within_changes_slow_exits_only: probe => probe.exit_within(LONG);
    exit_within_is_a_function_too: probe => exit_within(LONG, probe);
    on_enter_only_looks: probe => probe.on_enter(|resource| assert_eq!(*resource, 7));
    on_exit_only_looks: probe => probe.on_exit(|resource, _| assert_eq!(*resource, 7));
    boxed_hides_the_type_only: probe => probe.boxed();
    a_box_is_what_it_holds: probe => Box::new(probe);
    some_manager_is_a_manager: probe => Some(probe);
    left_is_a_manager: probe => if true { Either::Left(probe) } else { Either::Right(probe) };
    right_is_a_manager: probe => if true { Either::Right(probe) } else { Either::Left(probe) };
    adaptors_combine: probe => Some(Box::new(probe.map(|n| *n).named("other").on_enter(|_| {}))).boxed().named("probe");
}

/// The histories are what they should be: the comparisons above compare something.
#[tokio::test(start_paused = true)]
async fn histories_have_everything() {
    let all = histories!(log, gate, Probe::new(log, gate));
    let of = |how: &str, polls: usize| {
        let found = all.iter().find(|(h, p, ..)| *h == how && *p == polls);
        found.expect("it was tried").2.clone()
    };
    assert!(of("fails", 0).is_empty());
    assert_eq!(
        of("fails", 5)[2..],
        [
            "interrupt 7",
            "guard",
            "pending async_with_tests::Logged",
            "pending probe",
            "unguard",
            "guard",
            "unguard",
            "guard",
            "unguard",
            "inspect 7: Boom(\"body\")",
            "exit 7: failed (async_with_tests::Boom)",
            "exited",
            "inspect outer: Boom(\"body\")",
            "exit outer: failed Boom",
            "exited outer"
        ]
    );
    assert_eq!(
        of("completes", 2)[7..],
        [
            "guard",
            "unguard",
            "exit 7: dropped",
            "exited",
            "exit outer: dropped",
            "exited outer"
        ]
    );
    let interrupted = all.iter().rfind(|history| history.0 == "is interrupted");
    let (_, _, events, left, _) = interrupted.expect("it was tried");
    assert!(events.contains(&"exit 7: cancelled".to_owned()));
    assert_eq!(*left, Some(Ok(Err(Boom("interrupted")))));
}

// --- What each of them changes ------------------------------------------------------------------------------------

/// The body gets what the function made; the exit gets the resource, as the function left it.
#[tokio::test]
async fn map_lends_what_it_made() {
    let log = Log::new();
    let exits = log.clone();
    let manager = manage(vec!["a", "b", "c"], async move |list, _| {
        exits.write(format!("exit {list:?}"));
    });
    async_with! { manager.map(|list| list.pop().expect("three")) as last => {
        log.write(format!("body {last}"));
        *last = "z";
    }}
    let kept = scoped_nullcontext(&log).map(|log| {
        log.write("map");
        log.events().len()
    });
    let length = async_with! { kept as length => { *length } };
    assert_eq!(length, 3);
    assert_eq!(log.take(), ["body c", r#"exit ["a", "b"]"#, "map"]);
}

/// What was made is dropped before the exit, in whichever way the block ends.
#[tokio::test]
async fn map_drops_what_it_made_before_the_exit() {
    struct Made(Log);
    impl Drop for Made {
        fn drop(&mut self) {
            self.0.write("drop");
        }
    }
    let log = Log::new();
    async_with! { log.manager("a").map(|a| Made(a.log.clone())) => {} }
    assert_eq!(log.take(), ["enter a", "drop", "exit a: completed"]);
    {
        let mut block = pin!(async {
            async_with! { log.manager("a").map(|a| Made(a.log.clone())) => { pending().await } }
        });
        assert!(futures::poll!(&mut block).is_pending());
        let mut scoped = pin!(async {
            async_with! { log.scoped("b").map(|b| Made(b.log.clone())) => { pending().await } }
        });
        assert!(futures::poll!(&mut scoped).is_pending());
        assert_eq!(log.take(), ["enter a", "enter b"]);
    }
    drain().await;
    let expected = ["drop", "abandon b", "drop", "exit a: dropped"];
    assert_eq!(log.take(), expected);
}

/// ERR-1: enter, exit and interruption fail with what the function makes.
#[tokio::test(start_paused = true)]
async fn map_err_converts_every_error() {
    async fn with<M: AsyncContextManager<Error = Boom>>(manager: M) -> Result<(), String> {
        async_with! { manager.map_err(|Boom(what)| format!("<{what}>")) => {} }
        Ok(())
    }
    let log = Log::new();
    let entering = with(log.fallible("a").enter_fails()).await;
    assert_eq!(entering, Err("<a>".to_owned()));
    let exiting = with(log.fallible("b").exit_fails()).await;
    assert_eq!(exiting, Err("<b>".to_owned()));

    async fn late() -> Result<(), String> {
        async_with! { timeout(LONG).map_err(|elapsed| elapsed.to_string()) => { pending().await } }
    }
    assert_eq!(late().await, Err("deadline has elapsed".to_owned()));
}

/// ERR-5, CAN-5: what is made of a closure is named by where it was, in blocks and in stacks; another name counts.
#[tokio::test]
async fn a_closure_is_named_by_its_place() {
    let at = |function: &str, line: u32| format!("{function} at {}:{line}", file!());
    let (made, line) = (callback(async || {}), line!());
    assert_eq!(made.name(), at("callback", line));
    assert_eq!(made.named("other").name(), "other");
    let (made, line) = (manage(1, async |_, _| {}), line!());
    assert_eq!(made.name(), at("manage", line));
    let (block, line) = (callback(async || {}), line!());
    async_with! { block => { assert_eq!(pending_exits()[0].manager, at("callback", line)); } }

    let mut stack = AsyncExitStack::<Boom>::new();
    let registrar = stack.registrar();
    let panics = async || -> () { panic_any("registered") };
    let (registered, registered_at) = (registrar.callback(panics), line!());
    assert_eq!(registered.await, Ok(()));
    let (_, adopted_at) = (stack.adopt(1, async |_, _: Cause| {}), line!());
    let fails = async |_| -> Result<(), Boom> { panic_any("pushed") };
    let ((), pushed_at) = (stack.push(fails), line!());
    let ((), called_at) = (stack.callback(async || {}), line!());
    let names = [
        at("callback", registered_at),
        at("adopt", adopted_at),
        at("push", pushed_at),
        at("callback", called_at),
    ];
    assert_eq!(format!("{stack:?}"), format!("{names:?}"));
    let (caught, reported) = report::collect(AssertUnwindSafe(stack.close()).catch_unwind()).await;
    assert_eq!(
        caught.expect_err("it panics").downcast_ref(),
        Some(&"pushed")
    );
    let [entry] = &reported[..] else {
        panic!("{reported:?}")
    };
    assert_eq!(entry.manager, at("callback", registered_at));
}

/// ERR-5: each place is named once, in all threads, and takes no more memory when it is named again.
#[test]
fn a_place_is_named_once() {
    let make = || callback(async || {}).name();
    let first = make();
    let allocated = allocation_counter::measure(|| {
        for _ in 0..100 {
            assert!(std::ptr::eq(make(), first));
        }
    });
    assert_eq!(allocated.count_total, 0);
    let other = std::thread::spawn(make).join().expect("it is named");
    assert!(std::ptr::eq(other, first));
    // More places than a thread remembers.
    let places = || {
        [
            place(),
            place(),
            place(),
            place(),
            place(),
            place(),
            place(),
            place(),
            place(),
            place(),
            place(),
            place(),
            place(),
            place(),
            place(),
            place(),
            place(),
            place(),
            place(),
            place(),
        ]
    };
    #[track_caller]
    fn place() -> (u32, &'static str) {
        let line = Location::caller().line();
        (line, callback(async || {}).name())
    }
    for ((line, name), (_, again)) in places().into_iter().zip(places()) {
        assert!(name.ends_with(&format!(":{line}")), "{name}");
        assert!(std::ptr::eq(name, again));
    }
}

/// ERR-5, CAN-5: the name stands in reports and among the exits that are owed; the outermost name counts.
#[tokio::test]
async fn a_name_is_what_reports_say() {
    async fn failing(log: &Log) -> Result<(), Boom> {
        let manager = log
            .fallible("a")
            .exit_fails()
            .named("inner")
            .named("session");
        async_with! { manager => { Err(Boom("body")) } }
    }
    let log = Log::new();
    let (result, entries) = report::collect(failing(&log)).await;
    assert_eq!(result, Err(Boom("body")));
    let [entry] = &entries[..] else {
        panic!("{entries:?}")
    };
    assert_eq!(entry.manager, "session");

    // Detached, in the body and in the exit, and abandoned.
    let gate = Gate::new();
    let mut in_body = Box::pin(async {
        async_with! { log.manager("b").exit_waits_for(&gate).named("in body") => { pending().await } }
    });
    let mut in_exit = Box::pin(async {
        async_with! { log.manager("c").exit_waits_for(&gate).named("in exit") => {} }
    });
    assert!(futures::poll!(&mut in_body).is_pending());
    assert!(futures::poll!(&mut in_exit).is_pending());
    drop((in_body, in_exit));
    let mut names: Vec<_> = pending_exits()
        .iter()
        .map(|pending| (pending.manager, pending.detached))
        .collect();
    names.sort_unstable();
    assert_eq!(names, [("in body", true), ("in exit", true)]);
    gate.open();
    drain().await;

    let scoped_exit = async {
        let mut block = Box::pin(async {
            async_with! { log.scoped("d").exit_pending(1).named("scoped") => {} }
        });
        assert!(futures::poll!(&mut block).is_pending());
    };
    let ((), entries) = reports(scoped_exit).await;
    let unfinished = "exit of scoped (cause: completed) was not finished";
    assert_eq!(entries, [unfinished]);
}

/// A panic in `name` is one of the enter: the manager is not entered, and those further out exit.
#[tokio::test]
async fn a_panic_in_name_is_one_of_the_enter() {
    struct Nameless(Log);
    impl AsyncContextManager for Nameless {
        type Resource = ();
        type Error = Infallible;
        type Exit = ();

        async fn enter(&mut self) -> Result<(), Infallible> {
            self.0.write("enter");
            Ok(())
        }

        async fn exit(self, (): (), _: Cause) -> Result<(), Infallible> {
            self.0.write("exit");
            Ok(())
        }

        fn name(&self) -> &'static str {
            panic!("no name")
        }
    }
    let log = Log::new();
    let block = async {
        async_with! { log.manager("a"), Nameless(log.clone()) => { log.write("body") } }
    };
    assert!(AssertUnwindSafe(block).catch_unwind().await.is_err());
    assert_eq!(log.take(), ["enter a", "exit a: panicked"]);
}

/// CAN-7: after the deadline the enter is dropped, the block fails, and the managers further out exit.
#[tokio::test(start_paused = true)]
async fn enter_within_gives_an_enter_up() {
    struct Stuck;
    impl AsyncContextManager for Stuck {
        type Resource = ();
        type Error = io::Error;
        type Exit = ();

        async fn enter(&mut self) -> io::Result<()> {
            pending().await
        }

        async fn exit(self, (): (), _: Cause) -> io::Result<()> {
            unreachable!("it is not entered")
        }
    }
    #[derive(Debug)]
    struct Caused(Boom);
    impl fmt::Display for Caused {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("caused")
        }
    }
    impl Error for Caused {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }
    async fn scoped(log: &Log) -> Result<(), OrElapsed<Infallible>> {
        async_with! { log.scoped("b").enter_pending(usize::MAX).enter_within(LONG) => {
            log.write("body");
        }}
        Ok(())
    }
    async fn stuck(log: &Log) -> io::Result<()> {
        async_with! { log.manager("a"), Stuck.enter_within(LONG) => { log.write("body"); } }
        Ok(())
    }
    let log = Log::new();
    let error = stuck(&log).await.expect_err("it is stuck");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    let told = "inspect a: Custom { kind: TimedOut, error: Elapsed }";
    assert_eq!(log.take(), ["enter a", told, "exit a: failed Error"]);
    // Always ready to be polled, it never lets the timer fire; the deadline is seen all the same.
    let scoped = tokio::task::unconstrained(scoped(&log));
    let mut scoped = pin!(scoped);
    assert!(futures::poll!(&mut scoped).is_pending());
    tokio::time::advance(LONG).await;
    assert!(matches!(scoped.await, Err(OrElapsed::Elapsed(_))));
    assert_eq!(log.take(), Vec::<String>::new());
    // It stands for the manager's error, also where that has a source.
    let source = OrElapsed::Other(Caused(Boom("cause")))
        .source()
        .map(ToString::to_string);
    assert_eq!(source, Some(Boom("cause").to_string()));
}

/// What the manager itself fails with comes through, as an `io::Error` where it is one.
#[tokio::test]
async fn enter_within_keeps_the_errors_of_the_manager() {
    let log = Log::new();
    let enter = async {
        async_with! { log.fallible("a").enter_fails().enter_within(LONG) => {} }
        Ok(())
    };
    assert_eq!(enter.await, Err(OrElapsed::Other(Boom("a"))));
    let exit = async {
        async_with! { log.fallible("a").exit_fails().enter_within(LONG) => {} }
        Ok(())
    };
    assert_eq!(exit.await, Err(OrElapsed::Other(Boom("a"))));

    let error = OrElapsed::Other(io::Error::from(io::ErrorKind::NotFound));
    assert_eq!(error.to_string(), io::ErrorKind::NotFound.to_string());
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::NotFound);
}

/// CAN-5: the exit is given up under the manager's name.
#[tokio::test(start_paused = true)]
async fn exit_within_reports_the_name() {
    let stuck = callback(pending::<()>).named("stuck");
    let block = async {
        async_with! { stuck.exit_within(LONG) => {} }
    };
    let ((), entries) = reports(block).await;
    let expected = ["exit of stuck (cause: completed) was given up after 60s"];
    assert_eq!(entries, expected);
}

/// CAN-4, CAN-7: dropped in the enter, the enter is finished and the exit follows; the enclosing block waits for both.
/// At every other point it is as without the adaptor.
#[tokio::test]
async fn a_dropped_enter_is_finished() {
    let mut histories = Vec::new();
    for polls in 0..30 {
        let log = Log::new();
        let mut finished = false;
        let parts = async_with! { log.manager("outer") => {
            let block = async {
                async_with! { log.manager("a").pending(2).finish_enter() => {
                    log.write("body");
                }}
            };
            let mut block = Box::pin(block);
            for _ in 0..polls {
                finished = finished || futures::poll!(&mut block).is_ready();
            }
            drop(block);
            log.events().len()
        }};
        let events = log.take();
        histories.push((events[..parts].join(", "), events[parts..].join(", ")));
        if finished {
            break;
        }
    }
    let told = |cause| format!("enter a, exit a: {cause}, exited a, exit outer: completed");
    let started = "enter outer, enter a, body, exit a: completed";
    let expected = [
        // Never polled, it was never started.
        ("enter outer".to_owned(), "exit outer: completed".to_owned()),
        ("enter outer".to_owned(), told("dropped")),
        ("enter outer".to_owned(), told("dropped")),
        (
            started.to_owned(),
            "exited a, exit outer: completed".to_owned(),
        ),
        (
            started.to_owned(),
            "exited a, exit outer: completed".to_owned(),
        ),
        (
            format!("{started}, exited a"),
            "exit outer: completed".to_owned(),
        ),
    ];
    assert_eq!(histories, expected);
}

/// A finished enter that fails is reported, and so is a panic; nothing is owed then.
#[tokio::test]
async fn a_finished_enter_that_fails_is_reported() {
    async fn dropped_in_enter(manager: Logged<Boom>) -> Vec<String> {
        let dropped = async {
            let manager = manager.enter_pending(1).named("lock").finish_enter();
            let block = manager.run(async |_| Ok::<_, Boom>(()));
            assert!(futures::poll!(&mut Box::pin(block)).is_pending());
            drain().await;
        };
        reports(dropped).await.1
    }
    let log = Log::new();
    let fails = dropped_in_enter(log.fallible("a").enter_fails()).await;
    assert_eq!(
        fails,
        ["enter of lock (cause: dropped) failed: Boom(\"a\")"]
    );
    let panics = dropped_in_enter(log.fallible("a").enter_panics()).await;
    assert_eq!(panics, ["enter of lock (cause: dropped) panicked: a"]);
    assert_eq!(log.take(), ["enter a", "enter a"]);
    let exit_fails = dropped_in_enter(log.fallible("a").exit_fails()).await;
    assert_eq!(
        exit_fails,
        ["exit of lock (cause: dropped) failed: Boom(\"a\")"]
    );
    assert_eq!(log.take(), ["enter a", "exit a: dropped"]);
}

/// In place, an enter that fails or panics does so as without the adaptor; one that panicked is not finished.
#[tokio::test]
async fn finish_enter_changes_dropped_enters_only() {
    async fn failing(log: &Log) -> Result<(), Boom> {
        let a = log.fallible("a").enter_pending(1).enter_fails();
        async_with! { a.finish_enter() => {} }
        Ok(())
    }
    let log = Log::new();
    assert_eq!(failing(&log).await, Err(Boom("a")));
    let panicking = async {
        let a = log.manager("b").enter_pending(1).enter_panics();
        async_with! { a.finish_enter() => {} }
    };
    let (result, entries) = report::collect(AssertUnwindSafe(panicking).catch_unwind()).await;
    assert_eq!(result.unwrap_err().downcast_ref(), Some(&"b"));
    assert_eq!(entries, []);
    drain().await;
    assert_eq!(log.take(), ["enter a", "enter b"]);
}

/// An enter that has a deadline and is finished: the block fails at the deadline, the lock is given back later.
#[tokio::test(start_paused = true)]
async fn an_enter_that_is_given_up_is_finished() {
    struct Slow(Log);
    impl AsyncContextManager for Slow {
        type Resource = ();
        type Error = Infallible;
        type Exit = ();

        async fn enter(&mut self) -> Result<(), Infallible> {
            tokio::time::sleep(2 * LONG).await;
            self.0.write("locked");
            Ok(())
        }

        async fn exit(self, (): (), cause: Cause) -> Result<(), Infallible> {
            self.0.write(format!("unlocked: {cause}"));
            Ok(())
        }
    }
    let log = Log::new();
    let block = async {
        async_with! { Slow(log.clone()).finish_enter().enter_within(LONG) => {} }
        Ok::<_, OrElapsed<Infallible>>(())
    };
    assert!(block.await.is_err());
    log.write("gave up");
    drain().await;
    assert_eq!(log.take(), ["gave up", "locked", "unlocked: dropped"]);
}

/// The hooks run between enter and body, and between body and exit, told how the body ended.
#[tokio::test]
async fn hooks_see_enter_and_exit() {
    async fn observed(log: &Log, good: bool) -> Result<(), Boom> {
        let (enters, exits) = (log.clone(), log.clone());
        let manager = log
            .manager("a")
            .on_enter(move |a| enters.write(format!("entered {}", a.name)))
            .on_exit(move |a, cause| exits.write(format!("exits {} {}", a.name, short(cause))));
        let scoped = log
            .scoped("b")
            .on_enter(|b| log.write(format!("entered {}", b.name)))
            .on_exit(|b, cause| log.write(format!("exits {} {}", b.name, short(cause))));
        async_with! { manager, scoped as b => { b.check(good)?; } }
        Ok(())
    }
    let log = Log::new();
    assert_eq!(observed(&log, true).await, Ok(()));
    let entered = ["enter a", "entered a", "enter b", "entered b"];
    let completed = [
        "exits b completed",
        "exit b: completed",
        "exits a completed",
        "exit a: completed",
    ];
    assert_eq!(log.take(), [entered, completed].concat());
    assert_eq!(observed(&log, false).await, Err(Boom("check")));
    let failed = [
        "inspect b: Boom(\"check\")",
        "exits b failed Boom",
        "exit b: failed Boom",
        "inspect a: Boom(\"check\")",
        "exits a failed Boom",
        "exit a: failed Boom",
    ];
    assert_eq!(log.take()[4..], failed);
}

/// Panics where it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        hook();
    }
}

fn hook() {
    std::panic::panic_any("hook")
}

/// PAN-1, PAN-2: when code of an adaptor's own panics, the manager is exited, told "panicked", and the panic goes on;
/// what fails after that is reported. Dropped meanwhile, the exit goes on, and the panic is reported.
#[tokio::test]
async fn a_panic_of_the_adaptors_own_exits_the_manager() {
    macro_rules! panics {
        ($log:ident, $adapted:expr, $reported:literal) => {{
            let $log = Log::new();
            let block = async || {
                let $log = $log.fallible("a").exit_pending(1).exit_fails().named("a");
                async_with! { $adapted => {} }
                Ok::<_, Boom>(())
            };
            let (result, entries) = reports(AssertUnwindSafe(block()).catch_unwind()).await;
            assert_eq!(result.unwrap_err().downcast_ref(), Some(&"hook"));
            let failed = "exit of a (cause: panicked) failed: Boom(\"a\")";
            assert_eq!(entries, [failed]);
            let told = ["enter a", "exit a: panicked", "exited a"];
            assert_eq!($log.take(), told);
            assert_eq!(pending_exits(), []);

            let dropped = async {
                assert!(futures::poll!(&mut Box::pin(block())).is_pending());
                assert!(!pending_exits().is_empty());
                drain().await;
            };
            let ((), mut entries) = reports(dropped).await;
            entries.sort();
            assert_eq!(entries, [$reported, failed]);
            assert_eq!($log.take(), told);
        }};
    }
    panics!(
        a,
        a.map(|_| hook()),
        "enter of a (cause: dropped) panicked: hook"
    );
    panics!(
        a,
        a.on_enter(|_| hook()),
        "enter of a (cause: dropped) panicked: hook"
    );
    panics!(
        a,
        a.on_exit(|_, _| hook()),
        "exit of a (cause: completed) panicked: hook"
    );
    panics!(
        a,
        a.map(|_| Bomb),
        "exit of a (cause: completed) panicked: hook"
    );
}

/// PAN-1, PAN-3: the same for a scoped manager; when its block is dropped, it is abandoned in spite of the panic.
#[tokio::test]
async fn a_panic_of_the_adaptors_own_exits_a_scoped_manager() {
    macro_rules! panics {
        ($a:ident, $adapted:expr) => {{
            let log = &Log::new();
            let block = async {
                let $a = log.scoped("a").exit_pending(1);
                async_with! { $adapted => {} }
            };
            let result = AssertUnwindSafe(block).catch_unwind().await;
            assert_eq!(result.unwrap_err().downcast_ref(), Some(&"hook"));
            assert_eq!(log.take(), ["enter a", "exit a: panicked", "exited a"]);
        }};
    }
    panics!(a, a.map(|_| hook()));
    panics!(a, a.on_enter(|_| hook()));
    panics!(a, a.on_exit(|_, _| hook()));
    panics!(a, a.map(|_| Bomb));

    macro_rules! abandoned {
        ($a:ident, $adapted:expr) => {{
            let log = &Log::new();
            let dropped = async {
                let block = async {
                    let $a = log.scoped("a").named("a");
                    async_with! { $adapted => { pending().await } }
                };
                assert!(futures::poll!(&mut Box::pin(block)).is_pending());
            };
            let ((), entries) = reports(dropped).await;
            assert_eq!(entries, ["abandon of a (cause: dropped) panicked: hook"]);
            assert_eq!(log.take(), ["enter a", "abandon a"]);
        }};
    }
    abandoned!(a, a.on_exit(|_, _| hook()));
    abandoned!(a, a.map(|_| Bomb));
}

// --- The function form --------------------------------------------------------------------------------------------

/// `run` means what a block means: its value, its failures, and what managers see.
#[tokio::test]
async fn run_is_a_block() {
    let log = Log::new();
    let completes = log
        .fallible("a")
        .run(async |a| Ok::<_, Boom>(a.check(true)? + 1));
    assert_eq!(completes.await, Ok(1));
    assert_eq!(log.take(), ["enter a", "exit a: completed"]);

    let fails = log
        .fallible("a")
        .run(async |a| Ok::<_, Boom>(a.check(false)? + 1));
    assert_eq!(fails.await, Err(Boom("check")));
    let told = [
        "enter a",
        "inspect a: Boom(\"check\")",
        "exit a: failed Boom",
    ];
    assert_eq!(log.take(), told);

    let enter = log.fallible("a").enter_fails().run(async |_| {
        log.write("body");
        Ok::<_, Boom>(())
    });
    assert_eq!(enter.await, Err(Boom("a")));
    let exit = log
        .fallible("a")
        .exit_fails()
        .run(async |_| Ok::<_, Boom>(()));
    assert_eq!(exit.await, Err(Boom("a")));
    assert_eq!(log.take(), ["enter a", "enter a", "exit a: completed"]);
}

/// ERR-1: the errors of the manager are converted as `?` converts them.
#[tokio::test]
async fn run_converts_the_errors_of_the_manager() {
    let log = Log::new();
    let entering = log.fallible("a").enter_fails();
    let error = entering.run(async |_| anyhow::Ok(())).await.unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Boom("a")));
}

/// SUP-3: with a manager that may suppress, there is no value when it did.
#[tokio::test]
async fn run_has_no_value_after_a_suppressed_failure() {
    let suppressing = || suppress_if(|raised| raised.is::<Boom>()).map_err(|never| match never {});
    let suppressed = suppressing().run(async |()| Err::<u32, _>(Boom("body")));
    assert_eq!(suppressed.await, Ok(None));
    let completed = suppressing().run(async |()| Ok::<_, Boom>(5));
    assert_eq!(completed.await, Ok(Some(5)));
}

/// CAN-1, TYP-1: the future can be spawned, and be dropped; both kinds can be run.
#[tokio::test]
async fn run_can_be_spawned_and_dropped() {
    let log = Log::new();
    let manager = log.fallible("a");
    let inside = log.clone();
    let task = tokio::spawn(async move {
        let body = async |a: &mut Resource| {
            a.note();
            pend(1).await;
            inside.write("body");
            Ok::<_, Boom>(a.value)
        };
        manager.run(body).await
    });
    assert_eq!(task.await.expect("it completes"), Ok(1));
    assert_eq!(
        log.take(),
        ["enter a", "use a", "body", "exit a: completed"]
    );

    {
        let mut run = pin!(
            log.fallible("b")
                .run(async |_| pending::<Result<(), Boom>>().await)
        );
        assert!(futures::poll!(&mut run).is_pending());
    }
    drain().await;
    assert_eq!(log.take(), ["enter b", "exit b: dropped"]);

    let mut count = 0;
    let scoped = scoped_nullcontext(&mut count).map_err(|never| -> Boom { match never {} });
    let value = scoped.run(async |count| {
        **count += 1;
        Ok::<_, Boom>(**count)
    });
    assert_eq!(value.await, Ok(1));
}

// --- Managers made of managers ------------------------------------------------------------------------------------

/// Managers of several types can be kept in one place, and returned where their type cannot be written.
#[tokio::test]
async fn boxed_managers_are_of_one_type() {
    fn open(log: &Log, which: u32) -> BoxManager<u32, Boom, Verdict> {
        match which {
            0 => Probe::new(log, &Gate::new()).boxed(),
            _ => suppress_if(|_| true)
                .map(|()| 9)
                .map_err(|never| match never {})
                .boxed(),
        }
    }
    async fn sum(log: &Log) -> Result<u32, Boom> {
        let mut sum = 0;
        for which in 0..3 {
            async_with! { open(log, which) as n => {
                sum += *n;
                if which > 0 {
                    Err(Boom("suppressed"))?;
                }
            }}
        }
        Ok(sum)
    }
    assert_eq!(sum(&Log::new()).await, Ok(25));
}

/// TYP-1: a block of a boxed manager can be spawned.
#[tokio::test]
async fn a_boxed_manager_can_be_spawned() {
    let manager = nullcontext(5).boxed();
    let block = async {
        async_with! { manager as n => {
            pend(1).await;
            *n
        }}
    };
    assert_eq!(tokio::spawn(block).await.expect("it completes"), 5);
}

/// No manager: no enter, no exit, no resource.
#[tokio::test]
async fn none_does_nothing() {
    async fn maybe(log: &Log, there: bool) -> Result<bool, Boom> {
        let manager = there.then(|| log.fallible("a"));
        let scoped = there.then(|| log.scoped("b"));
        async_with! { manager as a, scoped as b => {
            assert_eq!(a.is_some(), b.is_some());
            if let Some(a) = a {
                a.note();
            }
            b.as_mut().ok_or(Boom("none"))?.note();
        }}
        Ok(true)
    }
    let log = Log::new();
    assert_eq!(maybe(&log, true).await, Ok(true));
    let expected = [
        "enter a",
        "enter b",
        "use a",
        "use b",
        "exit b: completed",
        "exit a: completed",
    ];
    assert_eq!(log.take(), expected);
    assert_eq!(maybe(&log, false).await, Err(Boom("none")));
    assert_eq!(log.take(), Vec::<String>::new());
}

/// SUP-1: either may suppress when one of the two may, and does so when the one that is there does.
#[tokio::test]
async fn either_may_suppress_when_one_of_them_may() {
    async fn with(log: &Log, left: bool) -> Result<u32, Boom> {
        let manager = match left {
            true => Either::Left(log.manager("a")),
            false => Either::Right(log.suppressing("b")),
        };
        async_with! { manager as a => {
            a.check(false)?;
            Ok(1)
        } else {
            Ok(2)
        }}
    }
    let log = Log::new();
    assert_eq!(with(&log, true).await, Err(Boom("check")));
    assert_eq!(with(&log, false).await, Ok(2));
    let value: u32 = async {
        let manager: Either<_, Logged> = Either::Left(log.manager("c"));
        async_with! { manager => { 3 } }
    }
    .await;
    assert_eq!(
        value, 3,
        "neither may suppress, so that the block keeps its type"
    );
}

/// TYP-2: what `interrupt` returns by default is known behind an adaptor, so that a block of scoped managers makes no
/// allocation.
#[test]
fn adapted_scoped_managers_allocate_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let block = || async {
        let mut n = 0;
        let manager = scoped_nullcontext(&mut n).map_err(|never| -> Boom { match never {} });
        let manager = manager
            .named("n")
            .map(|n| **n + 1)
            .on_enter(|n| *n += 1)
            .on_exit(|_, _| {});
        async_with! { Some(manager) as n => { assert_eq!(*n, Some(2)); } }
        Ok::<_, Boom>(())
    };
    runtime.block_on(async {
        // Somebody who waits elsewhere, as in `drain`, makes an exit allocate what it needs to wake them.
        let mut counts = (0..100).map(|_| {
            let block = || assert_eq!(block().now_or_never(), Some(Ok(())));
            allocation_counter::measure(block).count_total
        });
        assert_eq!(counts.next().and_then(|_| counts.min()), Some(0));
    });
}

/// What Python calls a reusable manager is what makes managers: a function, or a value that can be cloned.
#[tokio::test]
async fn what_makes_managers_can_be_used_again() {
    let log = Log::new();
    let lock = || log.manager("lock");
    for _ in 0..2 {
        async_with! { lock() => { log.write("body"); } }
    }
    let once = ["enter lock", "body", "exit lock: completed"];
    assert_eq!(log.take(), [once, once].concat());
}

/// By hand, a second enter of a manager that was entered panics with a message that says so.
#[test]
fn a_manager_is_entered_once() {
    let mut manager = nullcontext(5);
    assert_eq!(manager.enter().now_or_never(), Some(Ok(5)));
    let again = catch_unwind(AssertUnwindSafe(|| manager.enter().now_or_never()));
    let payload = again.expect_err("it has nothing to lend any more");
    let message = payload.downcast_ref::<String>().cloned().or_else(|| {
        payload
            .downcast_ref::<&str>()
            .map(|message| (*message).to_owned())
    });
    assert!(message.is_some_and(|message| message.starts_with("a manager is entered once")));
}
