//! Where `Send` is asked for: handlers, traits, boxed futures; with transactions of a database, whose type has a
//! lifetime.

use std::pin::Pin;

use async_with::{callback, manage, nullcontext, prelude::*};
use async_with_tests::Log;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures::future::{BoxFuture, join_all};
use futures::{FutureExt, StreamExt, stream};
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{Sqlite, SqlitePool};
use tokio::task::yield_now;
use tower::ServiceExt;

use crate::{BoxError, spawned};

type Transaction = sqlx::Transaction<'static, Sqlite>;

/// A database in memory with one account. It lives as long as the one connection of its pool.
async fn bank() -> SqlitePool {
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .connect("sqlite::memory:")
        .await
        .unwrap();
    sqlx::query("CREATE TABLE account (balance INTEGER)")
        .execute(&pool)
        .await
        .unwrap();
    sqlx::query("INSERT INTO account VALUES (100)")
        .execute(&pool)
        .await
        .unwrap();
    pool
}

async fn balance(pool: &SqlitePool) -> i64 {
    sqlx::query_scalar("SELECT balance FROM account")
        .fetch_one(pool)
        .await
        .unwrap()
}

/// Adds to the account, and returns what was there before.
async fn deposit(transaction: &mut Transaction, amount: i64) -> sqlx::Result<i64> {
    let before = sqlx::query_scalar("SELECT balance FROM account")
        .fetch_one(&mut **transaction)
        .await?;
    sqlx::query("UPDATE account SET balance = balance + ?")
        .bind(amount)
        .execute(&mut **transaction)
        .await?;
    Ok(before)
}

async fn end(transaction: Transaction, cause: Cause) -> sqlx::Result<()> {
    if cause.is_completed() {
        transaction.commit().await
    } else {
        transaction.rollback().await
    }
}

#[async_context_manager]
async fn begin(pool: SqlitePool) -> Result<sqlx::Transaction<'static, Sqlite>, sqlx::Error> {
    let transaction = pool.begin().await?;
    let (transaction, cause) = yield_!(transaction);
    end(transaction, cause).await
}

/// The same, with the lifetime behind an alias, and lent.
#[async_context_manager]
async fn begin_and_lend(pool: SqlitePool) -> Result<Transaction, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let cause = yield_!(&mut transaction);
    end(transaction, cause).await
}

#[derive(Debug)]
struct AppError(sqlx::Error);

impl From<sqlx::Error> for AppError {
    fn from(error: sqlx::Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.0.to_string()).into_response()
    }
}

/// TYP-1: handlers of axum's around a transaction, which is committed, or rolled back where the handler fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_may_hold_a_transaction() {
    #[attr::async_with(begin(pool) as transaction)]
    async fn attribute(State(pool): State<SqlitePool>) -> Result<String, AppError> {
        let before = deposit(transaction, 1).await?;
        Ok(before.to_string())
    }
    async fn block(State(pool): State<SqlitePool>) -> Result<String, AppError> {
        async_with! { begin_and_lend(pool) as transaction => {
            let before = deposit(transaction, 10).await?;
            Ok(before.to_string())
        }}
    }
    async fn fails(State(pool): State<SqlitePool>) -> Result<String, AppError> {
        async_with! { begin(pool) as transaction => {
            deposit(transaction, 100).await?;
            Err(sqlx::Error::RowNotFound)?
        }}
    }
    let pool = bank().await;
    let app = Router::new()
        .route("/attribute", post(attribute))
        .route("/block", post(block))
        .route("/fails", post(fails))
        .with_state(pool.clone());
    let call = |path: &'static str| {
        let app = app.clone();
        spawned(async move {
            let request = Request::post(path).body(Body::empty()).unwrap();
            let response = app.oneshot(request).await.unwrap();
            let body = axum::body::to_bytes(response.into_body(), 100)
                .await
                .unwrap();
            String::from_utf8(body.to_vec()).unwrap()
        })
    };
    assert_eq!(call("/attribute").await, "100");
    assert_eq!(balance(&pool).await, 101);
    assert_eq!(call("/block").await, "101");
    assert_eq!(balance(&pool).await, 111);
    assert!(call("/fails").await.contains("no rows"));
    assert_eq!(balance(&pool).await, 111);
}

/// An own manager over a transaction.
struct Begin(SqlitePool);

impl AsyncContextManager for Begin {
    type Resource = sqlx::Transaction<'static, Sqlite>;
    type Error = sqlx::Error;
    type Exit = ();

    async fn enter(&mut self) -> Result<Self::Resource, Self::Error> {
        self.0.begin().await
    }

    async fn exit(self, transaction: Self::Resource, cause: Cause) -> Result<(), Self::Error> {
        end(transaction, cause).await
    }
}

/// TYP-1: a transaction as the resource of an own manager, and with a closure for its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_may_hold_a_transaction() {
    async fn own(pool: SqlitePool) -> Result<i64, sqlx::Error> {
        async_with! { Begin(pool) as transaction => { deposit(transaction, 1).await } }
    }
    async fn managed(pool: SqlitePool) -> Result<i64, sqlx::Error> {
        async_with! {
            manage(pool.begin().await?, async |transaction: Transaction, cause: Cause| end(transaction, cause).await)
                as transaction => { deposit(transaction, 10).await }
        }
    }
    let pool = bank().await;
    assert_eq!(spawned(own(pool.clone())).await.unwrap(), 100);
    assert_eq!(spawned(managed(pool.clone())).await.unwrap(), 101);
    assert_eq!(balance(&pool).await, 111);
}

#[async_context_manager]
async fn number(mut number: u8) -> Result<u8, BoxError> {
    yield_now().await;
    let _cause = yield_!(&mut number);
    yield_now().await;
    Ok(())
}

struct Service {
    name: &'static str,
    log: Log,
}

/// TYP-1: methods of a trait with async-trait, with the block and with the attribute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_method_of_async_trait_may_hold_a_lifetime() {
    #[async_trait::async_trait]
    trait Serve {
        async fn block(&self) -> Result<u8, BoxError>;
        async fn attribute(&self) -> Result<&'static str, BoxError>;
    }
    #[async_trait::async_trait]
    impl Serve for Service {
        async fn block(&self) -> Result<u8, BoxError> {
            let (name, log) = (self.name, self.log.clone());
            async_with! {
                callback(async move || log.write(name)), number(1) as number, AsyncExitStack::new() as stack => {
                    stack.callback(async || ());
                    yield_now().await;
                    Ok::<_, BoxError>(*number)
                }
            }
        }

        #[attr::async_with(nullcontext(self.name) as name)]
        async fn attribute(&self) -> Result<&'static str, BoxError> {
            yield_now().await;
            Ok(*name)
        }
    }
    let log = Log::new();
    let service = Service {
        name: "service",
        log: log.clone(),
    };
    let both = spawned(async move {
        let service: Box<dyn Serve + Send + Sync> = Box::new(service);
        Ok::<_, BoxError>((service.block().await?, service.attribute().await?))
    });
    assert_eq!(both.await.unwrap(), (1, "service"));
    assert_eq!(log.take(), ["service"]);
}

/// TYP-1: a method of a trait that promises `Send`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_method_that_promises_send_may_hold_a_lifetime() {
    trait Serve {
        fn serve(&self) -> impl Future<Output = Result<&'static str, BoxError>> + Send;
    }
    impl Serve for Service {
        async fn serve(&self) -> Result<&'static str, BoxError> {
            async_with! { nullcontext(self.name) as name, AsyncExitStack::new() as stack => {
                yield_now().await;
                let log = self.log.clone();
                stack.callback(async move || log.write("callback"));
                Ok(*name)
            }}
        }
    }
    let log = Log::new();
    let service = Service {
        name: "service",
        log: log.clone(),
    };
    let served = spawned(async move { service.serve().await });
    assert_eq!(served.await.unwrap(), "service");
    assert_eq!(log.take(), ["callback"]);
}

/// TYP-1: a boxed future, a function that returns one, and recursion.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_future_may_be_boxed() {
    fn promises() -> impl Future<Output = &'static str> + Send {
        async {
            async_with! { nullcontext("a") as text => { yield_now().await; *text } }
        }
    }
    fn recursive(depth: usize) -> Pin<Box<dyn Future<Output = String> + Send>> {
        Box::pin(async move {
            async_with! { nullcontext("a") as text => {
                let inner = if depth > 0 { recursive(depth - 1).await } else { String::new() };
                inner + *text
            }}
        })
    }
    let boxed: BoxFuture<'static, &'static str> = async {
        async_with! { nullcontext("a") as text => { yield_now().await; *text } }
    }
    .boxed();
    assert_eq!(spawned(boxed).await, "a");
    assert_eq!(spawned(promises()).await, "a");
    assert_eq!(spawned(recursive(3)).await, "aaaa");
}

/// TYP-1: blocks side by side.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn futures_side_by_side_may_hold_a_lifetime() {
    let all = spawned(async {
        let blocks = ["a", "b"].map(|text| async move {
            async_with! { nullcontext(text) as text => { yield_now().await; *text } }
        });
        join_all(blocks).await
    });
    assert_eq!(all.await, ["a", "b"]);
    // Over a closure, in `StreamExt::map`, rustc would not take them, nor futures without a block.
    let unordered = spawned(async {
        let blocks = ["a", "b"].map(|text| async move {
            async_with! { nullcontext(text) as text => { yield_now().await; text.len() } }
        });
        let lengths = stream::iter(blocks).buffer_unordered(2);
        lengths.collect::<Vec<_>>().await
    });
    assert_eq!(unordered.await, [1, 1]);
    let selected = spawned(async {
        let block = async {
            async_with! { nullcontext("a") as text => { yield_now().await; *text } }
        };
        tokio::select! {
            text = block => text,
            () = std::future::pending() => "never",
        }
    });
    assert_eq!(selected.await, "a");
}

/// TYP-1: `#[with] let`, and an `async` closure.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_other_forms_of_a_block_may_hold_a_lifetime() {
    #[attr::async_with]
    async fn with_let(log: Log) -> Result<&'static str, BoxError> {
        #[with]
        let text = nullcontext("a");
        #[with]
        let stack = AsyncExitStack::new();
        stack.callback(async move || log.write("callback"));
        yield_now().await;
        Ok(*text)
    }
    let log = Log::new();
    assert_eq!(spawned(with_let(log.clone())).await.unwrap(), "a");
    assert_eq!(log.take(), ["callback"]);
    let closure = async |text: &'static str| {
        async_with! { nullcontext(text) as text => { yield_now().await; *text } }
    };
    assert_eq!(spawned(closure("a")).await, "a");
}
