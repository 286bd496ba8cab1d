//! The programs that people learn Python's `async with` from, in Rust.
//!
//! ```text
//! cargo run -p async-with-examples --example python_tour
//! python3 examples/python/tour.py
//! ```
//!
//! `examples/python/tour.py` has the same in Python, under the same names. A test sees to it that both print the
//! same, but for the last three, in which Rust differs on purpose.

use std::collections::HashMap;
use std::convert::Infallible;
use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_with::{ScopedAsyncContextManager, async_with, prelude::*, report};
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
use sqlx::{Connection as _, Row as _, Sqlite, SqliteConnection};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use tokio::sync::{AcquireError, Mutex, MutexGuard, Semaphore, SemaphorePermit, oneshot};
use tokio::task::yield_now;
use tokio::time::sleep;

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

const AN_HOUR: Duration = Duration::from_hours(1);

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
struct Ignore<E> {
    ignored: bool,
    kind: PhantomData<E>,
}

impl<E> Ignore<E> {
    fn new() -> Self {
        Self {
            ignored: false,
            kind: PhantomData,
        }
    }
}

impl<E: Error + Send + 'static> AsyncContextManager for Ignore<E> {
    type Resource = ();
    type Error = Infallible;
    type Exit = Verdict;

    async fn enter(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn inspect(&mut self, (): &mut (), raised: Raised<'_>) {
        self.ignored = raised.as_error().is_some_and(<dyn Error>::is::<E>);
    }

    async fn exit(self, (): (), _: Cause) -> Result<Verdict, Infallible> {
        Ok(if self.ignored {
            Verdict::Suppress
        } else {
            Verdict::Propagate
        })
    }
}

async fn suppression() -> Result<()> {
    async fn visit(error: impl Error + 'static) -> Result<()> {
        async_with! { named("outer"), Ignore::<NotFound>::new(), named("inner") => {
            Err(error)?;
        }}
        println!("after the block");
        Ok(())
    }

    visit(NotFound).await?;
    if let Err(error) = visit(Unreachable).await {
        println!("caught: {error}");
    }
    Ok(())
}

async fn timeout() -> Result<()> {
    let result = async_with! { named("outer") => {
        let work = async {
            async_with! { named("inner") => {
                sleep(AN_HOUR).await;
            }}
        };
        match tokio::time::timeout(Duration::from_millis(10), work).await {
            Ok(()) => "in time",
            Err(_) => "too late",
        }
    }};
    println!("{result}");
    Ok(())
}

struct Opened {
    path: PathBuf,
}

impl AsyncContextManager for Opened {
    type Resource = File;
    type Error = io::Error;
    type Exit = ();

    async fn enter(&mut self) -> io::Result<File> {
        let file = File::open(&self.path).await?;
        println!("open {}", name(&self.path));
        Ok(file)
    }

    async fn exit(self, file: File, _: Cause) -> io::Result<()> {
        drop(file);
        println!("close {}", name(&self.path));
        Ok(())
    }
}

fn name(path: &Path) -> impl Display {
    path.file_name().unwrap_or_default().display()
}

async fn variable_number_of_files() -> Result<()> {
    /// Opens the first of the paths; inside that block, the next; and reads them where all are open.
    async fn read_all(paths: &[PathBuf], mut files: Vec<&mut File>) -> io::Result<String> {
        let Some((path, rest)) = paths.split_first() else {
            let mut text = String::new();
            for file in files {
                file.read_to_string(&mut text).await?;
            }
            return Ok(text);
        };
        async_with! { Opened { path: path.clone() } as file => {
            files.push(file);
            Box::pin(read_all(rest, files)).await
        }}
    }

    let directory = tempfile::tempdir()?;
    let paths = ["one", "two", "three"].map(|name| directory.path().join(name));
    for path in &paths {
        tokio::fs::write(path, format!("{} ", name(path))).await?;
    }
    println!("{}end", read_all(&paths, Vec::new()).await?);
    Ok(())
}

/// Holds a lock. It borrows the lock, so it is a scoped manager; when the block is dropped, the guard is.
struct Locked<'a, T>(&'a Mutex<T>);

impl<'a, T> ScopedAsyncContextManager for Locked<'a, T> {
    type Resource = MutexGuard<'a, T>;
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<MutexGuard<'a, T>, Infallible> {
        Ok(self.0.lock().await)
    }

    async fn exit(self, guard: MutexGuard<'a, T>, _: Cause) -> Result<(), Infallible> {
        drop(guard);
        Ok(())
    }
}

/// Takes one of a limited number of slots.
struct Slot<'a>(&'a Semaphore);

impl<'a> ScopedAsyncContextManager for Slot<'a> {
    type Resource = SemaphorePermit<'a>;
    type Error = AcquireError;
    type Exit = ();

    async fn enter(&mut self) -> Result<SemaphorePermit<'a>, AcquireError> {
        self.0.acquire().await
    }

    async fn exit(self, permit: SemaphorePermit<'a>, _: Cause) -> Result<(), AcquireError> {
        drop(permit);
        Ok(())
    }
}

async fn lock_and_semaphore() -> Result<()> {
    let total = Mutex::new(0);
    let slots = Semaphore::new(2);

    let add = async |number: u32| {
        async_with! { Slot(&slots) => {
            println!("{number} has a slot");
            async_with! { Locked(&total) as total => {
                let before = **total;
                yield_now().await;
                **total = before + number;
                println!("{number} makes it {total}");
            }}
        }}
        Ok::<(), AcquireError>(())
    };

    tokio::try_join!(biased; add(1), add(2), add(3))?;
    println!("the total is {}", total.into_inner());
    Ok(())
}

/// The database library has a type for transactions; this adds when it is committed, and when not.
struct Transaction {
    pool: SqlitePool,
}

impl AsyncContextManager for Transaction {
    type Resource = sqlx::Transaction<'static, Sqlite>;
    type Error = sqlx::Error;
    type Exit = ();

    async fn enter(&mut self) -> sqlx::Result<sqlx::Transaction<'static, Sqlite>> {
        let open = self.pool.begin().await?;
        println!("begin");
        Ok(open)
    }

    async fn exit(
        self,
        open: sqlx::Transaction<'static, Sqlite>,
        cause: Cause,
    ) -> sqlx::Result<()> {
        if cause.is_completed() {
            open.commit().await?;
            println!("commit");
        } else {
            open.rollback().await?;
            println!("rollback");
        }
        Ok(())
    }
}

async fn transaction() -> Result<()> {
    async fn add(pool: &SqlitePool, moons: i64, found: bool) -> Result<()> {
        async_with! { Transaction { pool: pool.clone() } as open => {
            let update = sqlx::query("UPDATE planet SET moons = moons + ?").bind(moons);
            update.execute(&mut **open).await?;
            if !found {
                Err(NotFound)?;
            }
        }}
        Ok(())
    }

    // A database in memory is its connection's: one connection, one database.
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .connect("sqlite::memory:")
        .await?;
    sqlx::query("CREATE TABLE planet (moons INTEGER)")
        .execute(&pool)
        .await?;
    sqlx::query("INSERT INTO planet VALUES (82)")
        .execute(&pool)
        .await?;
    add(&pool, 64, true).await?;
    if let Err(error) = add(&pool, 1000, false).await {
        println!("caught: {error}");
    }
    let moons: i64 = sqlx::query_scalar("SELECT moons FROM planet")
        .fetch_one(&pool)
        .await?;
    println!("{moons} moons");
    pool.close().await;
    Ok(())
}

async fn cache() -> Result<()> {
    struct Cache;

    impl AsyncContextManager for Cache {
        type Resource = HashMap<u32, u32>;
        type Error = Infallible;
        type Exit = ();

        async fn enter(&mut self) -> Result<HashMap<u32, u32>, Infallible> {
            Ok(HashMap::new())
        }

        async fn exit(self, entries: HashMap<u32, u32>, _: Cause) -> Result<(), Infallible> {
            println!("forget {} entries", entries.len());
            Ok(())
        }
    }

    async_with! { Cache as squares => {
        for number in [12, 5, 12] {
            let square = squares.entry(number).or_insert_with(|| {
                println!("compute {number}");
                number * number
            });
            println!("{square}");
        }
    }}
    Ok(())
}

/// The body fails, and then the exit: the body's error is raised, and the exit's is reported. In Python, the exit's is
/// raised, and the body's is its context.
async fn exit_fails_too() -> Result<()> {
    struct ExitFails;

    impl AsyncContextManager for ExitFails {
        type Resource = ();
        type Error = Unreachable;
        type Exit = ();

        async fn enter(&mut self) -> Result<(), Unreachable> {
            Ok(())
        }

        async fn exit(self, (): (), _: Cause) -> Result<(), Unreachable> {
            Err(Unreachable)
        }
    }

    let both_fail = async {
        async_with! { ExitFails => {
            Err(NotFound)?;
        }}
        Ok(())
    };
    let (result, reported): (Result<()>, _) = report::collect(both_fail).await;
    if let Err(error) = result {
        println!("raised: {error}");
    }
    for entry in reported {
        println!("reported: {}", entry.incident);
    }
    Ok(())
}

/// A failed assertion is a panic, and no manager swallows one unless it says `SuppressPanic`. In Python, it is an
/// exception like others.
async fn failed_assertion() -> Result<()> {
    struct IgnoreAll;

    impl AsyncContextManager for IgnoreAll {
        type Resource = ();
        type Error = Infallible;
        type Exit = Verdict;

        async fn enter(&mut self) -> Result<(), Infallible> {
            Ok(())
        }

        async fn exit(self, (): (), _: Cause) -> Result<Verdict, Infallible> {
            Ok(Verdict::Suppress)
        }
    }

    let task = tokio::spawn(async {
        async_with! { IgnoreAll => {
            assert_eq!(1 + 1, 3, "a bug");
        }}
    });
    match task.await {
        Ok(()) => println!("the bug goes unnoticed"),
        Err(_) => println!("the bug is noticed"),
    }
    Ok(())
}

/// A block that is given up in its body: its exit is carried on by the runtime, to its end. In Python, it gets no
/// farther than its first await.
async fn given_up() -> Result<()> {
    struct Waits {
        exited: oneshot::Sender<()>,
    }

    impl AsyncContextManager for Waits {
        type Resource = ();
        type Error = Infallible;
        type Exit = ();

        async fn enter(&mut self) -> Result<(), Infallible> {
            println!("enter a");
            Ok(())
        }

        async fn exit(self, (): (), _: Cause) -> Result<(), Infallible> {
            yield_now().await;
            println!("exited");
            let _ = self.exited.send(());
            Ok(())
        }
    }

    let (exited, told) = oneshot::channel();
    let work = async {
        async_with! { Waits { exited } => {
            sleep(AN_HOUR).await;
        }}
    };
    tokio::select! {
        biased;
        () = work => {}
        () = yield_now() => {}
    }
    told.await?;
    Ok(())
}

/// Runs functions, and prints their names above what they print.
macro_rules! tour {
    ($($section:ident),* $(,)?) => {
        $(
            println!("-- {}", stringify!($section));
            $section().await?;
        )*
    };
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    // The one panic, in `failed_assertion`, is meant: Rust's words about it are left out.
    std::panic::set_hook(Box::new(|_| ()));
    tour! {
        class_based_manager,
        execution_flow,
        leaving_early,
        database_connection,
        several_managers,
        enter_fails,
        exception_handling,
        suppression,
        timeout,
        variable_number_of_files,
        lock_and_semaphore,
        transaction,
        cache,
    }
    println!("== where Rust differs");
    tour! {
        exit_fails_too,
        failed_assertion,
        given_up,
    }
    Ok(())
}
