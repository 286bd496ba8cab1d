//! The macros of `async-with`. Depend on that crate instead of this one: it documents them, and holds what their
//! expansions call.
//!
//! [`block_inner`] is what `async_with::async_with!` expands to; the detour through a `macro_rules` macro brings the
//! path of the runtime crate along, under whatever name a dependent knows it.

mod attribute;
mod body;
mod errors;
mod expand;
mod generator;
mod names;
mod parse;
mod place;
#[cfg(test)]
mod snapshots;
#[cfg(test)]
mod soup;
mod sugar;
#[cfg(test)]
mod tests;
mod yields;

use proc_macro::TokenStream;
use syn::Item;

/// The inside of `async_with!`: the path of the runtime crate, then what the user wrote.
#[doc(hidden)]
#[proc_macro]
pub fn block_inner(input: TokenStream) -> TokenStream {
    expand::block(input.into()).into()
}

/// The inside of a generator: the path of the runtime crate and the word `unsafe`, then what the attribute has left.
#[doc(hidden)]
#[proc_macro]
pub fn generator_inner(input: TokenStream) -> TokenStream {
    yields::expand(input.into()).into()
}

// Documented where it is re-exported, because the examples need the runtime crate.
#[allow(missing_docs)]
#[proc_macro_attribute]
pub fn async_with(arguments: TokenStream, item: TokenStream) -> TokenStream {
    attribute::expand(arguments.into(), item.into()).into()
}

// Documented where it is re-exported.
#[allow(missing_docs)]
#[proc_macro_attribute]
pub fn async_context_manager(arguments: TokenStream, item: TokenStream) -> TokenStream {
    match syn::parse(item) {
        Ok(Item::Fn(function)) => generator::expand(arguments.into(), function),
        Ok(item) => sugar::expand(arguments.into(), item),
        Err(error) => error.to_compile_error(),
    }
    .into()
}
