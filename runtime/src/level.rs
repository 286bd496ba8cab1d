//! The steps of a level that depend on the kind of its manager: enter, lend, conclude.
//!
//! The expansion calls each by the path of its trait, and hands in the path of the scoped protocol's method. So no method
//! of the user's can take its place, and `Send` is decided where it can be (rule TYP-1): when rustc looks for it in a
//! future, it has forgotten which lifetimes are the same and which are `'static`, and a projection on the manager, such as
//! `M::Resource` or the future of `M::enter`, is then asked for all of them and fails. So in what a block holds across an
//! await, no field and no hidden type is one:
//!
//! - Resource, error and exit are parameters, which are known where the block is written.
//! - A manager that survives declares its futures `Send`: they hide behind an `impl Future + Send`, which is proven here,
//!   once and for all managers. The path that was handed in is not used.
//! - Whether a scoped manager's are `Send` depends on it: the path makes them where the block is written, as by hand.

#![allow(missing_docs, clippy::type_complexity)]

use std::convert::Infallible;
use std::fmt::Debug;
use std::future::Future;
use std::ops::DerefMut;

use crate::expansion::{Conclude, Settling};
use crate::generator::{Generated, SendBody, Yielded};
use crate::manager::{Exiting, InFrame, Lending, Lends, Managed, Surviving, in_frame_exit};
use crate::nest::Level;
use crate::scope::{Interrupt, Parts, Scope};
use crate::stack::{AsyncExitStack, StackError, Stacked};
use crate::{AsyncContextManager, Cause, ExitVerdict, Interruption, ScopedAsyncContextManager};

/// Enters the manager of a scope.
pub trait EnterBy<G> {
    type Error;

    fn enter(self, enter: G) -> impl Future<Output = Result<(), Self::Error>>;
}

/// Lends the resource to the body, and the rest of the scope to the driver.
pub trait LendBy<'a, G> {
    type Kind: Managed<Error = Self::Error, Lent = Self::Lent>;
    type Error;
    type Lent: 'a;

    fn lend(
        self,
        interrupt: G,
    ) -> (
        &'a mut Self::Lent,
        Parts<'a, Self::Kind>,
        Interrupt<impl Interruption<Self::Error>>,
    );
}

/// Makes the future of the exit of what [`settle`](crate::expansion::settle) has settled.
pub trait ConcludeBy<G> {
    type Exit: ExitVerdict;
    type Error: Debug;
    type Left;
    type Value;
    type Carried;

    fn conclude(
        self,
        exit: G,
    ) -> Conclude<
        impl Exiting<Self::Exit, Self::Error>,
        Self::Exit,
        Self::Error,
        Self::Left,
        Self::Value,
        Self::Carried,
    >;
}

/// Stands for the scoped manager of a path that is not used.
pub enum NoManager {}

impl ScopedAsyncContextManager for NoManager {
    type Resource = ();
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<(), Infallible> {
        match *self {}
    }

    async fn exit(self, (): (), _: Cause) -> Result<(), Infallible> {
        match self {}
    }
}

/// The steps of a kind whose futures are declared `Send`.
macro_rules! surviving {
    ($(<$($param:ident),*> $Kind:ty {
        resource $R:ty, lends $Lent:ty, fails with $E:ty, exits with $V:ty
    } where { $($where:tt)* })*) => {$(
        #[allow(refining_impl_trait)]
        impl<'a, $($param,)* G, F> EnterBy<G> for &'a mut Scope<$Kind, $R>
        where
            G: FnOnce(&'a mut NoManager) -> F,
            $($where)*
        {
            type Error = $E;

            fn enter(self, _: G) -> impl Future<Output = Result<(), $E>> + Send {
                self.enter_by(|kind| kind.enter())
            }
        }

        #[allow(refining_impl_trait)]
        impl<'a, $($param,)* G, F> LendBy<'a, G> for &'a mut Scope<$Kind, $R>
        where
            G: FnOnce(&NoManager, &()) -> F,
            $($where)*
        {
            type Kind = $Kind;
            type Error = $E;
            type Lent = $Lent;

            fn lend(
                self,
                _: G,
            ) -> (
                &'a mut $Lent,
                Parts<'a, $Kind>,
                Interrupt<impl Interruption<$E> + Send>,
            ) {
                self.lend_by(|kind, resource| kind.interrupt(resource))
            }
        }

        #[allow(refining_impl_trait)]
        impl<$($param,)* Ret, Val, Car, G, F> ConcludeBy<G>
            for Settling<$Kind, $R, $E, Ret, Val, Car>
        where
            G: FnOnce(NoManager, (), Cause) -> F,
            $($where)*
        {
            type Exit = $V;
            type Error = $E;
            type Left = Ret;
            type Value = Val;
            type Carried = Car;

            fn conclude(
                self,
                _: G,
            ) -> Conclude<impl Exiting<$V, $E> + Send, $V, $E, Ret, Val, Car> {
                self.conclude_by(|kind, resource, cause, level: Level| {
                    kind.exit(resource, cause, level.take_children(), Some(level))
                })
            }
        }
    )*};
}

surviving! {
    <M, R, E, V> Surviving<M> {
        resource R, lends R, fails with E, exits with V
    } where {
        M: AsyncContextManager<Resource = R, Error = E, Exit = V>,
        R: Send + 'static,
        E: Debug + Send + 'static,
        V: ExitVerdict,
    }
    <R, E, V> Lending<Surviving<Generated<R, E, V>>> {
        resource Yielded<SendBody<V, E>, R, E>, lends R, fails with E, exits with V
    } where {
        R: Send + 'static,
        E: Debug + Send + 'static,
        V: ExitVerdict,
    }
    <E, V> Stacked<E, V> {
        resource AsyncExitStack<E, V>, lends AsyncExitStack<E, V>,
        fails with StackError<E>, exits with V
    } where {
        E: Debug + Send + 'static,
        V: ExitVerdict,
    }
}

/// The steps of a kind whose futures come from where the block is written.
macro_rules! in_frame {
    ($($Kind:ty, $kind:ident => $manager:expr, lends $Lent:ty where { $($where:tt)* })*) => {$(
        impl<'a, M, R, E, V, G, F> EnterBy<G> for &'a mut Scope<$Kind, R>
        where
            M: ScopedAsyncContextManager<Resource = R, Error = E, Exit = V> + 'a,
            R: 'a,
            G: FnOnce(&'a mut M) -> F,
            F: Future<Output = Result<R, E>>,
            $($where)*
        {
            type Error = E;

            fn enter(self, enter: G) -> impl Future<Output = Result<(), E>> {
                self.enter_by(move |$kind: &'a mut $Kind| enter(&mut $manager))
            }
        }

        impl<'a, M, R, E, V, G, I> LendBy<'a, G> for &'a mut Scope<$Kind, R>
        where
            M: ScopedAsyncContextManager<Resource = R, Error = E, Exit = V> + 'a,
            R: 'a,
            E: Debug + 'static,
            G: FnOnce(&M, &R) -> I,
            I: Interruption<E>,
            $($where)*
        {
            type Kind = $Kind;
            type Error = E;
            type Lent = $Lent;

            fn lend(
                self,
                interrupt: G,
            ) -> (
                &'a mut $Lent,
                Parts<'a, $Kind>,
                Interrupt<impl Interruption<E>>,
            ) {
                self.lend_by(|$kind, resource| interrupt(&$manager, resource))
            }
        }

        impl<M, R, E, V, Ret, Val, Car, G, F> ConcludeBy<G>
            for Settling<$Kind, R, E, Ret, Val, Car>
        where
            M: ScopedAsyncContextManager<Resource = R, Error = E, Exit = V>,
            E: Debug + 'static,
            V: ExitVerdict,
            G: FnOnce(M, R, Cause) -> F,
            F: Future<Output = Result<V, E>>,
            $($where)*
        {
            type Exit = V;
            type Error = E;
            type Left = Ret;
            type Value = Val;
            type Carried = Car;

            fn conclude(self, exit: G) -> Conclude<impl Exiting<V, E>, V, E, Ret, Val, Car> {
                self.conclude_by(|kind, resource, cause, level: Level| {
                    let exit = |$kind: $Kind, resource, cause| exit($manager, resource, cause);
                    let children = level.take_children();
                    in_frame_exit(kind, resource, cause, children, Some(level), exit)
                })
            }
        }
    )*};
}

in_frame! {
    InFrame<M>, kind => kind.0, lends R where {}
    Lending<InFrame<M>>, kind => kind.0.0, lends R::Target where {
        InFrame<M>: Lends + Managed<Resource = R, Error = E, Exit = V>,
        R: DerefMut<Target: Sized>,
    }
}
