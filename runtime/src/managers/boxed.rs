//! Managers whose type is hidden.

use std::convert::Infallible;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

use crate::adaptors::adaptor;
use crate::interruption::{IfThere, fires};
use crate::{
    AsyncContextManager, Cause, ExitVerdict, Interruption, Raised, ScopedAsyncContextManager,
};

/// A manager whose type is hidden: what [`boxed`](crate::AsyncContextManagerExt::boxed) makes.
///
/// Named by its resource, its error and whether it may suppress, it can be stored and returned where the type of the
/// manager cannot be written. It keeps every rule that the manager keeps. The futures of its enter, its exit and its
/// interruption are boxed.
pub struct BoxManager<R, E = Infallible, V = ()>(Box<dyn Dynamic<'static, R, E, V>>);

/// A manager that may borrow, and whose type is hidden: what [`boxed`](crate::ScopedAsyncContextManagerExt::boxed)
/// makes of one. See [`BoxManager`].
pub struct ScopedBoxManager<'a, R, E = Infallible, V = ()>(
    Box<dyn ScopedDynamic<'a, R, E, V> + 'a>,
);

/// What a manager holds while a body is polled.
trait Guard {}
impl<T> Guard for T {}

/// A protocol trait, with its types turned into parameters and its futures and guards boxed.
macro_rules! dynamic {
    (
        $Dynamic:ident of $Protocol:ident for $Boxed:ident<$($lifetime:lifetime,)? R, E, V>;
        traits [$($send:tt)*];
        futures [$($bound:tt)*];
        resources [$($resource:tt)*];
        $(and $abandon:ident)?
    ) => {
        trait $Dynamic<'a, R, E, V> $($send)* {
            fn enter<'s>(
                &'s mut self,
            ) -> Pin<Box<dyn Future<Output = Result<R, E>> $($bound)* + 's>>
            where
                'a: 's;
            fn exit(
                self: Box<Self>,
                resource: R,
                cause: Cause,
            ) -> Pin<Box<dyn Future<Output = Result<V, E>> $($bound)* + 'a>>;
            $(fn $abandon(self: Box<Self>, resource: R);)?
            fn inspect(&mut self, resource: &mut R, raised: Raised<'_>);
            fn interrupt(
                &self,
                resource: &R,
            ) -> Option<Pin<Box<dyn Future<Output = E> $($bound)* + 'a>>>;
            fn around_poll<'s>(&'s self) -> Box<dyn Guard + 's>
            where
                'a: 's;
            fn name(&self) -> &'static str;
        }

        impl<'a, M: $Protocol + 'a> $Dynamic<'a, M::Resource, M::Error, M::Exit> for M {
            fn enter<'s>(
                &'s mut self,
            ) -> Pin<Box<dyn Future<Output = Result<M::Resource, M::Error>> $($bound)* + 's>>
            where
                'a: 's,
            {
                Box::pin($Protocol::enter(self))
            }

            fn exit(
                self: Box<Self>,
                resource: M::Resource,
                cause: Cause,
            ) -> Pin<Box<dyn Future<Output = Result<M::Exit, M::Error>> $($bound)* + 'a>> {
                Box::pin($Protocol::exit(*self, resource, cause))
            }

            $(fn $abandon(self: Box<Self>, resource: M::Resource) {
                $Protocol::$abandon(*self, resource);
            })?

            fn inspect(&mut self, resource: &mut M::Resource, raised: Raised<'_>) {
                $Protocol::inspect(self, resource, raised);
            }

            fn interrupt(
                &self,
                resource: &M::Resource,
            ) -> Option<Pin<Box<dyn Future<Output = M::Error> $($bound)* + 'a>>> {
                let interrupt = $Protocol::interrupt(self, resource);
                (!interrupt.is_never()).then(|| Box::pin(fires(interrupt)) as _)
            }

            fn around_poll<'s>(&'s self) -> Box<dyn Guard + 's>
            where
                'a: 's,
            {
                Box::new($Protocol::around_poll(self))
            }

            fn name(&self) -> &'static str {
                $Protocol::name(self)
            }
        }

        impl<$($lifetime,)? R, E, V: ExitVerdict> $Protocol for $Boxed<$($lifetime,)? R, E, V>
        where
            $($resource)*
            E: Debug $($bound)* + 'static,
        {
            type Resource = R;
            type Error = E;
            type Exit = V;

            async fn enter(&mut self) -> Result<R, E> {
                self.0.enter().await
            }

            async fn exit(self, resource: R, cause: Cause) -> Result<V, E> {
                self.0.exit(resource, cause).await
            }

            $(fn $abandon(self, resource: R) {
                self.0.$abandon(resource);
            })?

            fn inspect(&mut self, resource: &mut R, raised: Raised<'_>) {
                self.0.inspect(resource, raised);
            }

            fn interrupt(
                &self,
                resource: &R,
            ) -> impl Interruption<E> $($bound)* + use<$($lifetime,)? R, E, V> {
                IfThere {
                    interrupt: self.0.interrupt(resource),
                }
            }

            fn around_poll(&self) -> impl Sized {
                self.0.around_poll()
            }

            fn name(&self) -> &'static str {
                self.0.name()
            }
        }
    };
}

dynamic! {
    Dynamic of AsyncContextManager for BoxManager<R, E, V>;
    traits [: Send];
    futures [+ Send];
    resources [R: Send + 'static,];
}

dynamic! {
    ScopedDynamic of ScopedAsyncContextManager for ScopedBoxManager<'a, R, E, V>;
    traits [];
    futures [];
    resources [];
    and abandon
}

impl<R, E, V> BoxManager<R, E, V> {
    pub(crate) fn new<M>(manager: M) -> Self
    where
        M: AsyncContextManager<Resource = R, Error = E, Exit = V>,
    {
        Self(Box::new(manager))
    }
}

impl<'a, R, E, V> ScopedBoxManager<'a, R, E, V> {
    pub(crate) fn new<M>(manager: M) -> Self
    where
        M: ScopedAsyncContextManager<Resource = R, Error = E, Exit = V> + 'a,
    {
        Self(Box::new(manager))
    }
}

adaptor! {
    impl<M> for Box<M> {
        forward Resource, Error, Exit;

        async fn enter(&mut self) -> Result<M::Resource, M::Error> {
            (**self).enter().await
        }

        async fn exit(self, resource: M::Resource, cause: Cause) -> Result<M::Exit, M::Error> {
            (*self).exit(resource, cause).await
        }

        fn inspect(&mut self, resource: &mut M::Resource, raised: Raised<'_>) {
            (**self).inspect(resource, raised);
        }

        fn interrupt(&self, resource: &M::Resource) -> impl Interruption<M::Error> + use<M> {
            (**self).interrupt(resource)
        }

        fn around_poll(&self) -> impl Sized {
            (**self).around_poll()
        }

        fn name(&self) -> &'static str {
            (**self).name()
        }
    }
    scoped {
        fn abandon(self, resource: M::Resource) {
            (*self).abandon(resource);
        }
    }
}
