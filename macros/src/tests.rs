//! Tables of what goes into the macros, and what comes of it.
//!
//! An entry is what somebody writes, with what the macros make of it below. `UPDATE_EXPECT=1` writes the second part, so
//! that a new case is a few lines of input with an empty line around them. Whole expansions are in `snapshots`.

// They are written by `expect-test`.
#![allow(clippy::needless_raw_string_hashes)]

mod attribute;
mod items;
mod jumps;
mod managers;
mod mistakes;
mod places;

use std::ops::Range;
use std::str::FromStr;

use expect_test::Expect;
use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{File, Item};

/// Compares the entries of a table with what `answer` writes below their input, beginning with `->` or `^`.
fn check(table: &Expect, mut answer: impl FnMut(&str) -> String) {
    let is_answer = |line: &str| line.starts_with("->") || line.trim_start().starts_with('^');
    let inputs = dedent(table.data());
    let entries = inputs.split("\n\n").map(|entry| {
        let input: Vec<&str> = entry.lines().filter(|line| !is_answer(line)).collect();
        answer(&input.join("\n"))
    });
    table.assert_eq(&(entries.collect::<Vec<_>>().join("\n\n") + "\n"));
}

/// The input with lines of an answer below.
fn below(input: &str, lines: impl IntoIterator<Item = String>) -> String {
    let lines = lines.into_iter().map(|line| format!("\n-> {line}"));
    input.to_owned() + &lines.collect::<String>()
}

fn dedent(text: &str) -> String {
    let indentation = |line: &str| line.len() - line.trim_start().len();
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let least = lines.map(indentation).min().unwrap_or(0);
    let lines: Vec<&str> = text
        .lines()
        .map(|line| line.get(least..).unwrap_or_default())
        .collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

fn tokens(text: &str) -> TokenStream {
    TokenStream::from_str(text).expect("the input is tokens")
}

/// The source of some tokens that were parsed from a text.
fn source(tokens: impl ToTokens) -> String {
    let mut spans = tokens
        .into_token_stream()
        .into_iter()
        .map(|token| token.span());
    let first = spans.next();
    let whole = spans.fold(first, |whole, span| whole?.join(span));
    whole
        .and_then(|span| span.source_text())
        .unwrap_or_default()
}

/// An expansion, formatted and then put on one line.
fn line(tokens: impl ToTokens) -> String {
    let tokens = tokens.into_token_stream();
    let file = syn::parse2(tokens.clone()).unwrap_or_else(|error| panic!("{error}: {tokens}"));
    let text = prettyplease::unparse(&file);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Expands what is written as in a program: one of the attributes with its item, or else a block.
fn expand(text: &str) -> TokenStream {
    let tokens = tokens(text);
    let mut rest = tokens.clone().into_iter();
    let attribute = match (rest.next(), rest.next()) {
        (Some(TokenTree::Punct(hash)), Some(TokenTree::Group(attribute)))
            if hash.as_char() == '#' =>
        {
            attribute
        }
        _ => {
            return crate::expand::block(TokenStream::from_iter([
                quote::quote!(async_with),
                tokens,
            ]));
        }
    };
    let mut attribute = attribute.stream().into_iter();
    let name = attribute.next().map(|name| name.to_string());
    let arguments = match attribute.next() {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis => {
            group.stream()
        }
        _ => TokenStream::new(),
    };
    let item: TokenStream = rest.collect();
    if name.as_deref() == Some("async_with") {
        return crate::attribute::expand(arguments, item);
    }
    match syn::parse2(item).expect("the input is an item") {
        Item::Fn(function) => crate::soup::inside(crate::generator::expand(arguments, function)),
        item => crate::sugar::expand(arguments, item),
    }
}

/// The items of an expansion, without the errors behind them.
fn kept(expansion: TokenStream) -> String {
    let mut file: File = syn::parse2(expansion).expect("it is Rust");
    let is_error = |item: &Item| matches!(item, Item::Macro(item) if item.mac.path.segments.last().is_some_and(|name| name.ident == "compile_error"));
    let before = file.items.len();
    file.items.retain(|item| !is_error(item));
    assert!(file.items.len() < before, "no error");
    line(file)
}

/// The errors of an expansion: where in the input, and the message. An empty place is that of the macro's call.
fn errors(expansion: TokenStream) -> Vec<(Range<usize>, String)> {
    let mut errors = Vec::new();
    let mut start = None;
    for token in expansion {
        match token {
            TokenTree::Ident(word) if word == "compile_error" => start = Some(word.span()),
            TokenTree::Group(group) => match start.take() {
                Some(start) => errors.push(error(start, &group)),
                None => errors.extend(self::errors(group.stream())),
            },
            _ => {}
        }
    }
    errors
}

/// `compile_error!` begins at the first token that an error is about, and its argument is at the last.
fn error(start: Span, argument: &proc_macro2::Group) -> (Range<usize>, String) {
    let message: syn::LitStr = syn::parse2(argument.stream()).expect("the argument is a message");
    let place = start.byte_range().start..argument.span().byte_range().end;
    (place, message.value())
}
