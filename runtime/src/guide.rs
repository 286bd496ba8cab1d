//! Longer texts, whose examples are compiled and run as tests.
//!
//! - [Coming from Python](coming_from_python): which name of Python's is which name here, and what differs.
//! - [Writing a manager](writing_a_manager): by hand, with the types inferred, or as one function, and what to test.
//! - [A dynamic number of resources](a_dynamic_number_of_resources): `AsyncExitStack`, and its pitfalls.

#[doc = include_str!("../docs/coming_from_python.md")]
///
/// ---
///
/// What this page names: [`async_with!`](crate::async_with!), [`async_context_manager`](macro@crate::async_context_manager),
/// [`yield_!`](crate::yield_!), [`AsyncContextManager`](crate::AsyncContextManager), [`AsyncClose`](crate::AsyncClose),
/// [`AsyncExitStack`](crate::AsyncExitStack), [`Cause`](crate::Cause), [`Verdict`](crate::Verdict),
/// [`Either`](crate::Either), [`closing`](crate::closing()), [`nullcontext`](crate::nullcontext()),
/// [`suppress`](crate::suppress()), [`suppress_if`](crate::suppress_if()), [`callback`](crate::callback()),
/// [`manage`](crate::manage()), [`drain`](crate::drain()), [`report`](crate::report).
#[cfg_attr(
    feature = "tokio",
    doc = "With the feature `tokio`: [`timeout`](crate::timeout()), [`timeout_at`](crate::timeout_at()), \
           [`Deadline`](crate::Deadline), [`Elapsed`](crate::Elapsed), [`move_on_after`](crate::move_on_after()), \
           [`cancellable`](crate::cancellable()), [`try_task_group`](crate::try_task_group()), \
           [`task_group`](crate::task_group()), [`permits`](crate::permits()), [`reading`](crate::reading())."
)]
pub mod coming_from_python {}

#[doc = include_str!("../docs/writing_a_manager.md")]
#[cfg_attr(feature = "testing", doc = include_str!("../docs/testing_a_manager.md"))]
///
/// ---
///
/// What this page names: [`AsyncContextManager`](crate::AsyncContextManager),
/// [`ScopedAsyncContextManager`](crate::ScopedAsyncContextManager),
/// [`async_context_manager`](macro@crate::async_context_manager), [`yield_!`](crate::yield_!), [`Cause`](crate::Cause),
/// [`Raised`](crate::Raised), [`Verdict`](crate::Verdict), [`manage`](crate::manage()),
/// [`callback`](crate::callback()), [`detach`](crate::detach()), [`drain`](crate::drain()),
/// [`AsyncContextManagerExt`](crate::AsyncContextManagerExt) with its adaptors, [`Outcome`](crate::Outcome).
pub mod writing_a_manager {}

#[doc = include_str!("../docs/a_dynamic_number_of_resources.md")]
///
/// ---
///
/// What this page names: [`AsyncExitStack`](crate::AsyncExitStack), [`Handle`](crate::Handle),
/// [`Registrar`](crate::Registrar), [`Closed`](crate::Closed), [`StackManager`](crate::StackManager),
/// [`Cause`](crate::Cause), [`Verdict`](crate::Verdict).
pub mod a_dynamic_number_of_resources {}
