//! What a stack takes, by the types of the errors and of the exits.

use std::convert::Infallible;
use std::fmt::Debug;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::sync::Arc;

use super::around::Attended;
use super::entry::{Entered, Slot};
use super::handle::{Content, Handle, Shelf, Shelved};
use super::pile::Leave;
use super::{AsyncExitStack, lock};
use crate::managers::MovedOn;
use crate::nest::{self, Level, Moment};
use crate::{AsyncContextManager, CleanUp, ExitVerdict, Verdict};

/// What can be entered through a stack at all. Its futures are projections, so that a value that is no manager is one
/// error and not one per use; and not those of [`EnteredInto`], so that what is not known of that is one error, too.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be entered through this stack",
    label = "this stack takes no `{Self}`",
    note = "what is entered must implement `AsyncContextManager`",
    note = "a manager that borrows or is not `Send`, as a generator with a reference among its parameters, is a `ScopedAsyncContextManager`: its exit cannot outlive its block, as that of a stack does; let it own what it uses, or open it in a block of its own"
)]
pub trait Enterable: Sized {
    #[doc(hidden)]
    type Entering<'s>;
    #[doc(hidden)]
    type EnteringOwned<'s>;
}

#[diagnostic::do_not_recommend]
impl<M: AsyncContextManager> Enterable for M {
    type Entering<'s> = Entering<'s, &'s mut M::Resource, M::Error>;
    type EnteringOwned<'s> = Entering<'s, Handle<M, M::Resource>, M::Error>;
}

/// A manager that a stack takes: the `E` of the stack can be its error, and the stack may suppress if it does.
pub trait EnteredInto<E: Debug + Send + 'static, V: ExitVerdict, K>: Enterable {
    #[doc(hidden)]
    fn enter_into(self, stack: &AsyncExitStack<E, V>) -> Self::Entering<'_>;
    #[doc(hidden)]
    fn enter_owned_into(self, stack: &AsyncExitStack<E, V>) -> Self::EnteringOwned<'_>;
}

type Entering<'s, T, X> = Pin<Box<dyn Future<Output = Result<T, X>> + Send + 's>>;

impl<M, E, V, K> EnteredInto<E, V, K> for M
where
    E: Debug + Send + 'static,
    V: ExitVerdict + Takes<M::Exit>,
    M: AsyncContextManager<Error: RaisedAs<E, K>>,
    K: 'static,
{
    fn enter_into(mut self, stack: &AsyncExitStack<E, V>) -> Self::Entering<'_> {
        Box::pin(async move {
            let name = self.name();
            stack.home.pile().expect();
            let (resource, level) = enter_part(name, self.enter()).await?;
            let entered = Entered {
                manager: Attended::new(self),
                resource,
                conversion: PhantomData,
            };
            let (at, entered) = stack.register_at(name, level, entered);
            let attends = entered.manager.attend(&entered.resource);
            stack.attend(at, attends).await;
            Ok(&mut entered.resource)
        })
    }

    fn enter_owned_into(mut self, stack: &AsyncExitStack<E, V>) -> Self::EnteringOwned<'_> {
        Box::pin(async move {
            let name = self.name();
            stack.home.pile().expect();
            let (resource, level) = enter_part(name, self.enter()).await?;
            let content = Shelf::new(Attended::new(self), resource);
            let shelved = Shelved::<M, K> {
                shelf: Arc::clone(&content),
                conversion: PhantomData,
            };
            let pile = stack.home.pile();
            let key = pile.put(Slot::of(name, level, shelved));
            let attends = match &lock(&content).content {
                Content::Here(manager, resource) => Some(manager.attend(resource)),
                _ => None,
            };
            if let Some(attends) = attends {
                stack.attend(key, attends).await;
            }
            let pile: Arc<dyn Leave> = pile;
            Ok(Handle {
                since: Moment::now(),
                shelf: content,
                pile: Arc::downgrade(&pile),
                key,
            })
        })
    }
}

/// Awaits an enter on a level of its own, which then goes on as a part of what it is in.
async fn enter_part<R, X>(
    name: &'static str,
    enter: impl Future<Output = Result<R, X>>,
) -> Result<(R, Option<Level>), X> {
    // Nothing is opened any more in a body that is interrupted (rule CAN-6).
    nest::go_on().await;
    let mut level = None;
    let mut enter = pin!(enter);
    let entered = poll_fn(|cx| {
        let level = level.get_or_insert_with(|| Level::entering(name, cx));
        let _inside = level.enter(Some(cx));
        enter.as_mut().poll(cx)
    });
    let resource = entered.await?;
    if let Some(level) = &level {
        level.join();
    }
    Ok((resource, level))
}

/// Whether a stack takes an exit that returns `X`: one made by [`AsyncExitStack::new`] takes only `()`.
#[diagnostic::on_unimplemented(
    message = "this stack takes no manager that may suppress a failure",
    label = "what is entered here may suppress: its exit returns a `{X}`",
    note = "make the stack with `AsyncExitStack::suppressing()`; its block then is `()` or has an `else`"
)]
pub trait Takes<X> {}
#[diagnostic::do_not_recommend]
impl Takes<()> for () {}
// A second one, so that rustc does not take the first for granted, and says what is wrong in other words.
#[diagnostic::do_not_recommend]
impl Takes<NoError> for () {}
impl<X: ExitVerdict> Takes<X> for Verdict {}

/// An error that a stack whose error is `E` can raise: what `From` converts to `E`, and what is never raised. `K` says
/// which of them, and is inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be raised by a stack whose error is `{E}`",
    label = "enter or exit can fail with `{Self}` here",
    note = "the error of the stack is that of the enclosing function, and must implement `From<{Self}>`; where the function returns no `Result`, it is `NoError`, and no manager of the stack may fail"
)]
pub trait RaisedAs<E, K> {
    #[doc(hidden)]
    fn raised_as(self) -> Option<E>;
}

/// The error of a stack whose managers cannot fail: that of a block in a function that returns no `Result`.
///
/// It is not [`Infallible`], which converts to itself: a manager's `Infallible` could be raised in two ways then.
#[derive(Debug)]
pub enum NoError {}

/// What the closure of an exit may return in a stack whose error is `E`: what [`manage`](crate::manage) takes, with an
/// error that converts.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what an exit of this stack can return",
    label = "an exit returns `()`, `Verdict`, or a `Result` of either",
    note = "the error of the `Result` must convert to that of the enclosing function with `From`"
)]
pub trait CleanUpOf<E>: CleanUp {
    #[doc(hidden)]
    fn decided(self) -> Result<Verdict, E>;
}

impl<E> CleanUpOf<E> for () {
    fn decided(self) -> Result<Verdict, E> {
        Ok(Verdict::Propagate)
    }
}

impl<E> CleanUpOf<E> for Verdict {
    fn decided(self) -> Result<Verdict, E> {
        Ok(self)
    }
}

impl<E: From<X>, V: ExitVerdict, X: Debug + Send + 'static> CleanUpOf<E> for Result<V, X> {
    fn decided(self) -> Result<Verdict, E> {
        Ok(self?.verdict())
    }
}

#[doc(hidden)]
pub struct Converted;
#[doc(hidden)]
pub struct NeverRaised;

#[diagnostic::do_not_recommend]
impl<X, E: From<X>> RaisedAs<E, Converted> for X {
    fn raised_as(self) -> Option<E> {
        Some(self.into())
    }
}

#[diagnostic::do_not_recommend]
impl<E> RaisedAs<E, NeverRaised> for Infallible {
    fn raised_as(self) -> Option<E> {
        match self {}
    }
}

#[diagnostic::do_not_recommend]
impl<E> RaisedAs<E, NeverRaised> for MovedOn {
    fn raised_as(self) -> Option<E> {
        None
    }
}
