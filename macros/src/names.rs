//! The names of what an expansion binds.
//!
//! Hygiene hides them from the user, but not the user's constants from them: a name for which there is one would be a
//! pattern that compares. So they end in a hash of what the user wrote there, which nobody has for a constant.

use std::hash::{DefaultHasher, Hash, Hasher};

use proc_macro2::{Ident, Span, TokenStream, TokenTree};

/// The end of the names in one expansion.
pub(crate) struct Suffix(String);

impl Suffix {
    pub(crate) fn of(tokens: &TokenStream) -> Self {
        let mut hasher = DefaultHasher::new();
        hash(tokens, &mut hasher);
        Self(format!("_{:06x}", hasher.finish() & 0x00ff_ffff))
    }

    pub(crate) fn name(&self, name: &str, span: Span) -> Ident {
        Ident::new(&format!("__{name}{}", self.0), span)
    }
}

/// Hashes tokens by what is written, whatever their places.
fn hash(tokens: &TokenStream, hasher: &mut DefaultHasher) {
    for token in tokens.clone() {
        match token {
            TokenTree::Group(group) => hash(&group.stream(), hasher),
            TokenTree::Ident(word) => word.to_string().hash(hasher),
            TokenTree::Punct(punct) => punct.as_char().hash(hasher),
            TokenTree::Literal(literal) => literal.to_string().hash(hasher),
        }
    }
}
