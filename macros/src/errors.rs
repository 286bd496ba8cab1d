//! Errors: collected, so that one compilation shows them all, and written as problem and remedy.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::Error;

/// What is wrong with one input.
#[derive(Default)]
pub(crate) struct Errors(Option<Error>);

impl Errors {
    /// Adds an error at a place.
    pub(crate) fn at(&mut self, span: Span, message: impl std::fmt::Display) {
        self.push(Error::new(span, message));
    }

    /// Adds an error that underlines all of some tokens.
    pub(crate) fn on(&mut self, tokens: &impl ToTokens, message: impl std::fmt::Display) {
        self.push(Error::new_spanned(tokens, message));
    }

    pub(crate) fn push(&mut self, error: Error) {
        match &mut self.0 {
            Some(errors) => errors.combine(error),
            None => self.0 = Some(error),
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.0.iter().flatten().count()
    }

    /// The errors, if there are any.
    pub(crate) fn check(self) -> Result<(), Error> {
        self.0.map_or(Ok(()), Err)
    }
}

/// The errors as an expression.
pub(crate) fn as_expression(error: &Error) -> TokenStream {
    let errors = error.to_compile_error();
    quote!({ #errors })
}
