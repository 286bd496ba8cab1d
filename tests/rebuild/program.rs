//! A program with items of every form. `main.rs` edits its text, so what it edits has to be there once.

use std::convert::Infallible;
use std::fmt::{Display, Formatter};
use std::time::Duration;

use async_with::{callback, join, manage, prelude::*, task_group, timeout};

const LONG: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Failure {
    reason: &'static str,
}

fn no_name() -> Failure {
    Failure { reason: "no name" }
}

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.reason)
    }
}

impl std::error::Error for Failure {}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

struct Connection {
    name: &'static str,
}

fn connect(name: &'static str) -> Connection {
    Connection { name }
}

impl AsyncContextManager for Connection {
    type Resource = String;
    type Error = Failure;
    type Exit = ();

    async fn enter(&mut self) -> Result<String, Failure> {
        match self.name {
            "" => Err(no_name()),
            name => Ok(name.to_owned()),
        }
    }

    async fn exit(self, resource: String, _: Cause) -> Result<(), Failure> {
        println!("exit {resource}");
        Ok(())
    }
}

#[async_context_manager]
async fn owned(name: &'static str) -> Result<String, Infallible> {
    let (name, cause) = yield_!(name.to_owned());
    println!("{name}: {cause}");
    Ok(())
}

#[async_context_manager]
async fn borrowed(count: &mut u8) -> Result<u8, BoxError> {
    *count += 1;
    async_with! { callback(async || println!("inside of a generator")) => {
        let _cause = yield_!(count);
    }}
    Ok(())
}

/// A manager whose `impl` mentions a type that its own type does not. So its closure makes a block, or it is boxed.
struct Hook<F>(Option<F>);

impl<F, Fut> AsyncContextManager for Hook<F>
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    type Resource = F;
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<F, Infallible> {
        Ok(self.0.take().expect("a manager is entered once"))
    }

    async fn exit(self, hook: F, _: Cause) -> Result<(), Infallible> {
        hook().await;
        Ok(())
    }
}

async fn hooks() {
    async_with! { Hook(Some(|| async { println!("hook") })), Hook(Some(async || println!("boxed hook"))).boxed() => {} }
}

async fn closures() {
    async_with! { callback(async || println!("callback")) => {} }
    async_with! { manage(1_u8, async |value, cause| println!("manage {value}: {cause}")) as value => {
        *value += 1;
    }}
}

async fn adaptors() -> Result<(), BoxError> {
    async_with! { callback(async || println!("named")).named("name").map(|()| 1) as number => { *number += 1; } }
    async_with! { manage(1, async |_, _| println!("boxed")).on_exit(|_, _| ()).boxed() as number => { *number += 1; } }
    async_with! { timeout(LONG), join((callback(async || ()), manage(2, async |_, _| ()))) as ((), two) => {
        println!("joined {two}");
    }}
    Ok(())
}

async fn managers() -> Result<(), BoxError> {
    let mut count = 0;
    async_with! { connect("connection") as name, owned("owned") as text, borrowed(&mut count) as number => {
        println!("{name} {text} {number}");
    }}
    Ok(())
}

async fn stack() -> Result<(), BoxError> {
    async_with! { AsyncExitStack::new() as stack => {
        stack.callback(async || println!("callback of a stack"));
        let text = stack.enter(connect("entered")).await?;
        let list = stack.adopt(vec![1], async |list, _| println!("adopted {list:?}"));
        list.push(text.len());
    }}
    Ok(())
}

#[attr::async_with(manage(name, async |name, _| println!("attribute {name}")) as name)]
async fn attribute(name: &'static str) -> usize {
    name.len()
}

#[attr::async_with]
async fn with_let() -> Result<(), BoxError> {
    #[with]
    let text = connect("let");
    #[with]
    let number = manage(1, async |_, _| println!("managed by let"));
    *number += text.len();
    Ok(())
}

async fn group() {
    async_with! { task_group() as group => {
        let job = async |number: usize| {
            async_with! { callback(async move || println!("job {number}")) => { tokio::task::yield_now().await; } }
        };
        group.spawn(job(1));
        group.spawn(async { println!("attribute of {}", attribute("task").await); });
    }}
}

/// A closure in a struct, a generic method, and recursion.
struct Countdown<F>(F);

impl<F: AsyncFn(u8)> Countdown<F> {
    async fn run(&self, left: u8) {
        async_with! { callback(async move || println!("left {left}")) => {
            (self.0)(left).await;
            if left > 0 { Box::pin(self.run(left - 1)).await; }
        }}
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    closures().await;
    hooks().await;
    adaptors().await?;
    managers().await?;
    stack().await?;
    with_let().await?;
    group().await;
    let countdown = Countdown(async |left| {
        async_with! { manage(left, async |left, _| println!("counted {left}")) => { tokio::task::yield_now().await; } }
    });
    countdown.run(1).await;
    tokio::spawn(async {
        async_with! { callback(async || println!("spawned")), connect("task") => {} }
        Ok::<(), BoxError>(())
    })
    .await?
}
