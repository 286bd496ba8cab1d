//! SYN: what can be written.

use std::collections::BTreeMap;

use async_with::prelude::*;
use async_with_tests::{Boom, Log};

use crate::support::{Lend, lend};

/// SYN-1: any delimiter, one item or more.
#[tokio::test]
async fn any_delimiter_is_accepted() {
    let log = Log::new();
    let sum = async_with! { log.manager("a") as a => { a.note(); a.value } }
        + async_with!(log.manager("b") as b => { b.note(); b.value })
        + async_with![log.manager("c") as c, log.manager("d") as d => { c.value + d.value + 1 }];
    assert_eq!(sum, 3);
    let events = log.take();
    assert_eq!(events[..3], ["enter a", "use a", "exit a: completed"]);
    assert_eq!(events.len(), 10);
}

/// SYN-2: the pattern is optional, and any that always matches.
#[tokio::test]
async fn patterns_are_those_of_let() {
    struct Point {
        x: i32,
        y: i32,
    }
    let log = Log::new();
    let n = async_with! {
        log.manager("none"),
        log.manager("ignored") as _,
        lend(5) as n,
        lend(7) as &mut seven,
        lend((1, Point { x: 2, y: 3 })) as (one, Point { x, .. }),
        lend(Point { x: 4, y: 5 }) as whole @ Point { .. },
        lend([1, 2, 3]) as [first, rest @ ..],
        lend(6) as mut m => {
            *n += 1;
            let mut other = 60;
            *m += 1;
            m = &mut other;
            *x += 10;
            *n + *m + seven + *one + *x + whole.x + whole.y + *first + rest[1]
        }
    };
    assert_eq!(n, 6 + 60 + 7 + 1 + 12 + 4 + 5 + 1 + 3);
    let events = log.take();
    assert_eq!(
        events,
        [
            "enter none",
            "enter ignored",
            "exit ignored: completed",
            "exit none: completed"
        ]
    );
}

/// SYN-3: a trailing comma, and one pair of parentheses around the items.
#[tokio::test]
async fn trailing_comma_and_parentheses_are_accepted() {
    let log = Log::new();
    async_with! { log.manager("a"), => {} };
    async_with! { (log.manager("a") as _a, log.manager("b")) => {} };
    async_with! { (log.manager("a") as _a, log.manager("b"),), {} };
    async_with! { (log.manager("a")) => {}, };
    assert_eq!(log.take().len(), 2 + 4 + 4 + 2);
}

/// SYN-4: a comma in place of the arrow.
#[tokio::test]
async fn a_comma_may_stand_before_the_body() {
    let log = Log::new();
    let value = async_with!(log.manager("a") as a, log.manager("b") as b, {
        a.note();
        b.note();
        a.value + b.value
    });
    assert_eq!(value, 2);
    assert_eq!(log.take()[..2], ["enter a", "enter b"]);
}

/// SYN-5: `else` runs once, after all exits, outside the block, whichever item suppressed.
#[tokio::test]
async fn else_gives_the_value_when_a_failure_is_suppressed() -> Result<(), Boom> {
    for (outer, inner) in [(true, false), (false, true)] {
        let log = Log::new();
        let verdict = |on| {
            if on {
                Verdict::Suppress
            } else {
                Verdict::Propagate
            }
        };
        let value = async_with! {
            log.suppressing("a").verdict(verdict(outer)),
            log.suppressing("b").verdict(verdict(inner)) as b => {
                b.check(false)?;
                1
            } else {
                log.write("else");
                2
            }
        };
        assert_eq!(value, 2);
        let events = log.take();
        assert_eq!(events.last().map(String::as_str), Some("else"));
        assert_eq!(events.iter().filter(|event| *event == "else").count(), 1);
        assert_eq!(
            events
                .iter()
                .filter(|event| event.starts_with("exit"))
                .count(),
            2
        );
    }
    // It may leave the function, as any code outside of the block.
    let log = Log::new();
    let left = async {
        async_with! { log.suppressing("a") as a => { a.check(false)?; } else { return Ok(7) } }
        Ok::<_, Boom>(8)
    };
    assert_eq!(left.await, Ok(7));
    Ok(())
}

/// SYN-6: a cast needs parentheses; commas in turbofish and closures do not.
#[tokio::test]
async fn item_expressions_are_any_expression() {
    fn pair<A, B>(a: A, b: B) -> Lend<(A, B)> {
        lend((a, b))
    }
    struct Maker;
    impl Maker {
        fn make<T>(&self, f: impl Fn(u8, u8) -> T) -> Lend<T> {
            lend(f(1, 2))
        }
    }
    trait Named {
        fn named() -> Lend<u8>;
    }
    impl Named for Maker {
        fn named() -> Lend<u8> {
            lend(9)
        }
    }
    let n = 3u32;
    let flag = n > 1;
    async_with! {
        lend(n as u64) as a,
        pair::<u8, Vec<BTreeMap<u8, u8>>>(1, vec![]) as b,
        Maker.make(|x, y| x + y) as c,
        Maker.make(|x: u8, y: u8| -> Result<u8, Boom> { Ok(x + y) }) as d,
        <Maker as Named>::named() as e,
        (lend(1 as char)) as f,
        if flag || n < 2 && n << 1 > 4 { lend(1) } else { lend(2) } as g,
        { lend("block") } as h,
        match n { 3 => lend('t'), _ => lend('f') } as i => {
            assert_eq!((*a, b.0, *c, *e, *f, *g, *h, *i), (3, 1, 3, 9, 1 as char, 1, "block", 't'));
            assert_eq!(*d, Ok(3));
        }
    };
    async_with! { ((lend((1, 2)))) as t => { assert_eq!(*t, (1, 2)) } };
}

/// SYN-7: expected types reach the tail and every `return`.
#[tokio::test]
async fn inference_and_coercions_work_as_without_the_macro() {
    type AnyError = Box<dyn std::error::Error + Send + Sync>;
    async fn collect(log: &Log) -> Vec<u64> {
        async_with! { log.manager("a") as a => { std::iter::repeat_n(a.value, 2).collect() } }
    }
    async fn early(log: &Log, early: bool) -> Result<Box<dyn Fn() -> u8>, AnyError> {
        async_with! { log.manager("a") => {
            if early {
                return Ok(Box::new(|| 1));
            }
            Ok(Box::new(|| 2))
        }}
    }
    async fn boxed(log: &Log) -> Result<u8, AnyError> {
        let parsed = async_with! { log.manager("a") => {
            if log.take().is_empty() {
                return Err(Box::new(Boom("early")));
            }
            "7x".parse()
        }};
        parsed.map_err(Into::into)
    }
    async fn tail(log: &Log) -> Result<u8, Box<dyn std::error::Error>> {
        async_with! { log.manager("a") => { Err(Box::new(Boom("tail"))) } }
    }
    async fn into(log: &Log) -> String {
        async_with! { log.manager("a") => { if log.take().is_empty() { return "x".into(); } "y".into() } }
    }
    async fn default(log: &Log) -> (u8, Option<String>) {
        async_with! { log.manager("a") => { Default::default() } }
    }
    async fn ends_in_return(log: &Log) -> u8 {
        async_with! { log.manager("a") => { return 4; } }
    }
    let log = Log::new();
    assert_eq!(collect(&log).await, [0, 0]);
    assert_eq!(early(&log, true).await.map(|f| f()).ok(), Some(1));
    assert_eq!(early(&log, false).await.map(|f| f()).ok(), Some(2));
    assert_eq!(
        boxed(&log).await.unwrap_err().to_string(),
        "invalid digit found in string"
    );
    assert_eq!(tail(&log).await.unwrap_err().to_string(), "boom: tail");
    assert_eq!(into(&log).await, "y");
    assert_eq!(default(&log).await, (0, None));
    assert_eq!(ends_in_return(&log).await, 4);
}

/// SYN-7: the whole is an expression wherever one can be.
#[tokio::test]
async fn the_block_is_an_expression() {
    let log = Log::new();
    let a = async_with! { log.manager("a") => { 1 } };
    let b = Some(async_with! { log.manager("b") => { 2 } });
    let c = match async_with! { log.manager("c") => { 3 } } {
        3 => async_with! { log.manager("d") => { 4 } },
        other => other,
    };
    let closure = async |n: u8| async_with! { log.manager("e") => { n } };
    let listed = vec![async_with! { log.manager("f") => { 6 } }, 7];
    let text = format!("{}", async_with! { log.manager("g") => { 8 } });
    assert_eq!(
        (a, b, c, closure(5).await, listed, &*text),
        (1, Some(2), 4, 5, vec![6, 7], "8")
    );
    let mapped = [1, 2].map(|n| async move {
        async_with! { lend(n) as n => { *n + 1 } }
    });
    assert_eq!(futures::future::join_all(mapped).await, [2, 3]);
}

/// SYN-9: nothing of the expansion is visible to the body, and nothing of the user's changes it.
#[tokio::test]
async fn names_do_not_clash() {
    mod shadows {
        #![allow(dead_code, non_camel_case_types, clippy::upper_case_acronyms)]
        pub(super) struct Ok;
        pub(super) struct Err;
        pub(super) struct Some;
        pub(super) struct None;
        pub(super) struct Result;
        pub(super) struct Option;
        pub(super) trait Future {}
        pub(super) struct AtomicU32;
        pub(super) mod core {}
        pub(super) mod std {}
        pub(super) mod alloc {}
        /// Would take over any method call of the expansion.
        pub(super) trait Greedy: Sized {
            fn open(self, _: u8) {}
            fn same(&self, _: u8) {}
            fn twin(&self) -> u8 {
                0
            }
            fn value(&self) -> u8 {
                0
            }
            fn raises(&self, _: u8) {}
        }
        impl<T> Greedy for T {}
    }
    #[allow(unused_imports, clippy::items_after_statements)]
    async fn shadowed(log: &Log) -> u64 {
        use shadows::{Err, Future, Greedy, None, Ok, Option, Result, Some, alloc, core, std};
        let (__scope, __value, __ended, __return, __out, __lent) = (1, 2, 3, 4, 5, 6);
        async_with! { log.manager("a") as a => {
            a.note();
            a.value + __scope + __value + __ended + __return + __out + __lent
        }}
    }
    assert_eq!(shadowed(&Log::new()).await, 22);
}

/// SYN-10: no lint of rustc's or clippy's is raised in user code; see also the fixture that denies them all.
#[tokio::test]
async fn the_expansion_raises_no_lint() {
    #[deny(warnings, clippy::all, clippy::pedantic)]
    #[forbid(unsafe_code)]
    async fn strict(log: &Log, flag: bool) -> Result<u64, Boom> {
        for _ in 0..2 {
            async_with! { log.manager("a"), log.fallible("b") as b => {
                if flag {
                    continue;
                }
                b.check(true)?;
            }}
        }
        let value = async_with! { log.suppressing("c") as c => { c.check(flag)? } else { 1 } };
        async_with! { log.manager("d") => {
            if flag {
                return Ok(value);
            }
        }}
        async_with! { log.manager("e") => { Err(Boom("end")) } }
    }
    assert_eq!(strict(&Log::new(), true).await, Ok(0));
    assert_eq!(strict(&Log::new(), false).await, Err(Boom("end")));
}
