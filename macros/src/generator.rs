//! `#[async_context_manager]` above an `async fn`: the code before its `yield_!` is enter, the code behind it is exit.
//!
//! ```text
//! Input:  async fn open(path: PathBuf) -> io::Result<File> {
//!             let mut file = File::open(path).await?;
//!             let cause = yield_!(&mut file);
//!             file.sync_all().await
//!         }
//! Output: fn open(path: PathBuf) -> Generated<File, io::Error, ()> {
//!             let __body = move |__yielder| async move {
//!                 let path = path;
//!                 ended({
//!                     let mut file = File::open(path).await?;
//!                     let cause = __yielder.give(&mut file).await;
//!                     file.sync_all().await
//!                 })
//!             };
//!             unsafe { surviving(__body) }
//!         }
//! ```
//!
//! That every path yields once is checked here, on the syntax: in order, branch by branch.
//!
//! The `unsafe` promises that each yield is awaited in place. Nobody else can do so: only these tokens can name the
//! yielder, no yield is left in another macro, and the blocks around one are expanded by the macro of that name which is
//! ours. No token of the user's stands in it. Lints do not look into it, `forbid(unsafe_code)` included, because it has
//! the span of an attribute of another crate.

use std::mem;

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::parse::{ParseStream, Parser};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::visit_mut::{self, VisitMut};
use syn::{
    Attribute, Block, Expr, ExprAsync, ExprClosure, ExprForLoop, ExprIf, ExprLoop, ExprMatch,
    ExprReturn, ExprWhile, FnArg, GenericParam, Generics, Item, ItemFn, Lifetime, Macro, Pat, Path,
    ReceiverKind, ReturnType, Stmt, Token, Type, TypeImplTrait, TypeParamBound, TypeReference,
    WherePredicate, parse_quote, parse_quote_spanned,
};

use crate::attribute::runtime_crate;
use crate::errors::Errors;
use crate::{parse, sugar};

/// `crate = path`, `scoped`, `suppresses`.
struct Arguments {
    path: Path,
    scoped: bool,
    suppresses: bool,
}

impl Arguments {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut arguments = Self {
            path: runtime_crate(input)?,
            scoped: false,
            suppresses: false,
        };
        while !input.is_empty() {
            let name: Ident = input.parse()?;
            match name.to_string().as_str() {
                "scoped" => arguments.scoped = true,
                "suppresses" => arguments.suppresses = true,
                _ => {
                    let message = format!(
                        "unknown argument `{name}`; there are `scoped`, `suppresses` and `crate = path`"
                    );
                    return Err(syn::Error::new(name.span(), message));
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(arguments)
    }
}

/// Expands the attribute on a function. With an error in it, a function with the same signature is kept, so that those
/// who use it see no second error.
pub(crate) fn expand(arguments: TokenStream, mut function: ItemFn) -> TokenStream {
    let mut errors = Errors::default();
    let arguments = Arguments::parse.parse2(arguments);
    let arguments = arguments.unwrap_or_else(|error| {
        errors.push(error);
        Arguments {
            path: parse_quote!(::async_with),
            scoped: false,
            suppresses: false,
        }
    });
    let is_block = |attribute: &mut Attribute| {
        let name = attribute.path().segments.last();
        name.is_some_and(|name| name.ident == "async_with")
    };
    for attribute in function.attrs.extract_if(.., is_block) {
        errors.on(
            &attribute,
            "`#[async_with]` below `#[async_context_manager]`; write it above",
        );
    }
    let output = check_signature(&function, &mut errors);
    let mut yields = Yields::new(&arguments.path, &mut errors);
    yields.visit_block_mut(&mut function.block);
    let found = yields.yielded.is_some() || yields.misplaced;
    if !found && errors.count() == 0 {
        errors.at(
            function.sig.ident.span(),
            "no `yield_!` in this manager; write `yield_!(resource)` between its set-up and its clean-up",
        );
    }
    let failed = errors.count() > 0;
    let mut expanded = manager(function, &arguments, output.as_ref(), failed);
    if let Err(error) = errors.check() {
        expanded.extend(error.to_compile_error());
    }
    expanded
}

/// Returns the function's return type.
fn check_signature(function: &ItemFn, errors: &mut Errors) -> Option<TokenStream> {
    let signature = &function.sig;
    if signature.asyncness.is_none() {
        errors.on(
            &signature.fn_token,
            "`#[async_context_manager]` on a function that is not async; write `async fn`",
        );
    }
    match &signature.output {
        ReturnType::Type(_, ty) if !sugar::may_be_result(ty) => {
            errors.push(sugar::no_result(&signature.ident, ty));
            None
        }
        ReturnType::Type(_, ty) => Some(ty.to_token_stream()),
        ReturnType::Default => {
            errors.on(
                &signature.ident,
                "this manager returns no `Result`; write `-> Result<Resource, Error>`, with `Infallible` if it cannot fail",
            );
            None
        }
    }
}

fn manager(
    mut function: ItemFn,
    arguments: &Arguments,
    output: Option<&TokenStream>,
    failed: bool,
) -> TokenStream {
    let span = Span::mixed_site();
    let path = &arguments.path;
    let runtime = quote_spanned!(span=> #path::expansion);
    let (resource, error) = match output {
        Some(output) => (
            quote_spanned!(span=> <#output as #runtime::ResultParts>::Value),
            quote_spanned!(span=> <#output as #runtime::ResultParts>::Error),
        ),
        None => (
            quote_spanned!(span=> ()),
            quote_spanned!(span=> ::core::convert::Infallible),
        ),
    };
    let suppresses = arguments.suppresses || mentions(&function.block.to_token_stream(), "Verdict");
    let exit = if suppresses {
        quote_spanned!(span=> #path::Verdict)
    } else {
        quote_spanned!(span=> ())
    };
    let result = quote_spanned!(span=> #runtime::Result<#exit, #error>);
    let scoped = arguments.scoped || borrows(&function);
    // The edition of the keyword decides what the type captures.
    let keyword = quote_spanned!(span=> impl);
    function.sig.output = if scoped {
        parse_quote_spanned! {span=>
            -> #runtime::ScopedGenerated<
                #resource, #error, #exit, #keyword ::core::future::Future<Output = #result>,
            >
        }
    } else {
        parse_quote_spanned!(span=> -> #runtime::Generated<#resource, #error, #exit>)
    };
    function.sig.asyncness = None;
    let make = Ident::new(if scoped { "scoped" } else { "surviving" }, span);
    let moves = moves(&mut function);
    let body = &function.block;
    let braces = body.brace_token.span.join();
    let yielder = quote_spanned!(span=> __yielder: #runtime::Yielder<#resource, #error>);
    // What the message about a wrong end of the body points to.
    let last = body.stmts.last().map_or(braces, Spanned::span);
    let end = span.located_at(last);
    let ended = quote_spanned!(end=> #runtime::ended(0, &__return, __tail));
    let suspended = if failed {
        quote_spanned!(span=> ::core::future::pending::<#result>())
    } else {
        quote_spanned! {span=>
            async move {
                let __return = #runtime::Ty::<#result>::new();
                if false { return __return.value(); }
                #(#moves)*
                #[allow(unreachable_code, clippy::diverging_sub_expression, clippy::let_unit_value)]
                {
                    let __tail = #body;
                    #ended
                }
            }
        }
    };
    *function.block = parse_quote_spanned! {span=>
        {
            let __body = move |#yielder| #suspended;
            unsafe { #runtime::#make(__body) }
        }
    };
    function.block.brace_token = syn::token::Brace(span.located_at(braces));
    function.into_token_stream()
}

/// `let x = x;` for each parameter: as in an async function, all of them are in the future.
fn moves(function: &mut ItemFn) -> Vec<Stmt> {
    let span = Span::mixed_site();
    let mut moves = Vec::new();
    for (number, input) in function.sig.inputs.iter_mut().enumerate() {
        let FnArg::Typed(input) = input else { continue };
        let pat = input.pat.to_token_stream();
        let name = match &mut *input.pat {
            Pat::Ident(ident) if ident.by_ref.is_none() && ident.subpat.is_none() => {
                ident.mutability = None;
                ident.ident.clone()
            }
            other => {
                let name = format_ident!("__argument_{number}", span = span);
                *other = parse_quote!(#name);
                name
            }
        };
        moves.push(parse_quote_spanned! {span=>
            #[allow(clippy::no_effect_underscore_binding, clippy::used_underscore_binding)]
            #[allow(unused_variables, unused_mut)]
            let #pat = #name;
        });
    }
    moves
}

fn mentions(tokens: &TokenStream, name: &str) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Ident(word) => word == name,
        TokenTree::Group(group) => mentions(&group.stream(), name),
        _ => false,
    })
}

// --- Which kind ---------------------------------------------------------------------------------------------------------

/// Whether the future may borrow something: then it cannot survive its block.
fn borrows(function: &ItemFn) -> bool {
    let generics = &function.sig.generics;
    let mut borrows = Borrows {
        found: false,
        generics,
    };
    if generics.lifetimes().next().is_some() {
        return true;
    }
    for input in &function.sig.inputs {
        match input {
            FnArg::Receiver(receiver) => borrows.visit_receiver_kind(&receiver.kind),
            FnArg::Typed(input) => borrows.visit_type(&input.ty),
        }
    }
    borrows.found
}

struct Borrows<'a> {
    found: bool,
    generics: &'a Generics,
}

impl<'ast> Visit<'ast> for Borrows<'_> {
    fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
        self.found |= reference.lifetime.as_ref().is_none_or(may_end);
        visit::visit_type_reference(self, reference);
    }

    fn visit_receiver_kind(&mut self, kind: &'ast ReceiverKind) {
        self.found |= matches!(kind, ReceiverKind::Reference(..));
        visit::visit_receiver_kind(self, kind);
    }

    fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
        self.found |= may_end(lifetime);
    }

    fn visit_type_impl_trait(&mut self, ty: &'ast TypeImplTrait) {
        self.found |= !survives(ty.bounds.iter());
        visit::visit_type_impl_trait(self, ty);
    }

    fn visit_path(&mut self, path: &'ast Path) {
        if let Some(name) = path.get_ident() {
            let is_parameter = |param: &&GenericParam| matches!(param, GenericParam::Type(ty) if ty.ident == *name);
            if let Some(GenericParam::Type(param)) = self.generics.params.iter().find(is_parameter)
            {
                let clause = self
                    .generics
                    .where_clause
                    .iter()
                    .flat_map(|clause| &clause.predicates);
                let more = clause.filter_map(|predicate| match predicate {
                    WherePredicate::Type(predicate) => match &predicate.bounded_ty {
                        Type::Path(ty) if ty.path.is_ident(name) => Some(&predicate.bounds),
                        _ => None,
                    },
                    _ => None,
                });
                self.found |= !survives(param.bounds.iter().chain(more.flatten()));
            }
        }
        visit::visit_path(self, path);
    }
}

fn may_end(lifetime: &Lifetime) -> bool {
    lifetime.ident != "static"
}

/// Whether the bounds say `Send + 'static`.
fn survives<'a>(bounds: impl Iterator<Item = &'a TypeParamBound>) -> bool {
    let (mut send, mut lives) = (false, false);
    for bound in bounds {
        match bound {
            TypeParamBound::Trait(bound) => {
                let name = bound.path.segments.last();
                send |= name.is_some_and(|name| name.ident == "Send");
            }
            TypeParamBound::Lifetime(lifetime) => lives |= !may_end(lifetime),
            _ => {}
        }
    }
    send && lives
}

// --- The yield ----------------------------------------------------------------------------------------------------------

/// Walks through the body in the order in which it runs, replaces the yield, and tells which `return` stands behind it.
struct Yields<'a> {
    path: &'a Path,
    errors: &'a mut Errors,
    yielded: Option<Span>,
    /// A yield was found where it cannot be, and there was an error for it.
    misplaced: bool,
    /// What the code is inside of, where no yield can be.
    inside: Option<Inside>,
}

#[derive(Clone, Copy, PartialEq)]
enum Inside {
    Loop,
    Closure,
    Async,
    Function,
}

impl Inside {
    /// Whether a `return` in it is the manager's.
    fn returns(self) -> bool {
        self == Inside::Loop
    }
}

/// Parts of the code of which only one runs.
struct Branches {
    /// The yield in front of them.
    before: Option<Span>,
    /// For each part, where it is, whether control goes on behind it, and the yield so far.
    after: Vec<(Span, bool, Option<Span>)>,
}

impl Branches {
    fn behind(yields: &Yields<'_>) -> Self {
        Self {
            before: yields.yielded,
            after: Vec::new(),
        }
    }
}

impl<'a> Yields<'a> {
    fn new(path: &'a Path, errors: &'a mut Errors) -> Self {
        Self {
            path,
            errors,
            yielded: None,
            misplaced: false,
            inside: None,
        }
    }

    fn within(&mut self, inside: Inside, walk: impl FnOnce(&mut Self)) {
        // A loop in a closure is a closure to the yield.
        let before = self.inside;
        if before.is_none_or(Inside::returns) {
            self.inside = Some(inside);
        }
        walk(self);
        self.inside = before;
    }

    /// Walks through one of several parts of which only one runs.
    fn branch(
        &mut self,
        branches: &mut Branches,
        place: Span,
        goes_on: bool,
        walk: impl FnOnce(&mut Self),
    ) {
        self.yielded = branches.before;
        walk(self);
        branches.after.push((place, goes_on, self.yielded));
    }

    /// Goes on behind the parts. Where one of them has yielded, all that go on must have.
    fn join(&mut self, branches: Branches) {
        let Branches { before, after } = branches;
        self.yielded = before.or_else(|| after.iter().find_map(|(_, _, yielded)| *yielded));
        if before.is_some() || self.yielded.is_none() {
            return;
        }
        for (place, goes_on, yielded) in after {
            if goes_on && yielded.is_none() {
                self.misplaced = true;
                self.errors.at(
                    place,
                    "this path has no `yield_!`, and another one has; yield exactly once on every path",
                );
            }
        }
    }

    /// Replaces the yield, if the macro is one.
    fn yields(&mut self, mac: &Macro) -> Option<Expr> {
        let name = mac.path.segments.last()?;
        if name.ident != "yield_" {
            return None;
        }
        let place = name.ident.span();
        let message = match self.inside {
            Some(Inside::Loop) => {
                Some("`yield_!` in a loop; a manager has one resource, yield it behind the loop")
            }
            Some(Inside::Closure) => {
                Some("`yield_!` in a closure; write it in the function itself")
            }
            Some(Inside::Async) => {
                Some("`yield_!` in an `async` block; write it in the function itself")
            }
            Some(Inside::Function) => Some(
                "`yield_!` in a nested function; it belongs to the function with `#[async_context_manager]`",
            ),
            None if self.yielded.is_some() => Some(
                "a second `yield_!`; a manager has one resource, use a tuple for several values",
            ),
            None => None,
        };
        if let Some(message) = message {
            self.misplaced = true;
            self.errors.at(place, message);
            return Some(parse_quote!(::core::unreachable!()));
        }
        self.yielded = Some(place);
        match Given::parse.parse2(mac.tokens.clone()) {
            Ok(Given {
                resource,
                interrupt,
            }) => {
                let span = Span::mixed_site().located_at(place);
                let until = interrupt.map(|future| quote_spanned!(span=> .until(#future)));
                Some(parse_quote_spanned!(span=> __yielder.give(#resource) #until .await))
            }
            Err(error) => {
                self.errors.push(error);
                Some(parse_quote!(::core::unreachable!()))
            }
        }
    }

    /// Looks into a block of ours; complains of a yield in any other macro. Returns what the macro becomes if it has the
    /// yield.
    fn inside_macro(&mut self, mac: &mut Macro) -> Option<Expr> {
        let is_block = mac
            .path
            .segments
            .last()
            .is_some_and(|name| name.ident == "async_with");
        let concerned = has_yield(&mac.tokens) || mentions(&mac.tokens, "return");
        if !concerned {
            return None;
        }
        if !is_block {
            if let Some(place) = find_yield(&mac.tokens) {
                self.misplaced = true;
                self.errors.at(
                    place,
                    "`yield_!` in another macro; write `let .. = yield_!(..);` in front of it",
                );
                mac.tokens = TokenStream::new();
                mac.path = parse_quote!(::core::unreachable);
            }
            return None;
        }
        let tokens: Vec<TokenTree> = mac.tokens.clone().into_iter().collect();
        let Ok(block) = parse::Block::parse(mac.tokens.clone()) else {
            // The block says what is wrong with it.
            return None;
        };
        let Ok(statements) = Block::parse_within.parse2(block.body.stream()) else {
            return None;
        };
        let span = block.body.span();
        let mut body = Block {
            brace_token: syn::token::Brace(span),
            stmts: statements,
        };
        let before = self.yielded;
        self.visit_block_mut(&mut body);
        let has_yielded = before.is_none() && self.yielded.is_some();
        if let Some(otherwise) = &block.otherwise
            && has_yielded
        {
            self.errors.at(
                otherwise.span_open(),
                "`else` of a block with the `yield_!`; it would run without having yielded",
            );
        }
        let site = Span::mixed_site().located_at(span);
        let path = self.path;
        let body = if has_yielded {
            quote_spanned!(site=> #path::expansion::AfterYield(#body))
        } else {
            let statements = &body.stmts;
            quote!(#(#statements)*)
        };
        let mut group = Group::new(Delimiter::Brace, body);
        group.set_span(span);
        mac.tokens = replace_body(&tokens, &block.body, group);
        if !has_yielded {
            return None;
        }
        // Another macro of that name might do anything with the yield. The one that is meant is mentioned all the same:
        // its import is used.
        let site = Span::mixed_site().located_at(mac.path.span());
        let ours = parse_quote_spanned!(site=> #path::async_with);
        let meant = mem::replace(&mut mac.path, ours);
        Some(parse_quote_spanned! {site=> {
            #meant! { @mention }
            (#mac).0
        }})
    }
}

/// `resource, interrupt = future`.
struct Given {
    resource: Expr,
    interrupt: Option<Expr>,
}

impl Given {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.is_empty() {
            return Ok(Self {
                resource: parse_quote!(()),
                interrupt: None,
            });
        }
        let resource = input.parse()?;
        let mut interrupt = None;
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
        if !input.is_empty() {
            let name: Ident = input.parse()?;
            if name != "interrupt" {
                return Err(syn::Error::new(
                    name.span(),
                    "`yield_!` takes one resource; use a tuple for several values",
                ));
            }
            input.parse::<Token![=]>()?;
            interrupt = Some(input.parse()?);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        if !input.is_empty() {
            return Err(input.error("`yield_!` takes one resource; use a tuple for several values"));
        }
        Ok(Self {
            resource,
            interrupt,
        })
    }
}

fn has_yield(tokens: &TokenStream) -> bool {
    find_yield(tokens).is_some()
}

fn find_yield(tokens: &TokenStream) -> Option<Span> {
    tokens.clone().into_iter().find_map(|token| match token {
        TokenTree::Ident(word) if word == "yield_" => Some(word.span()),
        TokenTree::Group(group) => find_yield(&group.stream()),
        _ => None,
    })
}

/// The tokens of a block, with another body: the last group that is the same, before an `else`.
fn replace_body(tokens: &[TokenTree], old: &Group, new: Group) -> TokenStream {
    let is_else = |token: &TokenTree| matches!(token, TokenTree::Ident(word) if word == "else");
    let end = tokens.iter().rposition(is_else).unwrap_or(tokens.len());
    let old = old.to_string();
    let is_body =
        |token: &TokenTree| matches!(token, TokenTree::Group(group) if group.to_string() == old);
    let mut tokens = tokens.to_vec();
    if let Some(at) = tokens[..end].iter().rposition(is_body) {
        tokens[at] = TokenTree::Group(new);
    }
    tokens.into_iter().collect()
}

/// Whether control goes on behind a block: not, as far as syntax shows, behind a `return`, a panic or an endless loop.
fn goes_on(block: &Block) -> bool {
    !matches!(block.stmts.last(), Some(last) if ends(last))
}

fn ends(statement: &Stmt) -> bool {
    match statement {
        Stmt::Expr(expr, _) => expr_ends(expr),
        Stmt::Macro(mac) => panics(&mac.mac),
        _ => false,
    }
}

fn expr_ends(expr: &Expr) -> bool {
    match expr {
        Expr::Return(_) => true,
        Expr::Macro(mac) => panics(&mac.mac),
        Expr::Block(block) => !goes_on(&block.block),
        Expr::Paren(paren) => expr_ends(&paren.expr),
        Expr::Loop(endless) => !mentions(&endless.body.to_token_stream(), "break"),
        _ => false,
    }
}

fn panics(mac: &Macro) -> bool {
    let names = ["panic", "unreachable", "todo", "unimplemented", "bail"];
    let name = mac.path.segments.last();
    name.is_some_and(|name| names.iter().any(|other| name.ident == other))
}

impl VisitMut for Yields<'_> {
    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        if let Expr::Macro(mac) = expr {
            if let Some(replaced) = self.yields(&mac.mac) {
                *expr = replaced;
                return;
            }
            if let Some(replaced) = self.inside_macro(&mut mac.mac) {
                *expr = replaced;
            }
            return;
        }
        visit_mut::visit_expr_mut(self, expr);
    }

    fn visit_block_mut(&mut self, block: &mut Block) {
        let last = block.stmts.len().saturating_sub(1);
        for (number, statement) in block.stmts.iter_mut().enumerate() {
            let Stmt::Macro(mac) = statement else {
                self.visit_stmt_mut(statement);
                continue;
            };
            let is_tail = number == last && mac.semi_token.is_none();
            let semi = (!is_tail).then(|| Token![;](mac.mac.span()));
            let replaced = self.yields(&mac.mac);
            if let Some(replaced) = replaced.or_else(|| self.inside_macro(&mut mac.mac)) {
                *statement = Stmt::Expr(replaced, semi);
            }
        }
    }

    fn visit_expr_if_mut(&mut self, expr: &mut ExprIf) {
        self.visit_expr_mut(&mut expr.cond);
        let mut branches = Branches::behind(self);
        let then = &mut expr.then_branch;
        let (place, then_goes_on) = (then.span(), goes_on(then));
        self.branch(&mut branches, place, then_goes_on, |this| {
            this.visit_block_mut(then);
        });
        match &mut expr.else_branch {
            Some((_, otherwise)) => {
                let (place, goes_on) = (otherwise.span(), !expr_ends(otherwise));
                self.branch(&mut branches, place, goes_on, |this| {
                    this.visit_expr_mut(otherwise);
                });
            }
            None => self.branch(&mut branches, expr.if_token.span, true, |_| {}),
        }
        self.join(branches);
    }

    fn visit_expr_match_mut(&mut self, expr: &mut ExprMatch) {
        self.visit_expr_mut(&mut expr.expr);
        let mut branches = Branches::behind(self);
        for arm in &mut expr.arms {
            let (place, goes_on) = (arm.pat.span(), !expr_ends(&arm.body));
            self.branch(&mut branches, place, goes_on, |this| {
                this.visit_arm_mut(arm);
            });
        }
        self.join(branches);
    }

    fn visit_expr_loop_mut(&mut self, expr: &mut ExprLoop) {
        self.within(Inside::Loop, |this| {
            visit_mut::visit_expr_loop_mut(this, expr);
        });
    }

    fn visit_expr_while_mut(&mut self, expr: &mut ExprWhile) {
        self.within(Inside::Loop, |this| {
            visit_mut::visit_expr_while_mut(this, expr);
        });
    }

    fn visit_expr_for_loop_mut(&mut self, expr: &mut ExprForLoop) {
        self.visit_expr_mut(&mut expr.expr);
        self.within(Inside::Loop, |this| this.visit_block_mut(&mut expr.body));
    }

    fn visit_expr_closure_mut(&mut self, expr: &mut ExprClosure) {
        self.within(Inside::Closure, |this| {
            visit_mut::visit_expr_closure_mut(this, expr);
        });
    }

    fn visit_expr_async_mut(&mut self, expr: &mut ExprAsync) {
        self.within(Inside::Async, |this| {
            visit_mut::visit_expr_async_mut(this, expr);
        });
    }

    fn visit_item_mut(&mut self, item: &mut Item) {
        self.within(Inside::Function, |this| {
            visit_mut::visit_item_mut(this, item);
        });
    }

    fn visit_expr_return_mut(&mut self, expr: &mut ExprReturn) {
        visit_mut::visit_expr_return_mut(self, expr);
        if !self.inside.is_none_or(Inside::returns) {
            return;
        }
        let path = self.path;
        let span = Span::mixed_site().located_at(expr.return_token.span);
        let value = expr.expr.take();
        if self.yielded.is_some() {
            let value = value.map_or_else(|| quote!(()), |value| quote!(#value));
            expr.expr =
                Some(parse_quote_spanned!(span=> #path::expansion::ended(0, &__return, #value)));
            return;
        }
        match value {
            Some(value) if !is_ok(&value) => {
                expr.expr =
                    Some(parse_quote_spanned!(span=> #path::expansion::failed(&__return, #value)));
            }
            value => {
                self.misplaced = true;
                self.errors.at(
                    expr.return_token.span,
                    "`return` before the `yield_!`; only an error may leave here, `return Err(..)`",
                );
                expr.expr = value;
            }
        }
    }
}

fn is_ok(expr: &Expr) -> bool {
    let Expr::Call(call) = expr else { return false };
    matches!(&*call.func, Expr::Path(path) if path.path.segments.last().is_some_and(|name| name.ident == "Ok"))
}
