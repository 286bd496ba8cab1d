//! The inside of a generator: what `#[async_context_manager]` has left of a function's body, with the `yield_!` in it.
//!
//! ```text
//! Input:  $crate unsafe open surviving [File, io::Error, ()] { let path = path; } {
//!             let mut file = File::open(path).await?;
//!             let cause = yield_!(&mut file);
//!             file.sync_all().await
//!         }
//! Output: {
//!             let body = move |yielder| async move {
//!                 let path = path;
//!                 ended('place: {
//!                     let mut file = File::open(path).await?;
//!                     let cause = Permit::give(unsafe {
//!                         if false { break 'place no_jump(); }
//!                         Yielder::permit(&yielder)
//!                     }, &mut file).await;
//!                     file.sync_all().await
//!                 })
//!             };
//!             unsafe { surviving(body) }
//!         }
//! ```
//!
//! That every path yields once is checked here, on the syntax: in order, branch by branch.
//!
//! # Why nobody else can make the promises
//!
//! The word `unsafe` is not made here. It comes with the input, from the macro [`generator!`] of the runtime crate, and
//! the path of that crate stands beside it. Whoever wants it beside another path has to write it himself, and a macro
//! that only has the name of that one gets what the user wrote. So this is safe if it is so with any input behind the two:
//!
//! - No token of the input stands in an `unsafe` block.
//! - What yields is awaited where it is made, and where that is, is what rustc says: no `break` leaves a closure, an
//!   `async` block or a function. The label is that of the body, or of the body of a block of ours that is awaited in
//!   place in its turn; labels are hygienic, so that nobody else has one of that name.
//! - No user's macro gets the yield: the blocks around it are expanded by our path, and no other macro has one in it.
//! - The yielder is not the user's: the closure's parameter is hygienic as well, and no other value has its type, because
//!   only the two functions that are `unsafe` make one.
//!
//! [`generator!`]: https://docs.rs/async-with

use std::mem;

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{
    Block, Expr, ExprAsync, ExprCall, ExprClosure, ExprForLoop, ExprIf, ExprLoop, ExprMatch,
    ExprReturn, ExprWhile, ExprYield, Item, Lifetime, Macro, Stmt, Token, Type, braced, bracketed,
    parse_quote, parse_quote_spanned,
};

use crate::errors::{self, Errors};
use crate::generator::mentions;
use crate::names::Suffix;
use crate::{parse, place};

/// The inside of `generator!`.
struct Generator {
    runtime: Runtime,
    /// The function, the place of what is wrong with all of it.
    name: Ident,
    /// Whether its exit survives cancellation.
    survives: bool,
    /// Whether something is wrong with the signature.
    failed: bool,
    /// Of the resource, of what it fails with, and of how its exit decides.
    types: [Type; 3],
    /// `let x = x;`, for each parameter.
    moves: Block,
    body: Block,
}

/// What only the runtime crate has to give.
struct Runtime {
    /// `$crate`, whose span gives generated tokens their hygiene.
    path: Ident,
    unsafety: Token![unsafe],
    suffix: Suffix,
}

impl Runtime {
    fn span(&self) -> Span {
        self.path.span()
    }

    /// The path of what the expansion calls.
    fn expansion(&self, span: Span) -> TokenStream {
        let mut path = self.path.clone();
        path.set_span(span);
        quote_spanned!(span=> #path::expansion)
    }

    /// The name of what the expansion binds.
    fn local(&self, name: &str, span: Span) -> Ident {
        self.suffix.name(&format!("async_with_{name}"), span)
    }

    /// An `unsafe` block, which is where the word is to rustc.
    fn promise(&self, inside: TokenStream) -> TokenStream {
        let Self { unsafety, .. } = self;
        let mut block = Group::new(Delimiter::Brace, inside);
        block.set_span(unsafety.span);
        quote!(#unsafety #block)
    }
}

impl Generator {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let (path, unsafety) = (input.parse()?, input.parse()?);
        let name: Ident = input.parse()?;
        let runtime = Runtime {
            path,
            unsafety,
            suffix: Suffix::of(&name.to_token_stream()),
        };
        let survives = input.parse::<Ident>()? == "surviving";
        let failed = input.parse::<Option<Ident>>()?.is_some();
        let list;
        bracketed!(list in input);
        let types = Punctuated::<Type, Token![,]>::parse_terminated(&list)?;
        let types = types.into_iter().collect::<Vec<_>>().try_into();
        Ok(Self {
            runtime,
            name,
            survives,
            failed,
            types: types.map_err(|_| input.error("expected three types"))?,
            moves: input.parse()?,
            body: body(input)?,
        })
    }

    /// The place of the future in messages.
    fn span(&self) -> Span {
        self.runtime.span().located_at(self.name.span())
    }

    /// Checks and replaces the yield.
    fn yields(&mut self) -> Result<(), syn::Error> {
        let mut errors = Errors::default();
        let mut yields = Yields::new(&self.runtime, &mut errors);
        yields.visit_block_mut(&mut self.body);
        let found = yields.yielded.is_some() || yields.misplaced;
        let (written_otherwise, unread) = (yields.written_otherwise, yields.unread);
        if !found && errors.count() == 0 && !self.failed && !unread {
            match written_otherwise {
                Some(place) => errors.at(place, "a manager yields with a macro; write `yield_!(resource)`"),
                None => errors.at(
                    self.name.span(),
                    "no `yield_!` in this manager; write `yield_!(resource)` between its set-up and its clean-up",
                ),
            }
        }
        errors.check()
    }

    fn expand(&self, failed: bool) -> TokenStream {
        let span = self.span();
        let runtime = self.runtime.expansion(span);
        let [resource, error, exit] = &self.types;
        let result = quote_spanned!(span=> #runtime::Result<#exit, #error>);
        let future = if failed {
            quote_spanned!(span=> #runtime::pending::<#result>())
        } else {
            self.future(&result)
        };
        let [types, body, yielder] =
            ["types", "body", "yielder"].map(|name| self.runtime.local(name, span));
        let manager = self.runtime.promise(if self.survives {
            quote_spanned!(span=> #runtime::surviving(#body))
        } else {
            quote_spanned!(span=> #runtime::scoped(#body))
        });
        quote_spanned! {span=>
            let #types = #runtime::Ty::<(#resource, #error)>::new();
            let #body = #runtime::body(&#types, move |#yielder| #future);
            #manager
        }
    }

    /// The body as a future.
    fn future(&self, result: &TokenStream) -> TokenStream {
        let span = self.span();
        let runtime = self.runtime.expansion(span);
        let Self { moves, body, .. } = self;
        let statements = &body.stmts;
        // Anything else might go on with what stands behind it, as `|| return` does.
        let moves = moves
            .stmts
            .iter()
            .filter(|statement| matches!(statement, Stmt::Local(_)));
        let braces = body.brace_token.span.join();
        // What the message about a wrong end of the body points to.
        let last = body.stmts.last().map_or(braces, Spanned::span);
        let end = span.located_at(last);
        let [returns, tail] = ["return", "tail"].map(|name| self.runtime.local(name, end));
        let ending = self.runtime.expansion(end);
        let ended = quote_spanned!(end=> #ending::ended(0, &#returns, #tail));
        // To the lints, the braces of a body that ends with what is generated are not the user's.
        let body = group(span.located_at(braces), quote!(#(#statements)*));
        let place = label(span, 0);
        quote_spanned! {span=>
            async move {
                let #returns = #runtime::Ty::<#result>::new();
                if false { return #runtime::Ty::value(&#returns); }
                #(#moves)*
                #[allow(unreachable_code, clippy::diverging_sub_expression, clippy::let_unit_value)]
                {
                    let #tail = #place: #body;
                    #ended
                }
            }
        }
    }
}

/// Expands the inside of a generator: an expression.
pub(crate) fn expand(input: TokenStream) -> TokenStream {
    let mut generator = match Generator::parse.parse2(input) {
        Ok(generator) => generator,
        Err(error) => return errors::as_expression(&error),
    };
    let error = generator.yields().err();
    let expanded = generator.expand(generator.failed || error.is_some());
    let error = error.map(|error| error.to_compile_error());
    quote!({ #error #expanded })
}

/// The label of a body that the yield may be in, by how many others are around it.
fn label(span: Span, depth: usize) -> Lifetime {
    let mut label = Lifetime::new(&format!("'__async_with_place_{depth}"), span);
    label.ident.set_span(span);
    label
}

/// Walks through the body in the order in which it runs, replaces the yield, and tells which `return` stands behind it.
struct Yields<'a> {
    runtime: &'a Runtime,
    errors: &'a mut Errors,
    yielded: Option<Span>,
    /// A yield was found where it cannot be, and there was an error for it.
    misplaced: bool,
    /// There is something that is no Rust, or not yet: the yield may be in it.
    unread: bool,
    /// What may have been meant as one.
    written_otherwise: Option<Span>,
    /// What the code is inside of, where no yield can be.
    inside: Option<Inside>,
    /// How many blocks of ours are around it.
    depth: usize,
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
    fn new(runtime: &'a Runtime, errors: &'a mut Errors) -> Self {
        Self {
            runtime,
            errors,
            yielded: None,
            misplaced: false,
            unread: false,
            written_otherwise: None,
            inside: None,
            depth: 0,
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
        let given = Given::parse.parse2(mac.tokens.clone()).map(|mut given| {
            self.visit_expr_mut(&mut given.resource);
            if let Some(interrupt) = &mut given.interrupt {
                self.visit_expr_mut(interrupt);
            }
            given
        });
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
        Some(match given {
            Ok(given) => self.give(&given, place),
            Err(error) => {
                self.errors.push(error);
                parse_quote!(::core::unreachable!())
            }
        })
    }

    /// What stands for the yield. It is awaited right there.
    fn give(&self, given: &Given, place: Span) -> Expr {
        let on = self.runtime.span().located_at(place);
        let span = place::start(on);
        let runtime = self.runtime.expansion(span);
        let in_place = self.in_place(span);
        let yielder = self.runtime.local("yielder", span);
        let permit = self.runtime.promise(quote_spanned! {span=>
            #in_place
            #runtime::Yielder::permit(&#yielder)
        });
        let resource = &given.resource;
        let give = quote_spanned!(span=> #runtime::Permit::give(#permit, #resource));
        let given = match &given.interrupt {
            None => quote_spanned!(span=> #give.await),
            Some(future) => quote_spanned!(span=> #runtime::Yield::until(#give, #future).await),
        };
        // Mentioned for editors, which are to show this macro, and nothing of what it becomes.
        let (path, name) = (&self.runtime.path, Ident::new("yield_", on));
        parse_quote_spanned! {span=>
            {
                #[allow(unused_imports)]
                use #path::#name as _;
                #given
            }
        }
    }

    /// A statement that compiles only in the body that the walk is in, and not in a closure or an `async` block in it.
    fn in_place(&self, span: Span) -> TokenStream {
        let runtime = self.runtime.expansion(span);
        let body = label(self.runtime.span(), self.depth);
        quote_spanned!(span=> if false { break #body #runtime::no_jump(); })
    }

    /// Looks into a block of ours; complains of a yield in any other macro. Returns what the macro becomes if it has the
    /// yield.
    fn inside_macro(&mut self, mac: &mut Macro) -> Option<Expr> {
        let name = mac.path.segments.last();
        let is_block = name.is_some_and(|name| name.ident == "async_with");
        let concerned = has_yield(&mac.tokens) || mentions(&mac.tokens, "return");
        if !concerned {
            return None;
        }
        if is_block {
            return self.inside_block(mac);
        }
        if let Some(place) = find_yield(&mac.tokens) {
            self.misplaced = true;
            self.errors.at(
                place,
                "`yield_!` in another macro; write `let .. = yield_!(..);` in front of it",
            );
            mac.tokens = TokenStream::new();
            mac.path = parse_quote!(::core::unreachable);
        }
        None
    }

    fn inside_block(&mut self, mac: &mut Macro) -> Option<Expr> {
        // What does not parse is the block's to explain.
        let block = parse::Block::parse(mac.tokens.clone()).ok()?;
        let mut body = statements(&block.body)?;
        let before = self.yielded;
        self.depth += 1;
        self.visit_block_mut(&mut body);
        self.depth -= 1;
        let has_yielded = before.is_none() && self.yielded.is_some();
        let otherwise = match &block.otherwise {
            Some(otherwise) => Some(self.otherwise(&otherwise.block, has_yielded)?),
            None => None,
        };
        let statements = &body.stmts;
        if !has_yielded {
            let body = group(block.body.span(), quote!(#(#statements)*));
            mac.tokens = block.with(body, otherwise);
            return None;
        }
        let label = self::label(self.runtime.span(), self.depth + 1);
        let span = self.runtime.span().located_at(block.body.span());
        let body = group(span, quote!(#(#statements)*));
        let inside = group(block.body.span(), quote_spanned!(span=> #label: #body));
        let block = block.with(inside, otherwise);
        mac.tokens = quote_spanned!(span=> @yields #block);
        // Another macro of that name might do anything with the yield. The one that is meant is mentioned all the same:
        // its import is used.
        let span = self.runtime.span().located_at(mac.path.span());
        let mut path = self.runtime.path.clone();
        path.set_span(span);
        let meant = mem::replace(
            &mut mac.path,
            parse_quote_spanned!(span=> #path::async_with),
        );
        let in_place = self.in_place(span);
        Some(parse_quote_spanned! {span=> {
            #meant! { @mention }
            #in_place
            #mac
        }})
    }

    /// What is behind `else`. A yield in there would stay in a macro.
    fn otherwise(&mut self, otherwise: &Group, has_yielded: bool) -> Option<Group> {
        if has_yielded {
            self.errors.at(
                otherwise.span_open(),
                "`else` of a block with the `yield_!`; it would run without having yielded",
            );
        } else if let Some(place) = find_yield(&otherwise.stream()) {
            self.misplaced = true;
            self.errors.at(
                place,
                "`yield_!` behind `else`; let the block have a value, and yield behind the block",
            );
        }
        let mut block = statements(otherwise)?;
        self.visit_block_mut(&mut block);
        let statements = &block.stmts;
        Some(group(otherwise.span(), quote!(#(#statements)*)))
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

/// The statements in braces.
fn statements(group: &Group) -> Option<Block> {
    Some(Block {
        brace_token: syn::token::Brace(group.span()),
        stmts: parse::statements.parse2(group.stream()).ok()?,
    })
}

fn body(input: ParseStream<'_>) -> syn::Result<Block> {
    let inside;
    let brace_token = braced!(inside in input);
    let stmts = parse::statements(&inside)?;
    Ok(Block { brace_token, stmts })
}

/// Braces.
fn group(span: Span, inside: TokenStream) -> Group {
    let mut group = Group::new(Delimiter::Brace, inside);
    group.set_span(span);
    group
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
        self.unread |= matches!(expr, Expr::Verbatim(_));
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
                let attributes = mem::take(&mut mac.attrs);
                let replaced = match &*attributes {
                    [] => replaced,
                    attributes => parse_quote!(#(#attributes)* { #replaced }),
                };
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

    fn visit_expr_yield_mut(&mut self, expr: &mut ExprYield) {
        self.written_otherwise = Some(expr.yield_token.span);
        visit_mut::visit_expr_yield_mut(self, expr);
    }

    fn visit_expr_call_mut(&mut self, expr: &mut ExprCall) {
        if let Expr::Path(function) = &*expr.func
            && function.path.is_ident("yield_")
        {
            self.written_otherwise = Some(function.span());
        }
        visit_mut::visit_expr_call_mut(self, expr);
    }

    fn visit_expr_return_mut(&mut self, expr: &mut ExprReturn) {
        visit_mut::visit_expr_return_mut(self, expr);
        if !self.inside.is_none_or(Inside::returns) {
            return;
        }
        let span = self.runtime.span().located_at(expr.return_token.span);
        let runtime = self.runtime.expansion(span);
        let returns = self.runtime.local("return", span);
        let value = expr.expr.take();
        if self.yielded.is_some() {
            let value = value.map_or_else(|| quote!(()), |value| quote!(#value));
            expr.expr = Some(parse_quote_spanned!(span=> #runtime::ended(0, &#returns, #value)));
            return;
        }
        match value {
            Some(value) if !is_ok(&value) => {
                expr.expr = Some(parse_quote_spanned!(span=> #runtime::failed(&#returns, #value)));
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
