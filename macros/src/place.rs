//! Where the tokens of an expansion lie.
//!
//! rustc points in its messages to where a token lies. rust-analyzer asks the other way round what a word in the file
//! is, and takes it for every token of an expansion whose place contains that word. So no identifier and no keyword of
//! an expansion lies on a word of the user's, but at its start or end, with no length. To rustc, a path lies on a word
//! all the same if its ends lie at those of the word, and a name does if its parentheses lie on the word.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;

/// The start of a place, with no length.
pub(crate) fn start(place: Span) -> Span {
    empty(place, proc_macro::Span::start)
}

/// The end of a place, with no length.
pub(crate) fn end(place: Span) -> Span {
    empty(place, proc_macro::Span::end)
}

fn empty(place: Span, side: fn(&proc_macro::Span) -> proc_macro::Span) -> Span {
    // There is no such thing in the tests of this crate.
    if proc_macro::is_available() {
        side(&place.unwrap()).into()
    } else {
        place
    }
}

/// A keyword or a method: it cannot lie on a word of the user's, to rustc either.
pub(crate) fn word(name: &str, place: Span) -> Ident {
    Ident::new(name, start(place))
}

/// A keyword or a method at what the user wrote: on it, if it begins with no word.
pub(crate) fn word_at(name: &str, place: Span, written: &TokenStream) -> Ident {
    match written.clone().into_iter().next() {
        Some(TokenTree::Punct(_) | TokenTree::Literal(_)) => Ident::new(name, place),
        _ => word(name, place),
    }
}

/// An expression that is one name.
pub(crate) fn name(name: &Ident, place: Span) -> TokenStream {
    let mut name = name.clone();
    name.set_span(start(place));
    let mut group = Group::new(Delimiter::Parenthesis, name.into_token_stream());
    group.set_span(place);
    TokenTree::Group(group).into()
}
