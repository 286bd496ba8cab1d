//! What is written between the delimiters of `async_with!`: items, separator, body.
//!
//! The items are split on the level of tokens, because in Rust `expr as pat` would be a cast. What is between the
//! tokens of an expression stays as it is: only the places where an item ends have to be found.

use proc_macro2::{Delimiter, Group, Spacing, Span, TokenStream, TokenTree};
use syn::parse::discouraged::Speculative;
use syn::parse::{ParseStream, Parser};
use syn::{Error, Expr, Pat, Stmt, Type};

use crate::errors::Errors;

/// `a as x, b as y => { body } else { otherwise }`.
pub(crate) struct Block {
    pub(crate) items: Vec<Item>,
    pub(crate) body: Group,
    pub(crate) otherwise: Option<Else>,
    tokens: Vec<TokenTree>,
    /// Which of the tokens the body is.
    body_at: usize,
}

/// `else { .. }`.
pub(crate) struct Else {
    pub(crate) keyword: Span,
    pub(crate) block: Group,
}

/// `expr as pat`.
pub(crate) struct Item {
    pub(crate) expr: TokenStream,
    pub(crate) pat: Option<Pat>,
}

const SHAPE: &str = "`async_with! { manager as name => { .. } }`";
const NO_ARROW: &str = "this does not begin a body; write `=> { .. }`";

impl Block {
    pub(crate) fn parse(tokens: TokenStream) -> Result<Self, Error> {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut errors = Errors::default();
        let Some(last) = tokens.last() else {
            let message = format!("`async_with!` without a manager and a body; write {SHAPE}");
            return Err(Error::new(Span::call_site(), message));
        };
        let end = last.span();
        let parts = Parts::split(&tokens);
        let (body, otherwise) = match &parts.body {
            Ok(body) => {
                let otherwise = otherwise(body.rest, &mut errors);
                let at = tokens.len() - body.rest.len() - 1;
                (Some((body.group.clone(), at)), otherwise)
            }
            Err(_) => (None, None),
        };
        let items = items(&parts.items, &mut errors);
        match parts.body {
            Err((Some(place), message)) => errors.at(place, message),
            // Errors of the last item say it better.
            Err((None, message)) if errors.count() == 0 => errors.at(end, message),
            _ => {}
        }
        if let Some((body, _)) = &body
            && parts.items.is_empty()
        {
            let message = format!("a body without a manager; write {SHAPE}");
            errors.at(body.span_open(), message);
        }
        errors.check()?;
        match body {
            Some((body, body_at)) => Ok(Self {
                items,
                body,
                otherwise,
                tokens,
                body_at,
            }),
            None => Err(Error::new(end, format!("no body; write {SHAPE}"))),
        }
    }

    /// The tokens of the block, with another body, and with other braces behind `else` if there are any.
    pub(crate) fn with(mut self, body: Group, otherwise: Option<Group>) -> TokenStream {
        self.tokens[self.body_at] = body.into();
        if let Some(otherwise) = otherwise {
            self.tokens[self.body_at + 2] = otherwise.into();
        }
        self.tokens.into_iter().collect()
    }
}

/// Parses `a as x, b as y` alone, as in the arguments of the attribute.
pub(crate) fn item_list(tokens: TokenStream) -> Result<Vec<Item>, Error> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut errors = Errors::default();
    let mut cuts = Cuts::new(&tokens);
    let mut parts = Vec::new();
    while let Some((part, end)) = cuts.next_part() {
        parts.push((part, end));
        if let End::Arrow(span) = end {
            errors.at(
                span,
                "no `=>` here; the body is the function's, or the block's below",
            );
            break;
        }
    }
    let items = items(&parts, &mut errors);
    errors.check()?;
    Ok(items)
}

/// `else { .. }`, or nothing, and an optional comma.
fn otherwise(rest: &[TokenTree], errors: &mut Errors) -> Option<Else> {
    let (found, rest) = match rest {
        [TokenTree::Ident(word), rest @ ..] if word == "else" => {
            let Some((block, rest)) = rest
                .split_first()
                .and_then(|(first, rest)| Some((braces(first)?, rest)))
            else {
                errors.at(word.span(), "`else` without a block; write `else { .. }`");
                return None;
            };
            let keyword = word.span();
            (Some(Else { keyword, block }), rest)
        }
        rest => (None, rest),
    };
    match rest {
        [] => {}
        [TokenTree::Punct(comma)] if comma.as_char() == ',' => {}
        [token, ..] => errors.at(
            token.span(),
            "unexpected after the body; only `else { .. }` may follow it",
        ),
    }
    found
}

fn items(parts: &[(&[TokenTree], End)], errors: &mut Errors) -> Vec<Item> {
    // One lone parenthesized group is a list of items, as in Python.
    if let [([TokenTree::Group(group)], _)] = parts
        && group.delimiter() == Delimiter::Parenthesis
    {
        let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
        if tokens.is_empty() {
            errors.at(
                group.span(),
                "a list without a manager; write `(manager as name, ..)`",
            );
        }
        let mut cuts = Cuts::new(&tokens);
        let mut parts = Vec::new();
        while let Some((part, end)) = cuts.next_part() {
            parts.push((part, end));
            if let End::Arrow(span) = end {
                errors.at(
                    span,
                    "`=>` among the managers; write it after the `)`, before the body",
                );
                return Vec::new();
            }
        }
        return each(&parts, errors);
    }
    each(parts, errors)
}

fn each(parts: &[(&[TokenTree], End)], errors: &mut Errors) -> Vec<Item> {
    parts
        .iter()
        .filter_map(|(part, end)| item(part, *end, errors))
        .collect()
}

fn item(tokens: &[TokenTree], end: End, errors: &mut Errors) -> Option<Item> {
    let Some(first) = tokens.first() else {
        let place = match end {
            End::Comma(span) | End::Arrow(span) => span,
            End::Input => Span::call_site(),
        };
        errors.at(place, "no manager before this comma; remove it");
        return None;
    };
    if matches!(first, TokenTree::Ident(word) if word == "let") {
        errors.at(
            first.span(),
            "`let` in place of a manager; write `manager as name`",
        );
        return None;
    }
    let mut casts = Operands::new(tokens).filter_map(|(at, role)| match role {
        Role::As => Some(at),
        _ => None,
    });
    let (expr, pat) = match casts.next() {
        None => (tokens, None),
        Some(0) => {
            errors.at(
                first.span(),
                "`as` without a manager before it; write `manager as name`",
            );
            return None;
        }
        Some(at) => {
            if let Some(second) = casts.next() {
                let between: TokenStream = tokens[at + 1..second].iter().cloned().collect();
                if syn::parse2::<Type>(between).is_ok() {
                    let message = "a second `as` in one item; put a cast into parentheses, as in `(value as Type) as name`, \
                                   and an item that is only a cast into two pairs";
                    errors.at(tokens[second].span(), message);
                    return None;
                }
            }
            (&tokens[..at], Some((tokens[at].span(), &tokens[at + 1..])))
        }
    };
    let expr: TokenStream = expr.iter().cloned().collect();
    // Only to report its errors: the tokens are what is used.
    match syn::parse2::<Expr>(expr.clone()) {
        Ok(Expr::Assign(assign)) => {
            errors.on(
                &assign,
                "an assignment in place of a manager; write `manager as name`",
            );
            return None;
        }
        Ok(_) => {}
        Err(error) => {
            let message = format!(
                "{error} in a manager's expression; items are written `manager as name` and separated by commas"
            );
            let last = expr.into_iter().last().map(|token| token.span());
            let place = if error.to_string().starts_with("unexpected end") {
                last.unwrap_or(error.span())
            } else {
                error.span()
            };
            errors.at(place, message);
            return None;
        }
    }
    let pat = match pat {
        None => None,
        Some((span, [])) => {
            errors.at(
                span,
                "`as` without a name after it; write `manager as name`, or leave out `as`",
            );
            return None;
        }
        Some((_, rest)) => Some(pattern(&rest.iter().cloned().collect(), errors)?),
    };
    Some(Item { expr, pat })
}

pub(crate) fn pattern(tokens: &TokenStream, errors: &mut Errors) -> Option<Pat> {
    let parse = |input: ParseStream<'_>| {
        let pat = Pat::parse_multi(input)?;
        let rest: TokenStream = input.parse()?;
        Ok((pat, rest))
    };
    let (pat, rest) = match parse.parse2(tokens.clone()) {
        Ok(parsed) => parsed,
        Err(error) => {
            let message = format!(
                "{error} in the pattern after `as`; write a name, `_`, or another pattern that always matches"
            );
            errors.at(error.span(), message);
            return None;
        }
    };
    let mut rest = rest.into_iter();
    if let Some(token) = rest.next() {
        let is_typed = || syn::parse2::<Type>(rest.collect()).is_ok();
        let remedy = match &token {
            TokenTree::Punct(colon) if colon.as_char() == ':' && is_typed() => {
                "a type after the name, which is bound to `&mut Resource`; leave it out"
            }
            TokenTree::Punct(punct) if [':', '-'].contains(&punct.as_char()) => NO_ARROW,
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                "the body follows the managers without `=>`; write `=> { .. }`"
            }
            _ => {
                "this does not separate managers; write `,` between them, and `=>` before the body"
            }
        };
        errors.at(token.span(), remedy);
        return None;
    }
    check(&pat, Binding::Explicit, errors);
    Some(pat)
}

/// How names bind at a place of a pattern that is matched against `&mut Resource`.
#[derive(Clone, Copy, PartialEq)]
enum Binding {
    /// As written.
    Explicit,
    /// The reference is still to be taken apart: a pattern other than a name or `&mut` does it by default.
    Default,
}

/// Finds what cannot stand after `as`: what may not match, and what edition 2024 forbids under default binding.
fn check(pat: &Pat, binding: Binding, errors: &mut Errors) {
    check_at(pat, binding, true, errors);
}

fn check_at(pat: &Pat, binding: Binding, by_reference: bool, errors: &mut Errors) {
    const REFUTABLE: &str = "this pattern may not match; write one that always does, and look at the resource in the body with `if let` or `match`";
    let refutable_name = |path: &syn::Path| {
        path.segments.last().is_some_and(|last| {
            ["Some", "None", "Ok", "Err"]
                .iter()
                .any(|name| last.ident == name)
        })
    };
    // Whatever takes a reference apart by default puts what is inside under default binding.
    let inside = if by_reference {
        Binding::Default
    } else {
        binding
    };
    match pat {
        Pat::Ident(ident) => {
            if refutable_name(&ident.ident.clone().into()) && ident.subpat.is_none() {
                errors.on(ident, REFUTABLE);
            } else if binding == Binding::Default
                && (ident.by_ref.is_some() || ident.mutability.is_some())
            {
                errors.on(
                    ident,
                    format!(
                        "`mut` or `ref` where names bind by reference already; write `{0}` here, and `let mut {0} = *{0};` in the body for a copy",
                        ident.ident
                    ),
                );
            }
            if let Some((_, sub)) = &ident.subpat {
                check_at(sub, binding, by_reference, errors);
            }
        }
        Pat::Reference(reference) => {
            if binding == Binding::Default {
                errors.on(
                    reference,
                    "`&` where names bind by reference already; write the name alone, and `*name` in the body",
                );
            } else {
                check_at(&reference.pat, Binding::Explicit, false, errors);
            }
        }
        Pat::Tuple(tuple) => {
            tuple
                .elems
                .iter()
                .for_each(|pat| check_at(pat, inside, false, errors));
        }
        Pat::TupleStruct(tuple) => {
            if refutable_name(&tuple.path) {
                errors.on(tuple, REFUTABLE);
                return;
            }
            tuple
                .elems
                .iter()
                .for_each(|pat| check_at(pat, inside, false, errors));
        }
        Pat::Struct(fields) => {
            fields
                .fields
                .iter()
                .for_each(|field| check_at(&field.pat, inside, false, errors));
        }
        Pat::Slice(slice) => {
            slice
                .elems
                .iter()
                .for_each(|pat| check_at(pat, inside, false, errors));
        }
        Pat::Or(or) => or
            .cases
            .iter()
            .for_each(|pat| check_at(pat, binding, by_reference, errors)),
        Pat::Paren(paren) => check_at(&paren.pat, binding, by_reference, errors),
        Pat::Lit(_) | Pat::Range(_) | Pat::Const(_) => errors.on(pat, REFUTABLE),
        Pat::Path(path) if refutable_name(&path.path) => errors.on(pat, REFUTABLE),
        _ => {}
    }
}

/// The input, cut into items and body.
struct Parts<'a> {
    items: Vec<(&'a [TokenTree], End)>,
    body: Result<Body<'a>, (Option<Span>, String)>,
}

struct Body<'a> {
    group: Group,
    rest: &'a [TokenTree],
}

impl<'a> Parts<'a> {
    fn split(tokens: &'a [TokenTree]) -> Self {
        let mut items = Vec::new();
        let mut cuts = Cuts::new(tokens);
        loop {
            if let Some(body) = body_at(cuts.rest()) {
                return Self {
                    items,
                    body: Ok(body),
                };
            }
            let Some((part, end)) = cuts.next_part() else {
                break;
            };
            let trailing_comma = part.is_empty() && matches!(end, End::Arrow(_));
            if !trailing_comma {
                items.push((part, end));
            }
            if let End::Arrow(span) = end {
                if let Some(body) = body_at(cuts.rest()) {
                    return Self {
                        items,
                        body: Ok(body),
                    };
                }
                let error = match cuts.rest() {
                    [TokenTree::Group(group), next, ..]
                        if group.delimiter() == Delimiter::Brace =>
                    {
                        (
                            next.span(),
                            "unexpected after the body; managers stand before it, and only `else { .. }` after it",
                        )
                    }
                    [token, ..] => (token.span(), "the body must be a block; write `=> { .. }`"),
                    [] => (span, "`=>` without a body; write `=> { .. }`"),
                };
                return Self {
                    items,
                    body: Err((Some(error.0), error.1.to_owned())),
                };
            }
        }
        // There is no body where one could be: find out what was meant.
        let error = match without_else(tokens) {
            [before @ .., TokenTree::Group(group)] if group.delimiter() == Delimiter::Brace => {
                let (before, place, message) = match without_separator(before) {
                    Some((before, place)) => (before, place, NO_ARROW),
                    None => (
                        before,
                        group.span_open(),
                        "the body follows the managers without `=>`; write `=> { .. }`",
                    ),
                };
                // `name { .. }` is no pattern.
                let after = tokens.len() - before.len();
                if let Some((part, end)) = items.pop() {
                    let part = &part[..part.len().saturating_sub(after)];
                    if Operands::new(part).any(|(_, role)| role == Role::As) {
                        items.push((part, end));
                    }
                }
                (Some(place), message.to_owned())
            }
            _ => (
                None,
                format!("the managers are not followed by a body; write {SHAPE}"),
            ),
        };
        Self {
            items,
            body: Err(error),
        }
    }
}

/// The tokens up to an `else { .. }` at their end.
fn without_else(tokens: &[TokenTree]) -> &[TokenTree] {
    match tokens {
        [before @ .., TokenTree::Ident(word), TokenTree::Group(_)] if word == "else" => before,
        _ => tokens,
    }
}

/// The tokens up to a `:` or `->` at their end, and its place.
fn without_separator(tokens: &[TokenTree]) -> Option<(&[TokenTree], Span)> {
    let is = |token: &TokenTree, char| matches!(token, TokenTree::Punct(punct) if punct.as_char() == char);
    match tokens {
        [before @ .., colon] if is(colon, ':') => Some((before, colon.span())),
        [before @ .., dash, angle] if is(dash, '-') && is(angle, '>') => {
            Some((before, dash.span()))
        }
        _ => None,
    }
}

/// The body, if these tokens are one: a block that nothing but `else` continues.
fn body_at(tokens: &[TokenTree]) -> Option<Body<'_>> {
    let [first, rest @ ..] = tokens else {
        return None;
    };
    let alone = match rest.first() {
        None => true,
        Some(TokenTree::Ident(word)) => word != "as",
        Some(TokenTree::Punct(punct)) => {
            punct.as_char() == ',' && rest.len() == 1 || punct.as_char() == ';'
        }
        Some(_) => false,
    };
    let group = braces(first).filter(|_| alone)?;
    Some(Body { group, rest })
}

/// A block, also one that a macro of the user's passed on as `$body:block`, in invisible delimiters.
fn braces(token: &TokenTree) -> Option<Group> {
    let TokenTree::Group(group) = token else {
        return None;
    };
    match group.delimiter() {
        Delimiter::Brace => Some(group.clone()),
        Delimiter::None => {
            let mut inside = group.stream().into_iter();
            let (first, None) = (inside.next()?, inside.next()) else {
                return None;
            };
            braces(&first)
        }
        _ => None,
    }
}

/// Where an item ends.
#[derive(Clone, Copy)]
enum End {
    Comma(Span),
    Arrow(Span),
    Input,
}

struct Cuts<'a> {
    tokens: &'a [TokenTree],
    at: usize,
}

impl<'a> Cuts<'a> {
    fn new(tokens: &'a [TokenTree]) -> Self {
        Self { tokens, at: 0 }
    }

    fn rest(&self) -> &'a [TokenTree] {
        &self.tokens[self.at..]
    }

    /// The tokens up to the next comma or arrow, which is left out.
    fn next_part(&mut self) -> Option<(&'a [TokenTree], End)> {
        let rest = self.rest();
        if rest.is_empty() {
            return None;
        }
        for (at, role) in Operands::new(rest) {
            let (length, end) = match role {
                Role::Comma => (1, End::Comma(rest[at].span())),
                Role::Arrow => (2, End::Arrow(rest[at].span())),
                _ => continue,
            };
            self.at += at + length;
            return Some((&rest[..at], end));
        }
        self.at = self.tokens.len();
        Some((rest, End::Input))
    }
}

/// What a token is to the one who looks for the end of an expression.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    Comma,
    Arrow,
    As,
    Other,
}

/// Walks over the tokens of an expression, past what may hold a comma or an `as` of its own: generic arguments and the
/// parameters of closures. `<` and `|` mean those where an operand is expected, and operators elsewhere.
struct Operands<'a> {
    tokens: &'a [TokenTree],
    at: usize,
    operand_expected: bool,
}

impl<'a> Operands<'a> {
    fn new(tokens: &'a [TokenTree]) -> Self {
        Self {
            tokens,
            at: 0,
            operand_expected: true,
        }
    }

    fn punct(&self, at: usize) -> Option<char> {
        match self.tokens.get(at) {
            Some(TokenTree::Punct(punct)) => Some(punct.as_char()),
            _ => None,
        }
    }

    fn joint(&self, at: usize, first: char, second: char) -> bool {
        matches!(&self.tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == first && punct.spacing() == Spacing::Joint)
            && self.punct(at + 1) == Some(second)
    }

    /// The position after the generic arguments that begin at `at`.
    fn after_angles(&self, mut at: usize) -> usize {
        let mut depth = 0usize;
        while at < self.tokens.len() {
            if self.joint(at, '-', '>') || self.joint(at, '=', '>') {
                at += 2;
                continue;
            }
            match self.punct(at) {
                Some('<') => depth += 1,
                Some('>') => {
                    depth -= 1;
                    if depth == 0 {
                        return at + 1;
                    }
                }
                _ => {}
            }
            at += 1;
        }
        at
    }

    /// The position after the closure parameters that begin at `at`.
    fn after_parameters(&self, at: usize) -> usize {
        let mut rest = at + 1..self.tokens.len();
        let end = rest.find(|at| self.punct(*at) == Some('|'));
        end.map_or(self.tokens.len(), |at| at + 1)
    }
}

impl Iterator for Operands<'_> {
    type Item = (usize, Role);

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at;
        let token = self.tokens.get(at)?;
        let mut next = at + 1;
        let mut role = Role::Other;
        let expected = self.operand_expected;
        self.operand_expected = match token {
            TokenTree::Ident(word) if word == "as" => {
                role = Role::As;
                true
            }
            // A word after which an operand follows.
            TokenTree::Ident(word) => [
                "return", "break", "move", "async", "static", "mut", "in", "match", "if", "while",
                "const", "raw",
            ]
            .iter()
            .any(|keyword| word == keyword),
            TokenTree::Group(_) | TokenTree::Literal(_) => false,
            TokenTree::Punct(punct) => match punct.as_char() {
                ',' => {
                    role = Role::Comma;
                    true
                }
                '=' if self.joint(at, '=', '>') => {
                    role = Role::Arrow;
                    true
                }
                '<' if expected => {
                    next = self.after_angles(at);
                    false
                }
                '-' if self.joint(at, '-', '>') => {
                    // The return type of a closure; its body is a block.
                    let brace = |token: &TokenTree| matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace);
                    next = self.tokens[at..]
                        .iter()
                        .position(brace)
                        .map_or(at + 2, |offset| at + offset);
                    true
                }
                '|' | '<' if self.joint(at, punct.as_char(), punct.as_char()) && !expected => {
                    next = at + 2;
                    true
                }
                '|' if expected => {
                    next = self.after_parameters(at);
                    true
                }
                '\'' => {
                    next = at + 2;
                    true
                }
                '?' => false,
                // After a dot, a name follows, or the operand of a range.
                _ => true,
            },
        };
        self.at = next;
        Some((at, role))
    }
}

/// Statements, with whatever is none at the end: what is being written is to be completed by the editor, and what is wrong
/// is rustc's to say.
pub(crate) fn statements(input: ParseStream<'_>) -> syn::Result<Vec<Stmt>> {
    let mut before = Vec::new();
    loop {
        let rest = input.fork();
        if let Ok(stmts) = syn::Block::parse_within(&rest) {
            before.extend(stmts);
            input.advance_to(&rest);
            return Ok(before);
        }
        let next = input.fork();
        let Ok(stmt) = next.parse() else {
            before.push(Stmt::Expr(Expr::Verbatim(input.parse()?), None));
            return Ok(before);
        };
        before.push(stmt);
        input.advance_to(&next);
    }
}
