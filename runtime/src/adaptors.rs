//! What changes how a manager behaves, and leaves the rest of it as it is.

mod ext;
mod finish_enter;
mod give_up;
mod hooks;
mod map;
mod map_err;
mod named;
#[cfg(feature = "tokio")]
mod within;

pub use ext::{AsyncContextManagerExt, ScopedAsyncContextManagerExt};
pub use finish_enter::FinishEnter;
pub use hooks::{OnEnter, OnExit};
pub use map::Map;
pub use map_err::MapErr;
pub use named::Named;
#[cfg(feature = "tokio")]
pub use within::{EnterWithin, OrElapsed};

/// Implements both kinds of manager for an adaptor, each where the manager `M` inside is of that kind.
///
/// The items that are listed are handed on to the field `manager`; the others are written out, once for both kinds. So
/// is `abandon`, which only a scoped manager has, unless it is written out behind `scoped`. Where the exit survives,
/// the parameters are `Send + 'static` besides. `Kind` is the wrapper of the kind, which implements
/// [`Managed`](crate::manager::Managed); `M or N` is for two managers with the same resource and error.
macro_rules! adaptor {
    (
        impl<M $(($($resource:tt)*))? $(or $other:ident)? $(, $param:ident $([$($bound:tt)*])?)*> for $adaptor:ty {
            forward $($item:ident),*;
            $($own:tt)*
        }
        $(scoped { $($abandon:tt)* })?
    ) => {
        const _: () = {
            #[allow(unused_imports)]
            use crate::manager::Surviving as Kind;

            impl<M $(, $other)? $(, $param)*> crate::AsyncContextManager for $adaptor
            where
                M: crate::AsyncContextManager $(<$($resource)*>)?,
                $($other: crate::AsyncContextManager<Resource = M::Resource, Error = M::Error>,)?
                $($param: Send + 'static $(+ $($bound)*)?,)*
            {
                $crate::adaptors::forward! { (M $(, $other)? $(, $param)*) [+ Send] $($item)* }
                $($own)*
            }
        };

        const _: () = {
            #[allow(unused_imports)]
            use crate::manager::InFrame as Kind;

            impl<M $(, $other)? $(, $param)*> crate::ScopedAsyncContextManager for $adaptor
            where
                M: crate::ScopedAsyncContextManager $(<$($resource)*>)?,
                $($other: crate::ScopedAsyncContextManager<Resource = M::Resource, Error = M::Error>,)?
                $($($param: $($bound)*,)?)*
            {
                $crate::adaptors::forward! { (M $(, $other)? $(, $param)*) [] $($item)* }
                $crate::adaptors::forward! { abandon { $($($abandon)*)? } }
                $($own)*
            }
        };
    };
}
pub(crate) use adaptor;

/// Hands items of a manager on to its field `manager`.
macro_rules! forward {
    (abandon {}) => {
        fn abandon(self, resource: M::Resource) {
            self.manager.abandon(resource);
        }
    };
    (abandon { $($own:tt)+ }) => {
        $($own)+
    };
    ($generics:tt $send:tt) => {};
    ($generics:tt $send:tt $item:ident $($rest:ident)+) => {
        $crate::adaptors::forward! { $generics $send $item }
        $crate::adaptors::forward! { $generics $send $($rest)+ }
    };
    ($generics:tt $send:tt Resource) => {
        type Resource = M::Resource;
    };
    ($generics:tt $send:tt Error) => {
        type Error = M::Error;
    };
    ($generics:tt $send:tt Exit) => {
        type Exit = M::Exit;
    };
    ($generics:tt [$($send:tt)*] enter) => {
        fn enter(
            &mut self,
        ) -> impl std::future::Future<Output = Result<M::Resource, M::Error>> $($send)* {
            self.manager.enter()
        }
    };
    ($generics:tt [$($send:tt)*] exit) => {
        fn exit(
            self,
            resource: M::Resource,
            cause: crate::Cause,
        ) -> impl std::future::Future<Output = Result<M::Exit, M::Error>> $($send)* {
            self.manager.exit(resource, cause)
        }
    };
    ($generics:tt $send:tt inspect) => {
        fn inspect(&mut self, resource: &mut M::Resource, raised: crate::Raised<'_>) {
            self.manager.inspect(resource, raised);
        }
    };
    (($($generic:ident),*) [$($send:tt)*] interrupt) => {
        fn interrupt(
            &self,
            resource: &M::Resource,
        ) -> impl crate::Interruption<M::Error> $($send)* + use<$($generic),*> {
            self.manager.interrupt(resource)
        }
    };
    ($generics:tt $send:tt around_poll) => {
        fn around_poll(&self) -> impl Sized {
            self.manager.around_poll()
        }
    };
    ($generics:tt $send:tt name) => {
        fn name(&self) -> &'static str {
            self.manager.name()
        }
    };
}
pub(crate) use forward;
