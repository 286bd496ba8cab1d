//! TYP: what the types of the block are.

use std::cell::Cell;
use std::rc::Rc;

use async_with::{AsyncContextManager, prelude::*};
use async_with_tests::{Boom, Log};

use crate::support::lend;

fn send<T: Send>(value: T) -> T {
    value
}

/// TYP-1: the future is `Send` when its parts are, and never has to be `'static`.
#[tokio::test]
async fn the_future_is_send_when_its_parts_are() {
    async fn mixed(log: &Log) -> Result<u64, Boom> {
        async_with! { log.manager("a"), log.scoped("b"), log.suppressing("c") as c => {
            tokio::task::yield_now().await;
            c.check(true)
        } else { Ok(1) }}
    }
    async fn generic<M: AsyncContextManager<Error = Boom> + Clone>(manager: M) -> Result<(), Boom> {
        for _ in 0..2 {
            async_with! { manager.clone(), log().manager("inner") => { tokio::task::yield_now().await; } }
        }
        Ok(())
    }
    fn log() -> Log {
        Log::new()
    }
    #[derive(Clone)]
    struct Cloned(Log);
    impl AsyncContextManager for Cloned {
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
    }
    let log = Log::new();
    assert_eq!(send(mixed(&log)).await, Ok(0));
    let cloned = Cloned(log.clone());
    tokio::spawn(generic(cloned)).await.unwrap().unwrap();
    // A resource that is `Send` but not `Sync`.
    let cell = tokio::spawn(async move {
        async_with! { lend(Cell::new(1)) as cell => { tokio::task::yield_now().await; cell.set(2); cell.get() } }
    });
    assert_eq!(cell.await.unwrap(), 2);
    // What is `Send` but not `Sync` is moved in.
    let held = Cell::new(3);
    let moved = tokio::spawn(async move {
        async_with! { lend(1) => { let held = held; tokio::task::yield_now().await; held.get() } }
    });
    assert_eq!(moved.await.unwrap(), 3);
    #[attr::async_with(lend(2) as n)]
    async fn parameter(cell: Cell<u8>) -> u8 {
        tokio::task::yield_now().await;
        cell.get() + *n
    }
    assert_eq!(tokio::spawn(parameter(Cell::new(1))).await.unwrap(), 3);
    // And what is not `Send` works where it is.
    let local = Rc::new(1);
    let value = async_with! { log.scoped("local").local(), lend(local.clone()) as rc => { tokio::task::yield_now().await; **rc } };
    assert_eq!(value, 1);
}

/// TYP-1: an `axum` handler whose request is not `Sync`.
#[tokio::test]
async fn an_axum_handler_works() {
    use axum::Router;
    use axum::body::Body;
    use axum::extract::{Request, State};
    use axum::routing::post;
    use tower::ServiceExt;

    async fn with_the_line(State(log): State<Log>, request: Request) -> Result<String, String> {
        async_with! { log.manager("handler") as a => {
            let request = request;
            a.note();
            let body = axum::body::to_bytes(request.into_body(), 100).await.map_err(|e| e.to_string())?;
            Ok(format!("{} bytes", body.len()))
        }}
    }
    #[attr::async_with(log.manager("handler") as a)]
    async fn with_the_attribute(
        State(log): State<Log>,
        request: Request,
    ) -> Result<String, String> {
        a.note();
        let body = axum::body::to_bytes(request.into_body(), 100)
            .await
            .map_err(|e| e.to_string())?;
        Ok(format!("{} bytes", body.len()))
    }
    let log = Log::new();
    let app = Router::new()
        .route("/line", post(with_the_line))
        .route("/attribute", post(with_the_attribute))
        .with_state(log.clone());
    for path in ["/line", "/attribute"] {
        let request = Request::post(path).body(Body::from("four")).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        let body = axum::body::to_bytes(response.into_body(), 100)
            .await
            .unwrap();
        assert_eq!(&body[..], b"4 bytes");
        assert_eq!(
            log.take(),
            ["enter handler", "use handler", "exit handler: completed"]
        );
    }
}

/// TYP-1, SYN-1: eight items in one block.
#[tokio::test]
async fn eight_items_in_one_block() {
    async fn eight(log: &Log) -> Result<u64, Boom> {
        async_with! {
            log.manager("1") as a, log.fallible("2") as b, log.scoped("3") as c, log.manager("4") as d,
            log.manager("5") as e, log.fallible("6") as f, log.scoped("7") as g, log.manager("8") as h => {
                for resource in [&mut *a, b, c, d, e, f, g, h] { resource.note(); }
                a.check(true)
            }
        }
    }
    let log = Log::new();
    assert_eq!(send(eight(&log)).await, Ok(1));
    let exits: Vec<_> = log.take().into_iter().skip(16).collect();
    let expected: Vec<_> = (1..=8)
        .rev()
        .map(|n| format!("exit {n}: completed"))
        .collect();
    assert_eq!(exits, expected);
}

/// TYP-3: what is not a manager gets one error that names the trait.
#[test]
fn a_wrong_value_gets_one_error_that_names_the_trait() {
    for name in [
        "future-as-manager",
        "result-as-manager",
        "mutex-guard-as-manager",
        "string-as-manager",
        "number-as-manager",
    ] {
        let expected = std::fs::read_to_string(format!("ui/{name}.stderr"));
        let expected = expected.expect("the compile-fail test is there");
        assert_eq!(
            expected
                .lines()
                .filter(|line| line.starts_with("error"))
                .count(),
            1,
            "{name}"
        );
        assert!(expected.contains("`AsyncContextManager`"), "{name}");
    }
}
