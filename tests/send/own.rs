//! Managers that a user writes, with generics, bounds and lifetimes of their own.

use std::convert::Infallible;
use std::future::pending;

use async_with::{nullcontext, prelude::*};
use tokio::task::yield_now;

use crate::{BoxError, spawned};

/// Lends what it was made with.
struct Lend<T>(Option<T>);

impl<T: Send + 'static> AsyncContextManager for Lend<T> {
    type Resource = T;
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<T, Infallible> {
        yield_now().await;
        Ok(self.0.take().expect("a manager is entered once"))
    }

    async fn exit(self, resource: T, _: Cause) -> Result<(), Infallible> {
        yield_now().await;
        drop(resource);
        Ok(())
    }
}

/// TYP-1: a manager of any type, in a spawned future and in generic functions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manager_may_be_generic() {
    async fn job<T: Send + Sync + Clone + 'static>(value: T) -> T {
        async_with! { Lend(Some(value)) as value => { yield_now().await; value.clone() } }
    }
    async fn spawns<T: Send + Sync + Clone + 'static>(value: T) -> T {
        spawned(job(value)).await
    }
    let text = spawned(async {
        async_with! { Lend(Some("a")) as text => { yield_now().await; *text } }
    });
    assert_eq!(text.await, "a");
    assert_eq!(spawned(job("a")).await, "a");
    assert_eq!(spawns("a").await, "a");
}

/// A bound that couples two parameters, each of which may mention a lifetime.
trait Same<U> {}

impl<T> Same<T> for T {}

struct Coupled<T, U>(Option<(T, U)>);

impl<T: Send + Same<U> + 'static, U: Send + 'static> AsyncContextManager for Coupled<T, U> {
    type Resource = (T, U);
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<(T, U), Infallible> {
        Ok(self.0.take().expect("a manager is entered once"))
    }

    async fn exit(self, resource: (T, U), _: Cause) -> Result<(), Infallible> {
        yield_now().await;
        drop(resource);
        Ok(())
    }
}

/// TYP-1: a manager that is one only where two types are the same, their lifetimes included.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manager_may_couple_its_parameters() {
    let pair = spawned(async {
        async_with! { Coupled(Some(("a", "b"))) as (a, b) => { yield_now().await; [*a, *b] } }
    });
    assert_eq!(pair.await, ["a", "b"]);
}

/// Lends, fails and interrupts with what mentions a lifetime.
struct Text(&'static str);

impl AsyncContextManager for Text {
    type Resource = &'static str;
    type Error = &'static str;
    type Exit = Verdict;

    async fn enter(&mut self) -> Result<&'static str, &'static str> {
        yield_now().await;
        Ok(self.0)
    }

    async fn exit(self, _: &'static str, _: Cause) -> Result<Verdict, &'static str> {
        yield_now().await;
        Ok(Verdict::Propagate)
    }

    fn interrupt(&self, _: &&'static str) -> impl Interruption<&'static str> + Send + use<> {
        let name = self.0;
        async move {
            pending::<()>().await;
            name
        }
    }
}

/// TYP-1: an own resource, error and interrupt that mention a lifetime.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manager_may_fail_and_interrupt_with_a_lifetime() {
    let failed = spawned(async {
        let result: Result<(), &'static str> = async {
            async_with! { Text("a") as text => { yield_now().await; Err(*text)?; } }
            Ok(())
        }
        .await;
        result
    });
    assert_eq!(failed.await, Err("a"));
}

/// A manager only where its parameter is `'static`.
struct Borrows<'a>(&'a str);

impl AsyncContextManager for Borrows<'static> {
    type Resource = Borrows<'static>;
    type Error = BoxError;
    type Exit = ();

    async fn enter(&mut self) -> Result<Self, BoxError> {
        yield_now().await;
        Ok(Borrows(self.0))
    }

    async fn exit(self, _: Self, _: Cause) -> Result<(), BoxError> {
        yield_now().await;
        Ok(())
    }
}

/// TYP-1: an implementation for one lifetime alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manager_may_be_one_for_static_alone() {
    let text = spawned(async {
        let result: Result<&'static str, BoxError> = async {
            async_with! { Borrows("a") as text => { yield_now().await; Ok(text.0) } }
        }
        .await;
        result
    });
    assert_eq!(text.await.unwrap(), "a");
}

/// Keeps the resource of the manager inside, whose type is a parameter: that of a field may not be `M::Resource`.
struct Wrapper<M, R>(M, Option<R>);

impl<M, R> AsyncContextManager for Wrapper<M, R>
where
    M: AsyncContextManager<Resource = R>,
    R: Clone + Send + Sync + 'static,
{
    type Resource = R;
    type Error = M::Error;
    type Exit = M::Exit;

    async fn enter(&mut self) -> Result<R, M::Error> {
        let resource = self.0.enter().await?;
        self.1 = Some(resource.clone());
        Ok(resource)
    }

    async fn exit(self, resource: R, cause: Cause) -> Result<M::Exit, M::Error> {
        self.0.exit(self.1.unwrap_or(resource), cause).await
    }
}

/// TYP-1: a manager around another one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manager_may_wrap_another() {
    let text = spawned(async {
        async_with! { Wrapper(nullcontext("a"), None) as text => { yield_now().await; *text } }
    });
    assert_eq!(text.await, "a");
}

/// Keeps it as `M::Resource`.
struct Projecting<M: AsyncContextManager>(M, Option<M::Resource>);

impl<M: AsyncContextManager> AsyncContextManager for Projecting<M> {
    type Resource = ();
    type Error = M::Error;
    type Exit = M::Exit;

    async fn enter(&mut self) -> Result<(), M::Error> {
        self.1 = Some(self.0.enter().await?);
        Ok(())
    }

    async fn exit(self, (): (), cause: Cause) -> Result<M::Exit, M::Error> {
        let resource = self.1.expect("it was entered");
        self.0.exit(resource, cause).await
    }
}

/// TYP-1: where the type of a field is a projection, the manager is boxed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manager_with_a_projection_may_be_boxed() {
    let value = spawned(async {
        async_with! { Projecting(nullcontext("a"), None).boxed() => { yield_now().await; 1 } }
    });
    assert_eq!(value.await, 1);
}

/// TYP-1: functions that take any manager. Where such a one is awaited in a spawned future, the resource has to be a
/// parameter, or the function has to promise `Send`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_may_take_any_manager() {
    async fn projected<M>(manager: M) -> usize
    where
        M: AsyncContextManager<Error = Infallible, Exit = ()>,
    {
        async_with! { manager as _resource => { yield_now().await; 1 } }
    }
    async fn with_parameter<M, R>(manager: M) -> R
    where
        M: AsyncContextManager<Resource = R, Error = Infallible, Exit = ()>,
        R: Clone + Send + Sync + 'static,
    {
        async_with! { manager as resource => { yield_now().await; resource.clone() } }
    }
    fn promises<M>(manager: M) -> impl Future<Output = usize> + Send
    where
        M: AsyncContextManager<Error = Infallible, Exit = ()>,
    {
        async move {
            async_with! { manager as _resource => { yield_now().await; 2 } }
        }
    }
    assert_eq!(spawned(projected(nullcontext("a"))).await, 1);
    assert_eq!(spawned(with_parameter(nullcontext("a"))).await, "a");
    assert_eq!(spawned(promises(nullcontext("a"))).await, 2);
    let parameter_awaited = spawned(async { with_parameter(nullcontext("a")).await });
    assert_eq!(parameter_awaited.await, "a");
    let promise_awaited = spawned(async { promises(nullcontext("a")).await });
    assert_eq!(promise_awaited.await, 2);
}
