//! CPython's `Lib/test/test_contextlib_async.py`.

use std::convert::Infallible;
use std::error::Error;
use std::fmt::{self, Debug, Display, Formatter};
use std::sync::{Arc, Mutex};

use async_with::{AsyncExitStack, ErrorType, drain, prelude::*, report};
use async_with_tests::{Boom, Log};
use futures::{SinkExt, Stream, StreamExt, channel::mpsc, stream};

use super::{happened, outcome, python, raises, suppresses, tells, witness};

#[async_context_manager]
async fn around(
    log: Log,
    before: &'static str,
    resource: u32,
    after: &'static str,
) -> Result<u32, Infallible> {
    log.write(before);
    yield_!(resource);
    log.write(after);
}

/// `TestAbstractAsyncContextManager.test_async_gen_propagates_generator_exit`: CAN-1. A stream that is suspended inside
/// of a block is dropped; the block's manager is exited. (Python's is closed, and awaits that.)
#[tokio::test]
async fn test_async_gen_propagates_generator_exit() {
    fn numbers(log: &Log) -> impl Stream<Item = u32> + use<> {
        let (mut sender, receiver) = mpsc::channel(0);
        let log = log.clone();
        let block = async move {
            async_with! { around(log, "enter", 0, "exit") => {
                for number in [11, 12, 13] {
                    let _ = sender.send(number).await;
                }
            }}
        };
        stream::select(
            receiver,
            stream::once(block).filter_map(async |()| None::<u32>),
        )
    }
    let log = Log::new();
    {
        let mut numbers = Box::pin(numbers(&log));
        let number = numbers.next().await.expect("there is one");
        log.write(number.to_string());
    }
    drain().await;
    log.write("closed");
    let expected = ["enter", "11", "exit", "closed"];
    python::same("test_async_gen_propagates_generator_exit", &log, &expected);
}

/// `AsyncContextManagerTestCase.test_contextmanager_plain`: GEN-1.
#[tokio::test]
async fn test_contextmanager_plain() {
    let log = Log::new();
    async_with! { around(log.clone(), "1", 42, "999") as value => {
        log.write(value.to_string());
    }}
    python::same("test_contextmanager_plain", &log, &["1", "42", "999"]);
}

/// `AsyncContextManagerTestCase.test_contextmanager_finally`: GEN-3.
#[tokio::test]
async fn test_contextmanager_finally() {
    async fn run(log: &Log) -> Result<(), Boom> {
        async_with! { around(log.clone(), "1", 42, "999") as value => {
            log.write(value.to_string());
            Err(Boom("ZeroDivision"))?;
        }}
        Ok(())
    }
    let log = Log::new();
    outcome(&log, run(&log)).await;
    let expected = ["1", "42", "999", "raised ZeroDivision"];
    python::same("test_contextmanager_finally", &log, &expected);
}

#[async_context_manager]
async fn nothing() -> Result<(), Infallible> {
    yield_!();
}

/// `AsyncContextManagerTestCase.test_contextmanager_traceback`: ERR-2. What leaves the block is what was raised in it,
/// with nothing around it.
#[tokio::test]
async fn test_contextmanager_traceback() {
    async fn run<E: Debug + Clone + 'static>(error: E) -> Result<(), E> {
        async_with! { nothing() => {
            return Err(error);
        }}
    }
    let log = Log::new();
    let same = |same: bool| log.write(format!("the same: {same}"));
    let error = Arc::new(Boom("Runtime"));
    same(
        run(error.clone())
            .await
            .is_err_and(|raised| Arc::ptr_eq(&raised, &error)),
    );
    let error: Arc<dyn Error> = Arc::new(Boom("Stop"));
    same(
        run(error.clone())
            .await
            .is_err_and(|raised| Arc::ptr_eq(&raised, &error)),
    );
    let error = (Boom("StopAsync"), error);
    let raised = run(error.clone()).await.expect_err("it is raised");
    same(raised.0 == error.0 && Arc::ptr_eq(&raised.1, &error.1) && error.1.source().is_none());
    let expected = ["the same: true"; 3];
    python::same("test_contextmanager_traceback", &log, &expected);
}

/// `AsyncContextManagerTestCase.test_contextmanager_no_reraise`: GEN-3. Exit that is called by hand raises nothing of
/// what it is told.
#[tokio::test]
async fn test_contextmanager_no_reraise() {
    #[async_context_manager]
    async fn whole(log: Log) -> Result<(), Boom> {
        log.write("enter");
        let ((), _cause) = yield_!();
        Verdict::Propagate
    }
    let log = Log::new();
    let mut manager = whole(log.clone());
    let resource = manager.enter().await.expect("it cannot fail");
    let cause = Cause::Failed(ErrorType::of::<fmt::Error>());
    let verdict = manager.exit(resource, cause).await;
    assert_eq!(verdict, Ok(Verdict::Propagate));
    log.write(format!("suppressed: {}", verdict != Ok(Verdict::Propagate)));
    let expected = ["enter", "suppressed: false"];
    python::same("test_contextmanager_no_reraise", &log, &expected);
}

/// `AsyncContextManagerTestCase.test_contextmanager_non_normalised`: GEN-3, EXI-4. Exit is told the type of the error
/// without the error, and fails with another one.
#[tokio::test]
async fn test_contextmanager_non_normalised() {
    #[async_context_manager]
    async fn translates() -> Result<(), Boom> {
        let ((), cause) = yield_!();
        match cause {
            Cause::Failed(error) if error.is::<fmt::Error>() => Err(Boom("Syntax")),
            _ => Ok(()),
        }
    }
    let log = Log::new();
    let mut manager = translates();
    let resource = manager.enter().await.expect("it cannot fail");
    let cause = Cause::Failed(ErrorType::of::<fmt::Error>());
    outcome(&log, manager.exit(resource, cause)).await;
    python::same(
        "test_contextmanager_non_normalised",
        &log,
        &["raised Syntax"],
    );
}

/// `AsyncContextManagerTestCase.test_contextmanager_except`: SUP-2, ERR-6. A manager that looks at the error is a class,
/// because a generator is told its type only.
#[tokio::test]
async fn test_contextmanager_except() {
    struct Catches(Log, Verdict);

    #[async_context_manager]
    impl AsyncContextManager for Catches {
        async fn enter(&mut self) -> Result<u32, Infallible> {
            self.0.write("1");
            Ok(42)
        }

        async fn exit(self, _: u32, _: Cause) -> Result<Verdict, Infallible> {
            Ok(self.1)
        }

        fn inspect(&mut self, _: &mut u32, raised: Raised<'_>) {
            if let Some(error) = raised.downcast_ref::<Boom>() {
                self.0.write(error.0);
                self.1 = Verdict::Suppress;
            }
        }
    }
    async fn run(log: &Log) -> Result<(), Boom> {
        async_with! { Catches(log.clone(), Verdict::Propagate) as value => {
            log.write(value.to_string());
            Err(Boom("999"))?;
        }}
        log.write("after");
        Ok(())
    }
    let log = Log::new();
    outcome(&log, run(&log)).await;
    let expected = ["1", "42", "999", "after"];
    python::same("test_contextmanager_except", &log, &expected);
}

/// `AsyncContextManagerTestCase.test_contextmanager_except_stopiter`: ERR-2. Errors of types that the library itself
/// uses are errors like any other.
#[tokio::test]
async fn test_contextmanager_except_stopiter() {
    async fn run<E: Debug + 'static>(error: E) -> Result<(), E> {
        async_with! { nothing() => {
            return Err(error);
        }}
    }
    let log = Log::new();
    let gone = async {
        let registrar = async_with! { AsyncExitStack::new() as stack => { stack.registrar() } };
        Ok::<_, Boom>(registrar)
    };
    let registrar = gone.await.expect("it is empty");
    let closed = registrar
        .callback(async || {})
        .await
        .expect_err("the stack is gone");
    for raised in [
        run(closed).await == Err(closed),
        run(Cause::Dropped).await == Err(Cause::Dropped),
    ] {
        log.write(if raised { "raised" } else { "suppressed" });
    }
    python::same(
        "test_contextmanager_except_stopiter",
        &log,
        &["raised", "raised"],
    );
}

/// `AsyncContextManagerTestCase.test_contextmanager_wrap_runtimeerror`: ERR-3. What is raised stays the error of the
/// body, and that of the exit is reported. A manager that means to raise another one puts it in the place of the first
/// in `inspect`: ERR-6.
#[tokio::test]
async fn test_contextmanager_wrap_runtimeerror() {
    #[async_context_manager]
    async fn wraps() -> Result<(), Boom> {
        let ((), _) = yield_!();
        Err(Boom("Caught"))
    }
    async fn run() -> Result<(), Boom> {
        async_with! { wraps() => {
            Err(Boom("ZeroDivision"))?;
        }}
        Ok(())
    }
    let log = Log::new();
    let (result, entries) = report::collect(run()).await;
    assert_eq!(result, Err(Boom("ZeroDivision")));
    happened(&log, result, &entries);
    let expected = ["happened: ZeroDivision Caught"];
    python::same("test_contextmanager_wrap_runtimeerror", &log, &expected);

    #[derive(Debug)]
    struct Wrapped {
        source: Boom,
    }
    impl Display for Wrapped {
        fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
            f.write_str("caught an error")
        }
    }
    impl Error for Wrapped {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.source)
        }
    }
    struct Wraps;

    #[async_context_manager]
    impl AsyncContextManager for Wraps {
        async fn enter(&mut self) -> Result<(), Infallible> {
            Ok(())
        }

        async fn exit(self, (): (), _: Cause) -> Result<(), Infallible> {
            Ok(())
        }

        fn inspect(&mut self, (): &mut (), mut raised: Raised<'_>) {
            if let Some(error) = raised.downcast_mut::<Box<dyn Error>>()
                && let Some(&source) = error.downcast_ref()
            {
                *error = Box::new(Wrapped { source });
            }
        }
    }
    async fn inspected() -> Result<(), Box<dyn Error>> {
        async_with! { Wraps => {
            Err(Boom("ZeroDivision"))?;
        }}
        Ok(())
    }
    let (result, entries) = report::collect(inspected()).await;
    let error = result.expect_err("it is raised").downcast::<Wrapped>();
    assert_eq!(
        error.map(|error| error.source).ok(),
        Some(Boom("ZeroDivision"))
    );
    assert_eq!(entries, []);
}

/// `AsyncContextManagerTestCase.test_keywords`: GEN-4, SYN-9. Parameters have any names, those of the expansion included.
#[tokio::test]
async fn test_keywords() {
    struct Number(u32);
    impl Number {
        #[async_context_manager]
        async fn woohoo(
            self,
            func: u32,
            args: u32,
            kwds: u32,
        ) -> Result<(u32, u32, u32, u32), Infallible> {
            yield_!((self.0, func, args, kwds));
        }
    }
    #[async_context_manager]
    async fn internals(
        yielder: u32,
        cause: u32,
        resource: u32,
        body: u32,
        manager: u32,
    ) -> Result<[u32; 5], Infallible> {
        yield_!([yielder, cause, resource, body, manager]);
    }
    let log = Log::new();
    async_with! { Number(11).woohoo(22, 33, 44) as target => {
        log.write(format!("{target:?}"));
    }}
    python::same("test_keywords", &log, &["(11, 22, 33, 44)"]);
    async_with! { internals(1, 2, 3, 4, 5) as all => {
        assert_eq!(*all, [1, 2, 3, 4, 5]);
    }}
}

/// `AsyncContextManagerTestCase.test_recursive`: ATT-1, GEN-4. Each call makes a manager of its own.
#[tokio::test]
async fn test_recursive() {
    type Depth = Arc<Mutex<u32>>;

    #[async_context_manager]
    async fn deeper(log: Log, depth: Depth) -> Result<(), Infallible> {
        let before = *depth.lock().unwrap();
        *depth.lock().unwrap() += 1;
        log.write(format!("down to {}", before + 1));
        yield_!();
        *depth.lock().unwrap() -= 1;
        log.write(format!("up to {}, was {before}", depth.lock().unwrap()));
    }

    #[attr::async_with(deeper(log.clone(), depth.clone()))]
    async fn recursive(log: &Log, depth: &Depth) {
        let reached = *depth.lock().unwrap();
        if reached < 10 {
            Box::pin(recursive(log, depth)).await;
        }
    }

    let log = Log::new();
    recursive(&log, &Depth::default()).await;
    let down = (1..=10).map(|depth| format!("down to {depth}"));
    let up = (0..10)
        .rev()
        .map(|depth| format!("up to {depth}, was {depth}"));
    let expected: Vec<_> = down.chain(up).collect();
    let expected: Vec<_> = expected.iter().map(String::as_str).collect();
    python::same("test_recursive", &log, &expected);
}

/// `AsyncContextManagerTestCase.test_decorator`: ATT-1.
#[tokio::test]
async fn test_decorator() {
    #[attr::async_with(around(log.clone(), "enter", 0, "exit"))]
    async fn decorated(log: &Log) {
        log.write("body");
    }
    let log = Log::new();
    log.write("before");
    decorated(&log).await;
    log.write("after");
    decorated(&log).await;
    let expected = [
        "before", "enter", "body", "exit", "after", "enter", "body", "exit",
    ];
    python::same("test_decorator", &log, &expected);
}

/// `AsyncContextManagerTestCase.test_decorator_with_exception`: ATT-1, ERR-2.
#[tokio::test]
async fn test_decorator_with_exception() {
    #[attr::async_with(around(log.clone(), "enter", 0, "exit"))]
    async fn decorated(log: &Log) -> Result<(), Boom> {
        log.write("body");
        Err(Boom("foo"))
    }
    let log = Log::new();
    outcome(&log, decorated(&log)).await;
    let expected = ["enter", "body", "exit", "raised foo"];
    python::same("test_decorator_with_exception", &log, &expected);
}

/// `AsyncContextManagerTestCase.test_decorating_method`: ATT-1. An argument that is left out is an `Option` here.
#[tokio::test]
async fn test_decorating_method() {
    struct Holder(Log, String);
    impl Holder {
        #[attr::async_with(around(self.0.clone(), "enter", 0, "exit"))]
        async fn method<T: Display>(&mut self, a: T, b: T, c: Option<T>) {
            let c = c.map_or("None".to_owned(), |c| c.to_string());
            self.1 = format!("{a} {b} {c}");
        }
    }
    let log = Log::new();
    let mut holder = Holder(log.clone(), String::new());
    holder.method(1, 2, None).await;
    log.write(&holder.1);
    let mut holder = Holder(log.clone(), String::new());
    holder.method("a", "b", Some("c")).await;
    log.write(&holder.1);
    let expected = ["enter", "exit", "1 2 None", "enter", "exit", "a b c"];
    python::same("test_decorating_method", &log, &expected);
}

/// `TestAsyncExitStack.test_async_callback`: STK-3. A closure holds the arguments.
#[tokio::test]
async fn test_async_callback() {
    let log = Log::new();
    async_with! { AsyncExitStack::new() as stack => {
        for arguments in [vec![], vec![1], vec![1, 2]] {
            let log = log.clone();
            stack.callback(async move || log.write(format!("{arguments:?}")));
        }
    }}
    python::same("test_async_callback", &log, &["[1, 2]", "[1]", "[]"]);
}

/// `TestAsyncExitStack.test_async_push`: STK-3, EXI-5. What is pushed is not entered, and each exit is told the state
/// that it finds. (The manager of the original is one that was entered elsewhere: `adopt` takes its exit.)
#[tokio::test]
async fn test_async_push() {
    async fn run(log: &Log) -> Result<(), Boom> {
        async_with! { AsyncExitStack::suppressing() as stack => {
            stack.push(tells(log, "outermost"));
            stack.adopt(witness(log, "outer"), async |witness, cause| witness.exit("", cause).await);
            stack.push(suppresses(log));
            stack.adopt(witness(log, "inner"), async |witness, cause| witness.exit("", cause).await);
            stack.push(tells(log, "inmost"));
            Err(Boom("ZeroDivision"))?;
        }}
        log.write("after");
        Ok(())
    }
    let log = Log::new();
    outcome(&log, run(&log)).await;
    // A closure is told the type of the error, and a manager that was entered sees which one it is.
    let events = log.take();
    let expected = [
        "inmost: failed Boom",
        "exit inner: failed Boom",
        "suppress",
        "exit outer: completed",
        "outermost: completed",
        "after",
    ];
    assert_eq!(events, expected);
    let named = expected.map(|event| event.replace("failed Boom", "ZeroDivision"));
    python::logs("test_async_push", &named.each_ref().map(String::as_str));
}

/// `TestAsyncExitStack.test_enter_async_context`: STK-1, STK-2.
#[tokio::test]
async fn test_enter_async_context() {
    async fn run(log: &Log) -> Result<(), Boom> {
        async_with! { AsyncExitStack::new() as stack => {
            let callback = log.clone();
            stack.callback(async move || callback.write("callback"));
            stack.enter(witness(log, "a")).await?;
            log.write("body");
        }}
        Ok(())
    }
    let log = Log::new();
    outcome(&log, run(&log)).await;
    let expected = ["enter a", "body", "exit a: completed", "callback"];
    python::same("test_enter_async_context", &log, &expected);
}

/// `TestAsyncExitStack.test_async_exit_exception_chaining`: ERR-3, ERR-5, SUP-2. The same errors happen, in the same
/// order; the first is raised, and the others are in the report, where Python raises the last one, with the others in
/// its context.
#[tokio::test]
async fn test_async_exit_exception_chaining() {
    async fn run(log: &Log) -> Result<(), Boom> {
        async_with! { AsyncExitStack::suppressing() as stack => {
            stack.push(raises(log, "Index"));
            stack.push(raises(log, "Key"));
            stack.push(raises(log, "Attribute"));
            stack.push(suppresses(log));
            stack.push(raises(log, "Value"));
            Err(Boom("ZeroDivision"))?;
        }}
        Ok(())
    }
    let log = Log::new();
    super::chained("test_async_exit_exception_chaining", &log, run(&log)).await;
}

/// `TestAsyncExitStack.test_async_exit_exception_explicit_none_context`: ERR-2, ERR-3, STK-1. No error is linked to
/// another that happened to come before it, so there is nothing to clear. As in Python, a stack does what a block does.
#[tokio::test]
async fn test_async_exit_exception_explicit_none_context() {
    #[async_context_manager]
    async fn replaces() -> Result<(), Boom> {
        let ((), _) = yield_!();
        Err(Boom("My"))
    }
    #[async_context_manager]
    async fn through_a_stack() -> Result<(), Boom> {
        async_with! { AsyncExitStack::new() as stack => {
            stack.enter(replaces()).await?;
            yield_!();
        }}
    }
    async fn run<M: AsyncContextManager<Error = Boom>>(manager: M) -> Result<(), Boom> {
        async_with! { manager => {
            Err(Boom("Index"))?;
        }}
        Ok(())
    }
    let log = Log::new();
    for (result, entries) in [
        report::collect(run(replaces())).await,
        report::collect(run(through_a_stack())).await,
    ] {
        assert_eq!(result, Err(Boom("Index")));
        assert_eq!(
            result
                .as_ref()
                .expect_err("it is raised")
                .source()
                .map(|_| ()),
            None
        );
        happened(&log, result, &entries);
    }
    assert_eq!(log.take(), ["happened: Index My"; 2]);
    let expected = ["happened: My"; 2];
    python::logs("test_async_exit_exception_explicit_none_context", &expected);
}
