//! Futures made of what [`interrupt`](crate::AsyncContextManager::interrupt) returned.

use std::any::type_name;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

pin_project! {
    /// An interruption whose error is converted.
    pub(crate) struct Converted<I, F> {
        #[pin]
        pub(crate) interrupt: I,
        pub(crate) convert: F,
    }
}

impl<I: Future, E, F: Fn(I::Output) -> E> Future for Converted<I, F> {
    type Output = E;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<E> {
        let this = self.project();
        this.interrupt.poll(cx).map(&*this.convert)
    }
}

pin_project! {
    /// An interruption by a manager that may not be there.
    pub(crate) struct IfThere<I> {
        #[pin]
        pub(crate) interrupt: Option<I>,
    }
}

impl<I: Future> Future for IfThere<I> {
    type Output = I::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<I::Output> {
        match self.project().interrupt.as_pin_mut() {
            Some(interrupt) => interrupt.poll(cx),
            None => Poll::Pending,
        }
    }
}

/// Whether an interruption never fires: what `interrupt` returns by default does not, nor does what the adaptors make
/// of it. They are known by their names only. Should these change, blocks cost more, and that is all.
pub(crate) fn never_fires<I>() -> bool {
    const WRAPPERS: [&str; 2] = [
        concat!(module_path!(), "::Converted<"),
        concat!(module_path!(), "::IfThere<"),
    ];
    let mut name = type_name::<I>();
    loop {
        if name.starts_with("core::future::pending::Pending<") {
            return true;
        }
        let inner = WRAPPERS
            .iter()
            .find_map(|wrapper| name.strip_prefix(wrapper));
        match inner {
            Some(inner) => name = inner,
            None => return false,
        }
    }
}
