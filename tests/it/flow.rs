//! FLO: how control leaves the body.

use async_with::async_with;
use async_with_tests::{Boom, Log};

async fn unit(log: &Log) {
    async_with! { log.manager("a") as a => { a.note(); } }
}

async fn question(log: &Log, good: bool) -> Result<u64, Boom> {
    let n = async_with! { log.manager("a") as a, log.fallible("b") as b => {
        a.note();
        b.note();
        println!("{}", b.check(good)?);
        b.check(good)?
    }};
    Ok(n)
}

async fn jumps(log: &Log) -> u64 {
    let x = 'outer: loop {
        for i in 0..3 {
            async_with! { log.manager("a"), log.manager("b") as b => {
                b.note();
                if i == 0 { continue; }
                if i == 1 { continue }
                async_with! { log.manager("c") as c => {
                    c.note();
                    if i == 2 { break 'outer 7; }
                }}
            }}
        }
    };
    x
}

#[tokio::test]
async fn smoke() {
    let log = Log::new();
    unit(&log).await;
    assert_eq!(log.take(), ["enter a", "use a", "exit a: completed"]);
    assert_eq!(question(&log, true).await, Ok(1));
    assert_eq!(question(&log, false).await, Err(Boom("check")));
    println!("{:#?}", log.take());
    assert_eq!(jumps(&log).await, 7);
    println!("{:#?}", log.take());
    let l = log.clone();
    let h = tokio::spawn(async move {
        async_with! { l.manager("a") as a => { a.note(); if a.value == 9 { return 3; } 5 } }
    });
    assert_eq!(h.await.unwrap(), 5);
    let l = log.clone();
    let h = tokio::spawn(async move {
        async_with! { l.manager("a") as a => { loop { a.note(); tokio::task::yield_now().await; } } };
    });
    tokio::task::yield_now().await;
    h.abort();
    let _ = h.await;
    tokio::task::yield_now().await;
    println!("{:#?}", log.take());
    async_with! { log.suppressing("a") as a => { if a.value == 0 { panic!("x") } } }

    async_with! { log.manager("a") as a => { serde_json::json!({"a": a.value}); } };
    let v = async_with! { log.suppressing("a") as a, log.manager("b") => { if a.value == 0 { a.check(false).unwrap() } else {3} } else { 9 } };
    println!("{v}");
}
