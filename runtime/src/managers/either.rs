//! One of several managers, or none.

use crate::adaptors::adaptor;
use crate::interruption::{IfThere, OneOf};
use crate::{Cause, ExitVerdict, Interruption, Raised, Verdict};

/// One of two managers that have the same resource and fail with the same error.
///
/// Both are of the same kind. It may suppress when one of the two may. Named after the type of the `either` and
/// `futures` crates.
///
/// ```
/// use async_with::{Either, cancellable, nullcontext, prelude::*};
/// use tokio_util::sync::CancellationToken;
///
/// /// With a token, it can be cancelled.
/// async fn serve(token: Option<CancellationToken>) -> Result<u32, async_with::Cancelled> {
///     let manager = match token {
///         Some(token) => Either::Left(cancellable(token)),
///         None => Either::Right(nullcontext(CancellationToken::new()).map_err(|never| match never {})),
///     };
///     async_with! { manager as token => {
///         token.run_until_cancelled(async { 7 }).await.unwrap_or_default();
///         Ok(7)
///     }}
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// assert_eq!(serve(None).await, Ok(7));
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Either<A, B> {
    /// The one.
    Left(A),
    /// The other.
    Right(B),
}

/// Does the same with either.
macro_rules! either {
    ($either:expr, $manager:ident => $result:expr) => {
        match $either {
            Either::Left($manager) => $result,
            Either::Right($manager) => $result,
        }
    };
}

adaptor! {
    impl<M or N> for Either<M, N> {
        forward Resource, Error;

        type Exit = <M::Exit as ExitVerdict>::Or<N::Exit>;

        async fn enter(&mut self) -> Result<M::Resource, M::Error> {
            either!(self, manager => manager.enter().await)
        }

        async fn exit(self, resource: M::Resource, cause: Cause) -> Result<Self::Exit, M::Error> {
            let verdict = either!(self, manager => manager.exit(resource, cause).await?.verdict());
            Ok(Self::Exit::from_verdict(verdict))
        }

        fn inspect(&mut self, resource: &mut M::Resource, raised: Raised<'_>) {
            either!(self, manager => manager.inspect(resource, raised));
        }

        fn interrupt(&self, resource: &M::Resource) -> impl Interruption<M::Error> + use<M, N> {
            match self {
                Either::Left(manager) => OneOf::First { interrupt: manager.interrupt(resource) },
                Either::Right(manager) => OneOf::Second { interrupt: manager.interrupt(resource) },
            }
        }

        fn around_poll(&self) -> impl Sized {
            match self {
                Either::Left(manager) => Either::Left(manager.around_poll()),
                Either::Right(manager) => Either::Right(manager.around_poll()),
            }
        }

        fn name(&self) -> &'static str {
            either!(self, manager => manager.name())
        }
    }
    scoped {
        fn abandon(self, resource: M::Resource) {
            either!(self, manager => manager.abandon(resource));
        }
    }
}

adaptor! {
    impl<M> for Option<M> {
        forward Error, Exit;

        type Resource = Option<M::Resource>;

        async fn enter(&mut self) -> Result<Option<M::Resource>, M::Error> {
            match self {
                Some(manager) => manager.enter().await.map(Some),
                None => Ok(None),
            }
        }

        async fn exit(self, resource: Option<M::Resource>, cause: Cause) -> Result<M::Exit, M::Error> {
            match (self, resource) {
                (Some(manager), Some(resource)) => manager.exit(resource, cause).await,
                _ => Ok(M::Exit::from_verdict(Verdict::Propagate)),
            }
        }

        fn inspect(&mut self, resource: &mut Option<M::Resource>, raised: Raised<'_>) {
            if let (Some(manager), Some(resource)) = (self, resource) {
                manager.inspect(resource, raised);
            }
        }

        fn interrupt(&self, resource: &Option<M::Resource>) -> impl Interruption<M::Error> + use<M> {
            let there = self.as_ref().zip(resource.as_ref());
            IfThere {
                interrupt: there.map(|(manager, resource)| manager.interrupt(resource)),
            }
        }

        fn around_poll(&self) -> impl Sized {
            self.as_ref().map(M::around_poll)
        }

        fn name(&self) -> &'static str {
            self.as_ref().map_or_else(std::any::type_name::<Self>, M::name)
        }
    }
    scoped {
        fn abandon(self, resource: Option<M::Resource>) {
            if let (Some(manager), Some(resource)) = (self, resource) {
                manager.abandon(resource);
            }
        }
    }
}
