//! The programs that people learn Python's `async with` from, in Rust.
//!
//! ```text
//! cargo run -p async-with-examples --example python_tour
//! python3 examples/python/tour.py
//! ```
//!
//! `examples/python/tour.py` has the same in Python, under the same names. Both print the same, line by line, up to
//! `where_rust_differs`; a test sees to it.

use std::convert::Infallible;
use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::io;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use async_with::{ScopedAsyncContextManager, async_with, prelude::*, report};
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
use sqlx::{Connection as _, Row as _, Sqlite, SqliteConnection};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use tokio::sync::{Mutex, MutexGuard, Semaphore, SemaphorePermit, oneshot};
use tokio::task::yield_now;
use tokio::time::sleep;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

const AN_HOUR: Duration = Duration::from_secs(3600);

/// Prints that it is entered and exited, and how the body ended.
struct Named {
    name: String,
    error: String,
}

fn named(name: impl Into<String>) -> Named {
    Named {
        name: name.into(),
        error: String::new(),
    }
}

impl AsyncContextManager for Named {
    type Resource = String;
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<String, Infallible> {
        println!("enter {}", self.name);
        Ok(self.name.clone())
    }

    fn inspect(&mut self, _: &mut String, raised: Raised<'_>) {
        self.error = raised
            .as_error()
            .map(ToString::to_string)
            .unwrap_or_default();
    }

    async fn exit(self, name: String, cause: Cause) -> Result<(), Infallible> {
        let ended = match cause {
            Cause::Completed => "completed".to_owned(),
            Cause::Failed(_) => format!("failed: {}", self.error),
            Cause::Panicked => "panicked".to_owned(),
            Cause::Cancelled | Cause::Dropped => "cut short".to_owned(),
        };
        println!("exit {name}, {ended}");
        Ok(())
    }
}

#[derive(Debug)]
struct NotFound;

impl Error for NotFound {}

impl Display for NotFound {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("not found")
    }
}

#[derive(Debug)]
struct Unreachable;

impl Error for Unreachable {}

impl Display for Unreachable {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("unreachable")
    }
}

async fn class_based_manager() -> Result<()> {
    struct Greeter {
        name: &'static str,
    }

    impl AsyncContextManager for Greeter {
        type Resource = String;
        type Error = Infallible;
        type Exit = ();

        async fn enter(&mut self) -> Result<String, Infallible> {
            println!("the door opens");
            Ok(format!("hello {}", self.name))
        }

        async fn exit(self, _: String, _: Cause) -> Result<(), Infallible> {
            println!("the door closes");
            Ok(())
        }
    }

    async_with! { Greeter { name: "world" } as greeting => {
        println!("{greeting}");
    }}
    Ok(())
}

async fn execution_flow() -> Result<()> {
    struct Steps;

    impl AsyncContextManager for Steps {
        type Resource = ();
        type Error = Infallible;
        type Exit = ();

        async fn enter(&mut self) -> Result<(), Infallible> {
            println!("2 enter begins");
            yield_now().await;
            println!("3 enter ends");
            Ok(())
        }

        async fn exit(self, (): (), _: Cause) -> Result<(), Infallible> {
            println!("6 exit begins");
            yield_now().await;
            println!("7 exit ends");
            Ok(())
        }
    }

    println!("1 before the block");
    async_with! { Steps => {
        println!("4 the body begins");
        yield_now().await;
        println!("5 the body ends");
    }}
    println!("8 after the block");
    Ok(())
}

async fn leaving_early() -> Result<()> {
    async fn find(wanted: &str) -> String {
        for name in ["a", "b", "c"] {
            async_with! { named(name) => {
                if name != wanted {
                    continue;
                }
                return format!("found {name}");
            }}
        }
        "found nothing".to_owned()
    }

    println!("{}", find("b").await);

    let mut attempts = 0;
    loop {
        async_with! { named("attempt") => {
            attempts += 1;
            if attempts == 2 {
                break;
            }
        }}
    }
    println!("{attempts} attempts");
    Ok(())
}

struct Database;

impl AsyncContextManager for Database {
    type Resource = SqliteConnection;
    type Error = sqlx::Error;
    type Exit = ();

    async fn enter(&mut self) -> Result<SqliteConnection, sqlx::Error> {
        let connection = SqliteConnection::connect(":memory:").await?;
        println!("connected");
        Ok(connection)
    }

    async fn exit(self, connection: SqliteConnection, _: Cause) -> Result<(), sqlx::Error> {
        connection.close().await?;
        println!("disconnected");
        Ok(())
    }
}

async fn database_connection() -> Result<()> {
    async_with! { Database as connection => {
        let schema = "CREATE TABLE planet (name TEXT, moons INTEGER)";
        sqlx::query(schema).execute(&mut *connection).await?;
        let insert = "INSERT INTO planet VALUES ('Earth', 1), ('Mars', 2)";
        sqlx::query(insert).execute(&mut *connection).await?;
        let select = "SELECT name, moons FROM planet";
        for row in sqlx::query(select).fetch_all(connection).await? {
            println!("{}: {}", row.get::<String, _>("name"), row.get::<i64, _>("moons"));
        }
    }}
    Ok(())
}

async fn several_managers() -> Result<()> {
    async_with! { named("a") as a, named(format!("{a}/b")) as b, named(format!("{b}/c")) as c => {
        println!("inside {c}");
    }}
    Ok(())
}

async fn enter_fails() -> Result<()> {
    struct Broken;

    impl AsyncContextManager for Broken {
        type Resource = ();
        type Error = Unreachable;
        type Exit = ();

        async fn enter(&mut self) -> Result<(), Unreachable> {
            Err(Unreachable)
        }

        async fn exit(self, (): (), _: Cause) -> Result<(), Unreachable> {
            println!("never printed");
            Ok(())
        }
    }

    async fn connect() -> Result<(), Unreachable> {
        async_with! { named("a"), Broken, named("c") => {
            println!("never printed");
        }}
        Ok(())
    }

    if let Err(error) = connect().await {
        println!("caught: {error}");
    }
    Ok(())
}

async fn exception_handling() -> Result<()> {
    async fn visit() -> Result<(), NotFound> {
        async_with! { named("outer") => {
            async_with! { named("inner") => {
                println!("it is raised in the body");
                Err(NotFound)?;
            }}
            println!("never printed");
        }}
        Ok(())
    }

    if let Err(error) = visit().await {
        println!("caught: {error}");
    }
    Ok(())
}

/// Swallows one kind of error.
struct Ignore<E>(PhantomData<E>);

impl<E: Send + 'static> AsyncContextManager for Ignore<E> {
    type Resource = ();
    type Error = Infallible;
    type Exit = Verdict;

    async fn enter(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    async fn exit(self, (): (), cause: Cause) -> Result<Verdict, Infallible> {
        Ok(match cause {
            Cause::Failed(error) if error.is::<E>() => Verdict::Suppress,
            _ => Verdict::Propagate,
        })
    }
}

