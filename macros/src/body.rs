//! Jumps out of a body: the only thing in it that has to be rewritten.
//!
//! The body becomes an `async` block, and `break` and `continue` cannot leave one. Those that would are turned into
//! breaks to labeled blocks directly inside it, one per target; the expansion carries each on from there.

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote_spanned};
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::visit_mut::{self, VisitMut};
use syn::{Block, Expr, ExprBreak, Label, Lifetime, Macro, Pat, Token};

/// One target outside of the body.
pub(crate) struct Jump {
    pub(crate) kind: JumpKind,
    /// The user's label.
    pub(crate) label: Option<Lifetime>,
    /// The label inside the body that stands for it.
    pub(crate) inner: Lifetime,
    /// Whether a value goes with it.
    pub(crate) valued: bool,
    /// Where it was written first.
    pub(crate) place: Span,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum JumpKind {
    Break,
    Continue,
}

/// Rewrites the jumps that leave a body. A body without `break` and `continue` is not even parsed.
pub(crate) fn take_jumps(body: &Group, span: Span) -> (TokenStream, Vec<Jump>) {
    let untouched = || (body.stream(), Vec::new());
    if !mentions_jump(body.stream()) {
        return untouched();
    }
    let parsed = Block::parse_within.parse2(body.stream());
    // A `$block:block` of a macro of the user's may be a statement without a `;`, which syn does not know.
    let parsed = parsed.or_else(|_| Block::parse_within.parse2(bare_blocks(body.stream(), span)));
    let Ok(mut statements) = parsed else {
        // Not Rust: rustc says what is wrong with it.
        return untouched();
    };
    let mut jumps = Jumps {
        span,
        found: Vec::new(),
        labels: Vec::new(),
        in_loop: false,
        unlabeled: true,
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

/// Takes blocks out of the invisible delimiters of `$block:block`. Their braces are then the macro's to the lints.
fn bare_blocks(tokens: TokenStream, span: Span) -> TokenStream {
    tokens
        .into_iter()
        .map(|token| match token {
            TokenTree::Group(group) => {
                let inside: Vec<TokenTree> =
                    bare_blocks(group.stream(), span).into_iter().collect();
                if let (Delimiter::None, [TokenTree::Group(block)]) = (group.delimiter(), &*inside)
                    && block.delimiter() == Delimiter::Brace
                {
                    let mut block = block.clone();
                    block.set_span(span.located_at(block.span()));
                    return block.into();
                }
                let mut rebuilt = Group::new(group.delimiter(), inside.into_iter().collect());
                rebuilt.set_span(group.span());
                rebuilt.into()
            }
            token => token,
        })
        .collect()
}

fn mentions_jump(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(word) => word == "break" || word == "continue",
        TokenTree::Group(group) => mentions_jump(group.stream()),
        _ => false,
    })
}

struct Jumps {
    span: Span,
    found: Vec<Jump>,
    /// The labels between the body and the place that is looked at.
    labels: Vec<Lifetime>,
    /// Whether an unlabeled jump stays in the body.
    in_loop: bool,
    /// Whether an unlabeled jump is known to mean the loop that it seems to mean.
    unlabeled: bool,
}

impl Jumps {
    fn leaves(&self, label: Option<&Lifetime>) -> bool {
        match label {
            Some(label) => !self.labels.contains(label),
            None => !self.in_loop && self.unlabeled,
        }
    }

    /// The label inside the body for a target outside of it.
    fn target(
        &mut self,
        kind: JumpKind,
        label: Option<&Lifetime>,
        valued: bool,
        place: Span,
    ) -> Lifetime {
        let same = |jump: &&Jump| {
            jump.kind == kind && jump.label.as_ref() == label && jump.valued == valued
        };
        if let Some(jump) = self.found.iter().find(same) {
            return jump.inner.clone();
        }
        let name = format_ident!("__async_with_jump_{}", self.found.len());
        let inner = Lifetime {
            apostrophe: self.span,
            ident: syn::Ident::new(&name.to_string(), self.span),
        };
        self.found.push(Jump {
            kind,
            label: label.cloned(),
            inner: inner.clone(),
            valued,
            place,
        });
        inner
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

    /// A macro's arguments, where they are expressions or statements; anything else stays as it is, and rustc reports a
    /// jump in it.
    fn macro_arguments(&mut self, tokens: TokenStream, name: &str) -> TokenStream {
        if !mentions_jump(tokens.clone()) {
            return tokens;
        }
        let outer = self.unlabeled;
        self.unlabeled &= is_transparent(name);
        let rewritten = match name {
            "select" => (|input: ParseStream<'_>| self.select(input))
                .parse2(tokens.clone())
                .ok(),
            "async_with" => Some(self.nested_block(tokens.clone())),
            _ => self.expressions(tokens.clone()),
        };
        self.unlabeled = outer;
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

fn name(label: Option<&Label>) -> Option<Lifetime> {
    label.map(|label| label.name.clone())
}

/// Macros that are known not to put their arguments into a loop.
fn is_transparent(name: &str) -> bool {
    const KNOWN: &[&str] = &[
        "select",
        "async_with",
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
    KNOWN.contains(&name)
}

impl VisitMut for Jumps {
    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        let span = self.span;
        match expr {
            Expr::Break(jump) if self.leaves(jump.label.as_ref()) => {
                if let Some(value) = &mut jump.expr {
                    self.visit_expr_mut(value);
                }
                let inner = self.target(
                    JumpKind::Break,
                    jump.label.as_ref(),
                    jump.expr.is_some(),
                    jump.break_token.span,
                );
                jump.label = Some(inner);
            }
            Expr::Continue(jump) if self.leaves(jump.label.as_ref()) => {
                let inner = self.target(
                    JumpKind::Continue,
                    jump.label.as_ref(),
                    false,
                    jump.continue_token.span,
                );
                *expr = Expr::Break(ExprBreak {
                    attrs: std::mem::take(&mut jump.attrs),
                    break_token: Token![break](span),
                    label: Some(inner),
                    expr: None,
                });
            }
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

    fn visit_macro_mut(&mut self, invocation: &mut Macro) {
        let name = invocation
            .path
            .segments
            .last()
            .map(|last| last.ident.to_string());
        let tokens = std::mem::take(&mut invocation.tokens);
        invocation.tokens = self.macro_arguments(tokens, name.as_deref().unwrap_or_default());
    }

    fn visit_item_mut(&mut self, _: &mut syn::Item) {}
}

/// The break of a jump, as the enclosing function sees it.
pub(crate) fn reissue(jump: &Jump, value: &TokenStream, span: Span) -> TokenStream {
    let label = &jump.label;
    let span = span.located_at(jump.place);
    match jump.kind {
        JumpKind::Break if jump.valued => quote_spanned!(span=> break #label #value),
        JumpKind::Break => quote_spanned!(span=> break #label),
        JumpKind::Continue => quote_spanned! {span=>
            { #[allow(clippy::needless_continue)] continue #label; }
        },
    }
}
