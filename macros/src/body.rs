//! Jumps out of a body: the only thing in it that has to be rewritten.
//!
//! The body becomes an `async` block, and `break` and `continue` cannot leave one. Those that would are turned into
//! breaks to labeled blocks directly inside it, one per target; the expansion carries each on from there.
//!
//! What a jump means is rustc's to say, and two things are not seen from its tokens:
//!
//! - Labels are hygienic: that of a macro's loop is not that of a jump which was passed to the macro. Where they differ,
//!   the jump stays as it is, and rustc finds its label either in the body, or at the block that stands for what is
//!   outside. The same goes for the jump that is issued again.
//! - A macro may make a loop of its arguments. Those that are known not to are known by their names, which are not
//!   theirs alone. So an unlabeled jump in one has a [probe](probe) with it, which does not compile in another loop than
//!   the one that is made for it around the body.

use std::mem;

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::visit_mut::{self, VisitMut};
use syn::{
    Attribute, Block, Expr, Label, Lifetime, Macro, Meta, Pat, Path, Token, parse_quote_spanned,
};

use crate::attribute::attributes;

/// The beginning of a label inside the body.
const JUMP: &str = "__async_with_jump_";
/// The same, of one that stands for an unlabeled jump in a macro's arguments.
const PROBED: &str = "__async_with_probed_";

/// One target outside of the body.
pub(crate) struct Jump {
    kind: JumpKind,
    /// The user's label.
    label: Option<Lifetime>,
    /// The label inside the body that stands for it.
    pub(crate) inner: Lifetime,
    /// Whether a value goes with it.
    pub(crate) valued: bool,
    /// Where it was written first.
    pub(crate) place: Span,
    /// Under which `cfg`s it is written; always, if one of them is empty.
    conditions: Vec<Vec<TokenStream>>,
    /// Whether it was written in a macro that may make a loop of it.
    probed: bool,
    /// The labels in the body with the name of its own, of another macro: then it is still the user's label inside.
    namesakes: Vec<Lifetime>,
}

#[derive(Clone, Copy, PartialEq)]
enum JumpKind {
    Break,
    Continue,
}

/// Rewrites the jumps that leave a body. A body without `break` and `continue` is not even parsed.
pub(crate) fn take_jumps(
    body: &Group,
    runtime: &TokenStream,
    span: Span,
) -> (TokenStream, Vec<Jump>) {
    let untouched = || (body.stream(), Vec::new());
    if !mentions_jump(body.stream()) {
        return untouched();
    }
    let parsed = Block::parse_within.parse2(bare_blocks(body.stream(), span));
    let Ok(mut statements) = parsed else {
        // Not Rust: rustc says what is wrong with it.
        return untouched();
    };
    let mut jumps = Jumps {
        runtime,
        span,
        found: Vec::new(),
        labels: Vec::new(),
        conditions: Vec::new(),
        in_loop: false,
        inside: Inside::Body,
    };
    for statement in &mut statements {
        jumps.visit_stmt_mut(statement);
    }
    if jumps.found.is_empty() {
        return untouched();
    }
    (
        statements.iter().map(ToTokens::to_token_stream).collect(),
        jumps.found,
    )
}

/// Takes blocks out of the invisible delimiters of `$block:block`, which syn does not know as a statement without a `;`.
/// Their braces are then the macro's to the lints, as the delimiters were.
fn bare_blocks(tokens: TokenStream, span: Span) -> TokenStream {
    if !has_hidden_block(&tokens) {
        return tokens;
    }
    tokens
        .into_iter()
        .map(|token| match token {
            TokenTree::Group(group) => {
                if let Some(mut block) = hidden_block(&group) {
                    let inside = bare_blocks(block.stream(), span);
                    let place = span.located_at(block.span());
                    block = Group::new(Delimiter::Brace, inside);
                    block.set_span(place);
                    return block.into();
                }
                let mut rebuilt = Group::new(group.delimiter(), bare_blocks(group.stream(), span));
                rebuilt.set_span(group.span());
                rebuilt.into()
            }
            token => token,
        })
        .collect()
}

fn has_hidden_block(tokens: &TokenStream) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Group(group) => {
            hidden_block(&group).is_some() || has_hidden_block(&group.stream())
        }
        _ => false,
    })
}

/// The block in invisible delimiters.
fn hidden_block(group: &Group) -> Option<Group> {
    let mut inside = group.stream().into_iter();
    match (group.delimiter(), inside.next(), inside.next()) {
        (Delimiter::None, Some(TokenTree::Group(inner)), None) => match inner.delimiter() {
            Delimiter::Brace => Some(inner),
            Delimiter::None => hidden_block(&inner),
            _ => None,
        },
        _ => None,
    }
}

fn mentions_jump(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(word) => word == "break" || word == "continue",
        TokenTree::Group(group) => mentions_jump(group.stream()),
        _ => false,
    })
}

/// Whether the last statement of a body is a jump, as far as is seen without parsing it.
pub(crate) fn ends_in_jump(body: TokenStream) -> bool {
    let is_semicolon =
        |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ';');
    let is_block = |token: &TokenTree| matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace);
    let mut tokens: Vec<TokenTree> = body.into_iter().collect();
    tokens.pop_if(|last| is_semicolon(last));
    let jump = tokens.iter().rposition(|token| {
        let jumps = ["return", "break", "continue"];
        matches!(token, TokenTree::Ident(word) if jumps.iter().any(|jump| word == jump))
    });
    jump.is_some_and(|at| {
        // It begins a statement, which is the last.
        let begins = at == 0 || is_semicolon(&tokens[at - 1]) || is_block(&tokens[at - 1]);
        begins && !tokens[at..].iter().any(is_semicolon)
    })
}

struct Jumps<'a> {
    /// The path of what the expansion calls.
    runtime: &'a TokenStream,
    span: Span,
    found: Vec<Jump>,
    /// The labels between the body and the place that is looked at.
    labels: Vec<Lifetime>,
    /// The `cfg`s between the body and the place that is looked at.
    conditions: Vec<TokenStream>,
    /// Whether an unlabeled jump stays in the body.
    in_loop: bool,
    inside: Inside,
}

/// Whose arguments the place that is looked at is in.
#[derive(Clone, Copy, PartialEq)]
enum Inside {
    Body,
    /// Of a macro by whose name it makes no loop of them.
    KnownMacro,
    OtherMacro,
}

impl Jumps<'_> {
    /// Whether a jump leaves the body: `None` if not. If it leaves unless it was written in the same macro as one of some
    /// labels around it, these labels.
    fn leaves(&self, label: Option<&Lifetime>) -> Option<Vec<Lifetime>> {
        let Some(label) = label else {
            let leaves = !self.in_loop && self.inside != Inside::OtherMacro;
            return leaves.then(Vec::new);
        };
        let mut namesakes: Vec<Lifetime> = Vec::new();
        for other in self.labels.iter().filter(|other| *other == label) {
            if is_of_one_macro(other, label) {
                return None;
            }
            if !namesakes.iter().any(|known| is_of_one_macro(known, other)) {
                namesakes.push(other.clone());
            }
        }
        Some(namesakes)
    }

    /// Adds a target outside of the body. Returns the label inside it.
    fn target(&mut self, mut jump: Jump) -> Lifetime {
        let is_same = |other: &&mut Jump| {
            let is_label = match (&other.label, &jump.label) {
                (Some(one), Some(other)) => one == other && is_of_one_macro(one, other),
                (None, None) => true,
                _ => false,
            };
            let kind = |jump: &Jump| (jump.kind, jump.valued, jump.probed, jump.is_unclear());
            is_label && kind(other) == kind(&jump)
        };
        if let Some(same) = self.found.iter_mut().find(is_same) {
            same.conditions.append(&mut jump.conditions);
            return same.inner.clone();
        }
        if !jump.is_unclear() {
            let begin = if jump.probed { PROBED } else { JUMP };
            let name = format!("{begin}{}", self.found.len());
            // It keeps the hygiene of the user's label, so that rustc would notice two labels that were taken for one.
            let span = jump
                .label
                .as_ref()
                .map_or(self.span, |label| label.ident.span());
            jump.inner.ident = Ident::new(&name, span);
        }
        let inner = jump.inner.clone();
        self.found.push(jump);
        inner
    }

    /// Rewrites a jump that leaves.
    fn leave(&mut self, expr: &mut Expr, namesakes: Vec<Lifetime>) {
        let (kind, attrs, label, mut value, place) = match mem::replace(expr, Expr::PLACEHOLDER) {
            Expr::Break(jump) => {
                let place = jump.break_token.span;
                (JumpKind::Break, jump.attrs, jump.label, jump.expr, place)
            }
            Expr::Continue(jump) => {
                let place = jump.continue_token.span;
                (JumpKind::Continue, jump.attrs, jump.label, None, place)
            }
            _ => unreachable!("it is called for jumps"),
        };
        if let Some(value) = &mut value {
            self.visit_expr_mut(value);
        }
        let is_probed = |label: &Lifetime| label.ident.to_string().starts_with(PROBED);
        let jump = Jump {
            kind,
            inner: label
                .clone()
                .unwrap_or_else(|| Lifetime::new("'_", self.span)),
            valued: value.is_some(),
            place,
            conditions: vec![self.conditions.clone()],
            probed: label
                .as_ref()
                .map_or(self.inside == Inside::KnownMacro, is_probed),
            label,
            namesakes,
        };
        let span = if kind == JumpKind::Break {
            place
        } else {
            self.span
        };
        *expr = if jump.is_unclear() {
            match (self.unclear(jump), kind) {
                (Ok(label), JumpKind::Break) => {
                    parse_quote_spanned!(place=> #(#attrs)* break #label #value)
                }
                (Ok(label), JumpKind::Continue) => {
                    parse_quote_spanned!(place=> #(#attrs)* continue #label)
                }
                (Err(error), _) => {
                    let error = error.to_compile_error();
                    syn::parse_quote!(#error)
                }
            }
        } else if jump.probed && jump.label.is_none() {
            let probe = probe(self.runtime, self.span.located_at(place));
            let label = self.target(jump);
            let braces = self.span;
            parse_quote_spanned!(braces=> #(#attrs)* { #probe break #label #value })
        } else {
            // One that has a label already has its probe as well.
            let label = self.target(jump);
            parse_quote_spanned!(span=> #(#attrs)* break #label #value)
        };
    }

    /// Adds a jump whose label may be in the body, or outside: it stays as it is.
    fn unclear(&mut self, jump: Jump) -> syn::Result<Lifetime> {
        let differs = |other: &Jump| {
            let is_same = (other.kind, other.valued) == (jump.kind, jump.valued);
            other.is_unclear() && other.label == jump.label && !is_same
        };
        if self.found.iter().any(differs) {
            let message = "`break` and `continue` with one label, which a macro's loop has as well; name one of the loops otherwise";
            return Err(syn::Error::new(jump.place, message));
        }
        Ok(self.target(jump))
    }

    fn within(&mut self, label: Option<Lifetime>, is_loop: bool, visit: impl FnOnce(&mut Self)) {
        let outer = self.in_loop;
        self.in_loop |= is_loop;
        let depth = self.labels.len();
        self.labels.extend(label);
        visit(self);
        self.labels.truncate(depth);
        self.in_loop = outer;
    }

    /// Visits what is there only under these `cfg`s.
    fn under(&mut self, conditions: Vec<TokenStream>, visit: impl FnOnce(&mut Self)) {
        let depth = self.conditions.len();
        self.conditions.extend(conditions);
        visit(self);
        self.conditions.truncate(depth);
    }

    /// A macro's arguments, where they are expressions or statements; anything else stays as it is, and rustc reports a
    /// jump in it.
    fn macro_arguments(&mut self, tokens: TokenStream, path: &Path) -> TokenStream {
        if !mentions_jump(tokens.clone()) {
            return tokens;
        }
        let outer = self.inside;
        self.inside = match outer {
            Inside::Body | Inside::KnownMacro if is_known(path) => Inside::KnownMacro,
            _ => Inside::OtherMacro,
        };
        let is = |name: &str| path.segments.last().is_some_and(|last| last.ident == name);
        let rewritten = if is("select") {
            let select = |input: ParseStream<'_>| self.select(input);
            select.parse2(tokens.clone()).ok()
        } else if is("async_with") {
            Some(self.nested_block(tokens.clone()))
        } else {
            self.expressions(tokens.clone())
        };
        self.inside = outer;
        rewritten.unwrap_or(tokens)
    }

    fn expressions(&mut self, tokens: TokenStream) -> Option<TokenStream> {
        if let Ok(mut list) = Punctuated::<Expr, Token![,]>::parse_terminated.parse2(tokens.clone())
        {
            list.iter_mut().for_each(|expr| self.visit_expr_mut(expr));
            return Some(list.into_token_stream());
        }
        let mut statements = Block::parse_within.parse2(tokens).ok()?;
        for statement in &mut statements {
            self.visit_stmt_mut(statement);
        }
        Some(statements.iter().map(ToTokens::to_token_stream).collect())
    }

    /// The branches of `select!`: `pattern = future, if condition => handler`.
    fn select(&mut self, input: ParseStream<'_>) -> syn::Result<TokenStream> {
        let mut output = TokenStream::new();
        if input.peek(syn::Ident) && input.peek2(Token![;]) {
            input.parse::<syn::Ident>()?.to_tokens(&mut output);
            input.parse::<Token![;]>()?.to_tokens(&mut output);
        }
        while !input.is_empty() {
            if input.peek(Token![else]) {
                input.parse::<Token![else]>()?.to_tokens(&mut output);
            } else if input.peek(syn::Ident) && input.peek2(Token![=>]) {
                // `complete =>` and `default =>`, of `futures`.
                input.parse::<syn::Ident>()?.to_tokens(&mut output);
            } else {
                Pat::parse_multi_with_leading_vert(input)?.to_tokens(&mut output);
                input.parse::<Token![=]>()?.to_tokens(&mut output);
                let mut future: Expr = input.parse()?;
                self.visit_expr_mut(&mut future);
                future.to_tokens(&mut output);
                if input.peek(Token![,]) {
                    input.parse::<Token![,]>()?.to_tokens(&mut output);
                    input.parse::<Token![if]>()?.to_tokens(&mut output);
                    input.parse::<Expr>()?.to_tokens(&mut output);
                }
            }
            input.parse::<Token![=>]>()?.to_tokens(&mut output);
            let mut handler = Expr::parse_with_earlier_boundary_rule(input)?;
            self.visit_expr_mut(&mut handler);
            handler.to_tokens(&mut output);
            if input.peek(Token![,]) {
                input.parse::<Token![,]>()?.to_tokens(&mut output);
            }
        }
        Ok(output)
    }

    /// A nested block: its braces hold statements, what stands between them does not jump.
    fn nested_block(&mut self, tokens: TokenStream) -> TokenStream {
        tokens
            .into_iter()
            .map(|token| match token {
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                    let stream = self
                        .expressions(group.stream())
                        .unwrap_or_else(|| group.stream());
                    let mut rewritten = Group::new(Delimiter::Brace, stream);
                    rewritten.set_span(group.span());
                    TokenTree::Group(rewritten)
                }
                TokenTree::Group(group) if group.delimiter() == Delimiter::None => {
                    TokenTree::Group(Group::new(
                        Delimiter::None,
                        self.nested_block(group.stream()),
                    ))
                }
                token => token,
            })
            .collect()
    }
}

/// The `cfg`s among the attributes.
fn conditions(attributes: &[Attribute]) -> Vec<TokenStream> {
    let conditions = attributes
        .iter()
        .filter_map(|attribute| match &attribute.meta {
            Meta::List(list) if list.path.is_ident("cfg") => Some(list.tokens.clone()),
            _ => None,
        });
    conditions.collect()
}

fn name(label: Option<&Label>) -> Option<Lifetime> {
    label.map(|label| label.name.clone())
}

/// Whether a macro with this name is known not to put its arguments into a loop.
fn is_known(path: &Path) -> bool {
    // Others may re-export these two.
    const ANYWHERE: &[&str] = &["select", "async_with"];
    const STANDARD: &[&str] = &[
        "assert",
        "assert_eq",
        "assert_ne",
        "dbg",
        "debug_assert",
        "debug_assert_eq",
        "debug_assert_ne",
        "eprint",
        "eprintln",
        "format",
        "format_args",
        "matches",
        "panic",
        "print",
        "println",
        "todo",
        "unimplemented",
        "unreachable",
        "vec",
        "write",
        "writeln",
    ];
    let is_standard = match path.segments.first() {
        Some(first) if path.segments.len() > 1 => ["std", "core", "alloc"]
            .iter()
            .any(|name| first.ident == name),
        _ => path.leading_colon.is_none(),
    };
    let is = |names: &[&str]| {
        let last = path.segments.last();
        last.is_some_and(|last| names.iter().any(|name| last.ident == name))
    };
    is(ANYWHERE) || is_standard && is(STANDARD)
}

/// Whether two labels with the same name were written in the same macro, or in none. It is as far as can be seen: where
/// this is wrong, rustc refuses what is made of it.
fn is_of_one_macro(one: &Lifetime, other: &Lifetime) -> bool {
    // On stable, a span shows its context in no other way.
    let context = |label: &Lifetime| {
        let shown = format!("{:?}", label.ident.span());
        let (context, _) = shown.strip_prefix('#')?.split_once(' ')?;
        Some(context.to_owned())
    };
    context(one) == context(other)
}

/// A statement that compiles only in the loop of [`probed`].
fn probe(runtime: &TokenStream, span: Span) -> TokenStream {
    let path = runtime.clone().into_iter().map(|mut token| {
        token.set_span(span);
        token
    });
    quote_spanned!(span=> #(#path)*::needs_a_label! {})
}

/// Puts the end of a body, which does not end, into a loop that the probes in it compile in. Nothing else jumps to it:
/// a `break` has another type, and a `continue` would move a value a second time.
pub(crate) fn probed(
    jumps: &[Jump],
    body: TokenStream,
    once: &Ident,
    runtime: &TokenStream,
) -> TokenStream {
    if !jumps.iter().any(|jump| jump.probed) {
        return body;
    }
    quote_spanned! {once.span()=>
        let #once = #runtime::Once::new();
        #[allow(unreachable_code, clippy::never_loop, clippy::diverging_sub_expression)]
        let _: &'static dyn #runtime::Probed = loop {
            #runtime::Once::enter(#once);
            #body
        };
        #[allow(unreachable_code)]
        {
            #runtime::no_jump()
        }
    }
}

impl VisitMut for Jumps<'_> {
    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        let conditions = attributes(expr).map(|attributes| conditions(attributes));
        self.under(conditions.unwrap_or_default(), |this| this.expression(expr));
    }

    fn visit_local_mut(&mut self, local: &mut syn::Local) {
        self.under(conditions(&local.attrs), |this| {
            visit_mut::visit_local_mut(this, local);
        });
    }

    fn visit_stmt_macro_mut(&mut self, statement: &mut syn::StmtMacro) {
        self.under(conditions(&statement.attrs), |this| {
            visit_mut::visit_stmt_macro_mut(this, statement);
        });
    }

    fn visit_arm_mut(&mut self, arm: &mut syn::Arm) {
        self.under(conditions(&arm.attrs), |this| {
            visit_mut::visit_arm_mut(this, arm);
        });
    }

    fn visit_field_value_mut(&mut self, field: &mut syn::FieldValue) {
        self.under(conditions(&field.attrs), |this| {
            visit_mut::visit_field_value_mut(this, field);
        });
    }

    fn visit_macro_mut(&mut self, invocation: &mut Macro) {
        let tokens = mem::take(&mut invocation.tokens);
        invocation.tokens = self.macro_arguments(tokens, &invocation.path);
    }

    fn visit_item_mut(&mut self, _: &mut syn::Item) {}
}

impl Jumps<'_> {
    fn expression(&mut self, expr: &mut Expr) {
        let label = match expr {
            Expr::Break(jump) => Some(jump.label.as_ref()),
            Expr::Continue(jump) => Some(jump.label.as_ref()),
            _ => None,
        };
        if let Some(namesakes) = label.and_then(|label| self.leaves(label)) {
            return self.leave(expr, namesakes);
        }
        match expr {
            Expr::Loop(inner) => {
                let label = name(inner.label.as_ref());
                self.within(label, true, |this| this.visit_block_mut(&mut inner.body));
            }
            Expr::While(inner) => {
                let label = name(inner.label.as_ref());
                self.within(label, true, |this| {
                    this.visit_expr_mut(&mut inner.cond);
                    this.visit_block_mut(&mut inner.body);
                });
            }
            Expr::ForLoop(inner) => {
                self.visit_expr_mut(&mut inner.expr);
                let label = name(inner.label.as_ref());
                self.within(label, true, |this| this.visit_block_mut(&mut inner.body));
            }
            Expr::Block(inner) => {
                let label = name(inner.label.as_ref());
                self.within(label, false, |this| this.visit_block_mut(&mut inner.block));
            }
            // A jump cannot leave these.
            Expr::Async(_) | Expr::Closure(_) | Expr::Const(_) => {}
            _ => visit_mut::visit_expr_mut(self, expr),
        }
    }
}

impl Jump {
    fn is_unclear(&self) -> bool {
        !self.namesakes.is_empty()
    }

    /// The `cfg` of what is there for this jump only.
    fn condition(&self) -> Option<TokenStream> {
        if self.conditions.iter().any(Vec::is_empty) {
            return None;
        }
        let ways = self.conditions.iter().map(|all| quote!(all(#(#all),*)));
        Some(quote!(#[cfg(any(#(#ways),*))]))
    }

    /// A statement around the end of a body, behind which control comes with this jump. The value goes to the slot.
    pub(crate) fn catch(
        &self,
        body: &TokenStream,
        [ty, slot, first]: &[Ident; 3],
        runtime: &TokenStream,
        span: Span,
    ) -> TokenStream {
        let label = &self.inner;
        // If the `cfg` is off, or the label is that of a loop in the body.
        let allow = (self.is_unclear() || self.condition().is_some()).then(|| {
            quote_spanned!(span=> #[allow(
                unused_labels,
                unreachable_code,
                clippy::diverging_sub_expression,
                clippy::never_loop,
            )])
        });
        if self.valued {
            return quote_spanned! {span=>
                #allow
                { #slot = #runtime::Some(#runtime::Ty::same(&#ty, #label: { #body })); }
            };
        }
        if self.is_unclear() && self.kind == JumpKind::Continue {
            return quote_spanned! {span=>
                let mut #first = true;
                #allow
                #label: while #runtime::take(&mut #first) { #body }
            };
        }
        quote_spanned!(span=> #allow #label: { #body })
    }

    /// The jump, as the enclosing function sees it: an expression.
    pub(crate) fn reissue(
        &self,
        value: &TokenStream,
        runtime: &TokenStream,
        span: Span,
    ) -> TokenStream {
        let label = &self.label;
        let span = span.located_at(self.place);
        let value = self.valued.then_some(value);
        let mut jump = match self.kind {
            JumpKind::Break => quote_spanned!(span=> break #label #value),
            JumpKind::Continue => quote_spanned! {span=>
                { #[allow(clippy::needless_continue)] continue #label; }
            },
        };
        // It is in the body of another block, which has put the label there.
        if self.probed && label.is_some() {
            let probe = probe(runtime, span);
            jump = quote_spanned!(span=> { #probe #jump });
        }
        if self.is_unclear() {
            // If the label is that of a loop in the body, it is one of these here, or there would be none.
            for label in &self.namesakes {
                jump = quote_spanned!(span=> #label: loop { #jump; });
            }
            jump = quote_spanned! {span=> {
                #[allow(unused_labels, unreachable_code, clippy::never_loop)]
                { #jump; #runtime::no_jump() }
            }};
        }
        match self.condition() {
            None => jump,
            Some(condition) => {
                // Without the jump, the value would not be used.
                let unused = value.map(|value| quote_spanned!(span=> let _ = #value;));
                quote_spanned! {span=> {
                    #condition
                    { #jump }
                    #[allow(unreachable_code, clippy::diverging_sub_expression)]
                    { #unused #runtime::no_jump() }
                }}
            }
        }
    }
}
