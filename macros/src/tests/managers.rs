//! The attribute `#[async_context_manager]`: which manager it makes of a function, and how it reads the signatures of an
//! `impl`.

use expect_test::{Expect, expect};
use quote::quote;
use syn::{File, Item, ItemFn, Stmt};

/// A generator's signature, and what makes the manager.
fn kinds(functions: &Expect) {
    super::check(functions, |input| {
        let text = format!("#[async_context_manager{}", input.strip_prefix("#[").unwrap_or("]"));
        let text = if input.starts_with("#[") { text } else { text + input };
        let text = text.replace("..", "yield_!();");
        let function: ItemFn = syn::parse2(super::expand(&text)).unwrap_or_else(|error| panic!("{error}: {text}"));
        let (scoped, text) = (super::line(&function), super::line(&function));
        let kind = if text.contains("::scoped(") { "scoped" } else { "surviving" };
        let exit = if text.contains("::async_with::Verdict") { "Verdict" } else { "()" };
        assert!(scoped.contains("Generated"));
        super::below(input, [format!("{kind}, {exit}")])
    });
}
