//! ATT: the attribute.

use async_with::prelude::*;
use async_with_tests::{Boom, Log};

fn exits(log: &Log) -> Vec<String> {
    let mut events = log.take();
    events.retain(|event| event.starts_with("exit"));
    events
}

/// ATT-1: the whole body is the block; items use the parameters; evaluated afresh on each call.
#[tokio::test]
async fn the_body_of_the_function_is_the_block() {
    #[attr::async_with(log.manager(name) as a, log.fallible("b") as b)]
    async fn function(
        log: &Log,
        name: &'static str,
        mut count: u8,
        (left, _): (u8, u8),
    ) -> Result<u8, Boom> {
        a.note();
        count += left;
        b.check(count > 1)?;
        Ok(count)
    }
    let log = Log::new();
    assert_eq!(function(&log, "x", 1, (1, 0)).await, Ok(2));
    assert_eq!(exits(&log), ["exit b: completed", "exit x: completed"]);
    assert_eq!(function(&log, "y", 0, (1, 0)).await, Err(Boom("check")));
    assert_eq!(exits(&log), ["exit b: failed Boom", "exit y: failed Boom"]);
}

/// ATT-1: methods, trait methods, generics, lifetimes, recursion.
#[tokio::test]
async fn methods_generics_and_recursion_work() {
    struct Service {
        log: Log,
        calls: u8,
    }
    trait Handle<T> {
        async fn handle<'a>(&'a mut self, value: &'a T) -> Option<&'a T>;
        async fn by_default(&self) -> u8;
    }
    impl Service {
        #[attr::async_with(self.log.manager("method") as m)]
        async fn method(&self, n: u8) -> u8 {
            m.note();
            self.calls + n
        }

        #[attr::async_with(self.log.clone().manager("mutable"))]
        async fn mutable(&mut self) -> u8 {
            self.calls += 1;
            self.calls
        }

        #[attr::async_with(self.log.scoped("recursive"))]
        async fn recursive(&self, n: u8) -> u8 {
            if n == 0 {
                return 0;
            }
            Box::pin(self.recursive(n - 1)).await + 1
        }
    }
    impl<T: PartialEq> Handle<T> for Service {
        #[attr::async_with(self.log.clone().manager("trait"))]
        async fn handle<'a>(&'a mut self, value: &'a T) -> Option<&'a T> {
            (value == value).then_some(value)
        }

        #[attr::async_with(self.log.manager("default"))]
        async fn by_default(&self) -> u8 {
            7
        }
    }
    #[attr::async_with(log.manager("generic"))]
    async fn generic<T: Clone + Default, const N: usize>(log: &Log, value: T) -> [T; N]
    where
        T: Copy,
    {
        [value; N]
    }
    let log = Log::new();
    let mut service = Service {
        log: log.clone(),
        calls: 0,
    };
    assert_eq!(service.mutable().await, 1);
    assert_eq!(service.method(2).await, 3);
    assert_eq!(service.recursive(3).await, 3);
    assert_eq!(service.handle(&5).await, Some(&5));
    assert_eq!(Handle::<u8>::by_default(&service).await, 7);
    assert_eq!(generic::<u8, 2>(&log, 4).await, [4, 4]);
    assert_eq!(exits(&log).len(), 1 + 1 + 4 + 1 + 1 + 1);
}

/// ATT-1: beside `#[tokio::main]`, above and below.
#[test]
fn beside_tokio_main() {
    #[attr::async_with(log.manager("a") as a)]
    #[tokio::main(flavor = "current_thread")]
    async fn above(log: Log) -> Result<u64, Boom> {
        tokio::task::yield_now().await;
        a.check(log.take().is_empty())
    }
    #[tokio::main(flavor = "current_thread")]
    #[attr::async_with(log.manager("a") as a)]
    async fn below(log: Log) -> Result<u64, Boom> {
        tokio::task::yield_now().await;
        a.check(log.take().is_empty())
    }
    let log = Log::new();
    assert_eq!(above(log.clone()), Err(Boom("check")));
    assert_eq!(exits(&log), ["exit a: failed Boom"]);
    assert_eq!(below(log.clone()), Err(Boom("check")));
    assert_eq!(exits(&log), ["exit a: failed Boom"]);
}

/// ATT-1: beside `#[tokio::test]`.
#[attr::async_with(Log::new().manager("a") as a)]
#[tokio::test]
async fn above_tokio_test() {
    a.note();
    assert_eq!(a.log.take(), ["enter a", "use a"]);
}

/// ATT-1: beside `#[tokio::test]`.
#[tokio::test]
#[attr::async_with(Log::new().manager("a") as a)]
async fn below_tokio_test() {
    a.note();
    assert_eq!(a.log.take(), ["enter a", "use a"]);
}

/// ATT-1: beside `#[tracing::instrument]`, above and below.
#[tokio::test]
async fn beside_instrument() {
    #[tracing::instrument(skip(log))]
    #[attr::async_with(log.manager("a") as a)]
    async fn below(log: &Log, n: u64) -> Result<u64, Boom> {
        a.check(n > 0)
    }
    #[attr::async_with(log.manager("a") as a)]
    #[tracing::instrument(skip(log))]
    async fn above(log: &Log, n: u64) -> Result<u64, Boom> {
        a.check(n > 0)
    }
    let log = Log::new();
    assert_eq!(
        (below(&log, 0).await, below(&log, 1).await),
        (Err(Boom("check")), Ok(0))
    );
    assert_eq!(exits(&log), ["exit a: failed Boom", "exit a: completed"]);
    assert_eq!(
        (above(&log, 0).await, above(&log, 1).await),
        (Err(Boom("check")), Ok(0))
    );
    assert_eq!(exits(&log), ["exit a: failed Boom", "exit a: completed"]);
}

/// ATT-1: beside `#[async_trait]`, on the method and on the whole `impl`.
#[tokio::test]
async fn beside_async_trait() {
    #[async_trait::async_trait]
    trait Handle {
        async fn handle(&self, name: &'static str, good: bool) -> Result<u64, Boom>;
        async fn nothing(&mut self);
    }
    struct Service(Log);
    #[async_trait::async_trait]
    impl Handle for Service {
        #[attr::async_with(self.0.manager(name) as a)]
        async fn handle(&self, name: &'static str, good: bool) -> Result<u64, Boom> {
            self.0.write(name);
            a.check(good)
        }

        #[attr::async_with(self.0.clone().manager("nothing"))]
        async fn nothing(&mut self) {
            self.0.write("in");
        }
    }
    struct Other(Log);
    #[attr::async_with]
    #[async_trait::async_trait]
    impl Handle for Other {
        async fn handle(&self, name: &'static str, good: bool) -> Result<u64, Boom> {
            #[with]
            let a = self.0.manager(name);
            a.check(good)
        }

        async fn nothing(&mut self) {
            async_with! { self.0.manager("nothing") => { self.0.write("in"); } }
        }
    }
    struct Third(Log);
    #[async_trait::async_trait]
    #[attr::async_with]
    impl Handle for Third {
        async fn handle(&self, name: &'static str, good: bool) -> Result<u64, Boom> {
            #[with]
            let a = self.0.manager(name);
            a.check(good)
        }

        async fn nothing(&mut self) {
            async_with! { self.0.manager("nothing") => { self.0.write("in"); } }
        }
    }
    async fn run(handle: &mut dyn Handle) -> Result<u64, Boom> {
        handle.nothing().await;
        handle.handle("x", false).await
    }
    let log = Log::new();
    let handles: [&mut dyn Handle; 3] = [
        &mut Service(log.clone()),
        &mut Other(log.clone()),
        &mut Third(log.clone()),
    ];
    for handle in handles {
        assert_eq!(run(handle).await, Err(Boom("check")));
        assert_eq!(
            exits(&log),
            ["exit nothing: completed", "exit x: failed Boom"]
        );
    }
}

/// ATT-2: the bare attribute turns on the forms inside: the block without an import, `let`, and the marked block.
#[tokio::test]
async fn the_bare_attribute_turns_on_the_forms() {
    #[attr::async_with]
    async fn forms(log: &Log, how: u8) -> Result<u64, Boom> {
        async_with! { log.manager("block") as b => { b.note(); } }
        let initial = #[with(log.manager("init") as i, log.manager("second"))]
        {
            i.note();
            i.value
        };
        #[with(log.manager("statement"))]
        {
            log.write("statement");
        }
        for n in 0..3 {
            #[with]
            let a = log.manager("loop");
            if n == 1 {
                continue;
            }
            a.note();
            if n == 2 {
                break;
            }
        }
        #[with]
        let rest = log.fallible("rest");
        #[with]
        let Resource { value, .. } = log.manager("inner");
        *value += initial;
        if how == 0 {
            return Ok(0);
        }
        rest.check(how > 1)?;
        if *value == 1 {
            return #[with(log.manager("tail"))]
            {
                Ok(9)
            };
        }
        Ok(*value)
    }
    use async_with_tests::Resource;
    let log = Log::new();
    assert_eq!(forms(&log, 0).await, Ok(0));
    let expected = [
        "exit block: completed",
        "exit second: completed",
        "exit init: completed",
        "exit statement: completed",
        "exit loop: completed",
        "exit loop: completed",
        "exit loop: completed",
        "exit inner: completed",
        "exit rest: completed",
    ];
    assert_eq!(exits(&log), expected);
    assert_eq!(forms(&log, 1).await, Err(Boom("check")));
    assert_eq!(
        exits(&log)[7..],
        ["exit inner: failed Boom", "exit rest: failed Boom"]
    );
    assert_eq!(forms(&log, 2).await, Ok(9));
    assert_eq!(
        exits(&log)[7..],
        [
            "exit tail: completed",
            "exit inner: completed",
            "exit rest: completed"
        ]
    );
}

/// ATT-2: on `impl` blocks and inline modules.
#[tokio::test]
async fn the_bare_attribute_goes_on_impls_and_modules() {
    struct Service(Log);
    #[attr::async_with]
    impl Service {
        async fn one(&self) -> u64 {
            #[with]
            let a = self.0.manager("one");
            a.note();
            a.value
        }

        async fn two(&self) -> u64 {
            async_with! { self.0.manager("two") as a => { a.note(); a.value } }
        }

        fn plain(&self) -> u64 {
            self.0.take().len() as u64
        }
    }
    #[attr::async_with]
    mod inside {
        use async_with_tests::Log;

        pub(super) async fn function(log: &Log) -> u64 {
            #[with(log.manager("module") as a)]
            {
                a.note();
                a.value
            }
        }

        pub(super) mod deeper {
            pub(in super::super) async fn function(log: &super::Log) -> u64 {
                async_with! { log.manager("deeper") as a => { a.value } }
            }
        }
    }
    let log = Log::new();
    let service = Service(log.clone());
    assert_eq!((service.one().await, service.two().await), (1, 1));
    assert_eq!(service.plain(), 6);
    assert_eq!(
        (
            inside::function(&log).await,
            inside::deeper::function(&log).await
        ),
        (1, 0)
    );
    assert_eq!(
        exits(&log),
        ["exit module: completed", "exit deeper: completed"]
    );
}

/// ATT-2: a `#[cfg]` on a marked statement is kept.
#[tokio::test]
async fn cfg_on_a_marked_statement_is_kept() {
    #[attr::async_with]
    async fn forms(log: &Log) -> u8 {
        #[cfg(not(windows))]
        #[with]
        let a = log.manager("there");
        #[cfg(windows)]
        #[with]
        let b = log.manager("not there").does_not_exist();
        a.note();
        3
    }
    let log = Log::new();
    assert_eq!(forms(&log).await, 3);
    assert_eq!(
        log.take(),
        ["enter there", "use there", "exit there: completed"]
    );
}

/// ATT-3: what is not async is an error at the `fn` keyword.
#[test]
fn a_sync_function_is_an_error() {
    let expected = std::fs::read_to_string("ui/attribute-with-managers-on-sync-fn.stderr");
    let expected = expected.expect("the compile-fail test is there");
    assert!(expected.contains("not async; write `async fn`"));
    assert!(
        expected.lines().any(|line| line.trim_end().ends_with("^^")),
        "{expected}"
    );
}
