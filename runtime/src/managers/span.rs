//! A `tracing` span around a block.

use std::convert::Infallible;

use tracing::Span;

use crate::{AsyncContextManager, Cause};

/// Runs the block in a span: it is entered around every poll of the body, and around its drop (rule EXI-6).
///
/// Enters and exits of the managers further in run in it too, also when they are detached (rule CAN-9); those further out
/// do not. It is what a guard from [`Span::enter`] must not be used for, because that one would be held across the
/// `.await`s. The resource is the span.
///
/// ```
/// use async_with::{async_with, in_span};
/// use tracing::{Span, field, info_span};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # let _subscriber = tracing::subscriber::set_default(tracing_subscriber::registry());
/// let span = info_span!("transfer", amount = 5, balance = field::Empty);
/// async_with! { in_span(span.clone()) as span => {
///     span.record("balance", 37);
///     tokio::task::yield_now().await;
///     assert_eq!(Span::current(), *span);
/// }}
/// assert!(Span::current().is_none());
/// # }
/// ```
///
/// # Cancel safety
///
/// It owes nothing: dropped anywhere, the span is left.
#[must_use = "a manager does nothing unless it is entered"]
pub fn in_span(span: Span) -> InSpan {
    InSpan(span)
}

/// The manager of [`in_span`].
pub struct InSpan(Span);

impl AsyncContextManager for InSpan {
    type Resource = Span;
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<Span, Infallible> {
        Ok(self.0.clone())
    }

    async fn exit(self, _: Span, _: Cause) -> Result<(), Infallible> {
        Ok(())
    }

    fn around_poll(&self) -> impl Sized {
        self.0.enter()
    }
}
