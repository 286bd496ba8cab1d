//! The programs that people learn Python's `async with` from, in Rust.
//!
//! ```text
//! cargo run -p async-with-examples --example python_tour
//! python3 examples/python/tour.py
//! ```
//!
//! `examples/python/tour.py` has the same in Python, under the same names. A test sees to it that both print the
//! same, but for the last four, in which Rust differs on purpose.

use std::collections::HashMap;
use std::convert::Infallible;
use std::error::Error;
use std::fmt::{self, Display, Formatter};
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_with::{prelude::*, report};
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
use sqlx::{Connection as _, Row as _, Sqlite, SqliteConnection};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use tokio::sync::{AcquireError, Mutex, Semaphore, oneshot};
use tokio::task::yield_now;
use tokio::time::sleep;

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

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

#[async_context_manager]
impl AsyncContextManager for Named {
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

    #[async_context_manager]
    impl AsyncContextManager for Greeter {
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

/// Python's `contextlib.asynccontextmanager`. Its `try` and `finally` around the `yield` are not needed here.
async fn managed_resource() -> Result<()> {
    #[async_context_manager]
    async fn managed(name: &'static str) -> Result<String, Infallible> {
        println!("acquire {name}");
        let mut resource = format!("the {name}");
        yield_!(&mut resource);
        println!("release {name}");
    }

    async fn work(fails: bool) -> Result<(), NotFound> {
        async_with! { managed("printer") as printer => {
            println!("use {printer}");
            if fails {
                return Err(NotFound);
            }
            println!("used");
        }}
        Ok(())
    }

    work(false).await?;
    if let Err(error) = work(true).await {
        println!("caught: {error}");
    }
    Ok(())
}

async fn execution_flow() -> Result<()> {
    struct Steps;

    #[async_context_manager]
    impl AsyncContextManager for Steps {
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

#[async_context_manager]
impl AsyncContextManager for Database {
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

    #[async_context_manager]
    impl AsyncContextManager for Broken {
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

/// Swallows one kind of error. The library has such a manager: `async_with::suppress`.
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

#[async_context_manager]
impl<E: Error + Send + 'static> AsyncContextManager for Ignore<E> {
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
    async fn visit(error: impl Error + Send + Sync + 'static) -> Result<()> {
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

#[derive(Debug)]
struct TooLate;

/// Interrupts its block when that takes longer. The library has such a manager: `async_with::timeout`.
#[async_context_manager]
async fn at_most(patience: Duration) -> Result<(), TooLate> {
    let too_late = async move {
        sleep(patience).await;
        TooLate
    };
    let ((), cause) = yield_!((), interrupt = too_late);
    if cause == Cause::Cancelled {
        println!("the time is up");
    }
}

async fn timeout() -> Result<()> {
    async fn work() -> Result<&'static str, TooLate> {
        async_with! { at_most(Duration::from_millis(10)), named("inner") => {
            sleep(AN_HOUR).await;
        }}
        Ok("in time")
    }

    let result = async_with! { named("outer") => {
        work().await.unwrap_or("too late")
    }};
    println!("{result}");
    Ok(())
}

#[async_context_manager]
async fn opened(path: PathBuf) -> io::Result<File> {
    let file = File::open(&path).await?;
    println!("open {}", name(&path));
    let (file, _) = yield_!(file);
    drop(file);
    println!("close {}", name(&path));
}

fn name(path: &Path) -> impl Display {
    path.file_name().unwrap_or_default().display()
}

/// Writes files, each with its name in it, and returns where they are.
async fn written<const N: usize>(directory: &Path, names: [&str; N]) -> io::Result<[PathBuf; N]> {
    let paths = names.map(|name| directory.join(name));
    for path in &paths {
        tokio::fs::write(path, format!("{} ", name(path))).await?;
    }
    Ok(paths)
}

async fn variable_number_of_files() -> Result<()> {
    async fn read_all(paths: &[PathBuf]) -> io::Result<String> {
        async_with! { AsyncExitStack::new() as stack => {
            let mut files = Vec::new();
            for path in paths {
                files.push(stack.enter(opened(path.clone())).await?);
            }
            let mut text = String::new();
            for file in files {
                file.read_to_string(&mut text).await?;
            }
            Ok(text)
        }}
    }

    let directory = tempfile::tempdir()?;
    let paths = written(directory.path(), ["one", "two", "three"]).await?;
    println!("{}end", read_all(&paths).await?);
    Ok(())
}

/// What is opened in a loop is closed again when one of them fails, and else is kept.
async fn all_or_nothing() -> Result<()> {
    async fn open_all(paths: &[PathBuf]) -> io::Result<AsyncExitStack<io::Error>> {
        async_with! { AsyncExitStack::new() as stack => {
            for path in paths {
                stack.enter(opened(path.clone())).await?;
            }
            Ok(stack.pop_all())
        }}
    }

    let directory = tempfile::tempdir()?;
    let mut paths = written(directory.path(), ["one", "two"]).await?.to_vec();
    let mut files = open_all(&paths).await?;
    println!("all are open");
    files.close().await?;

    paths.push(directory.path().join("three"));
    if open_all(&paths).await.is_err() {
        println!("there is no three");
    }
    Ok(())
}

async fn callbacks() -> Result<()> {
    async fn work() {
        async_with! { AsyncExitStack::new() as stack => {
            for number in [1, 2] {
                stack.callback(async move || println!("callback {number}"));
            }
            stack.push(async |cause: Cause| println!("told: {cause}"));
            println!("the body ends");
        }}
    }

    work().await;
    Ok(())
}

/// References to tokio's locks are managers.
async fn lock_and_semaphore() -> Result<()> {
    let total = Mutex::new(0);
    let slots = Semaphore::new(2);

    let add = async |number: u32| {
        async_with! { &slots => {
            println!("{number} has a slot");
            async_with! { &total as total => {
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
#[async_context_manager]
async fn begin(pool: SqlitePool) -> sqlx::Result<sqlx::Transaction<'static, Sqlite>> {
    let open = pool.begin().await?;
    println!("begin");
    let (open, cause) = yield_!(open);
    if cause.is_completed() {
        open.commit().await?;
        println!("commit");
    } else {
        open.rollback().await?;
        println!("rollback");
    }
}

async fn transaction() -> Result<()> {
    async fn add(pool: &SqlitePool, moons: i64, found: bool) -> Result<()> {
        async_with! { begin(pool.clone()) as open => {
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

    #[async_context_manager]
    impl AsyncContextManager for Cache {
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

    #[async_context_manager]
    impl AsyncContextManager for ExitFails {
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

/// What follows the yield runs, however the block ended. In Python, it does not when the block failed and the `yield` is
/// in no `try`.
async fn no_try() -> Result<()> {
    #[async_context_manager]
    async fn managed() -> Result<(), Infallible> {
        println!("set up");
        yield_!();
        println!("clean up");
    }

    async fn work() -> Result<(), NotFound> {
        async_with! { managed() => {
            Err(NotFound)?;
        }}
        Ok(())
    }

    if let Err(error) = work().await {
        println!("caught: {error}");
    }
    Ok(())
}

/// A failed assertion is a panic, and no manager swallows one unless it says `SuppressPanic`. In Python, it is an
/// exception like others.
async fn failed_assertion() -> Result<()> {
    struct IgnoreAll;

    #[async_context_manager]
    impl AsyncContextManager for IgnoreAll {
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

    #[async_context_manager]
    impl AsyncContextManager for Waits {
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
        managed_resource,
        execution_flow,
        leaving_early,
        database_connection,
        several_managers,
        enter_fails,
        exception_handling,
        suppression,
        timeout,
        variable_number_of_files,
        all_or_nothing,
        callbacks,
        lock_and_semaphore,
        transaction,
        cache,
    }
    println!("== where Rust differs");
    tour! {
        exit_fails_too,
        no_try,
        failed_assertion,
        given_up,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use async_with::testing::{Conformance, assert_conforms};
    use sqlx::sqlite::SqlitePoolOptions;

    use super::{AN_HOUR, Database, Ignore, NotFound, at_most, begin, named, opened, written};

    /// The database works in threads of its own, which may have to wait for the machine.
    const PATIENCE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn the_managers_of_the_tour_conform() {
        assert_conforms(|| named("a")).await;
        assert_conforms(Ignore::<NotFound>::new).await;
        assert_conforms(|| at_most(AN_HOUR)).await;
    }

    #[tokio::test]
    async fn the_managers_of_files_and_databases_conform() {
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let [path] = written(directory.path(), ["a"]).await.expect("a new file");
        let files = Conformance::new(|| opened(path.clone())).patience(PATIENCE);
        files.check().await.assert();
        let connections = Conformance::new(|| Database).patience(PATIENCE);
        connections.check().await.assert();
        let options = SqlitePoolOptions::new().max_connections(2);
        let pool = options
            .connect("sqlite::memory:")
            .await
            .expect("a database in memory");
        let transactions = Conformance::new(|| begin(pool.clone())).patience(PATIENCE);
        transactions.check().await.assert();
    }
}
