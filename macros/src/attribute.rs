//! `#[attr::async_with]`: above a function with the items, or bare, to turn on the forms inside of it.
//!
//! Nothing is expanded here but to `async_with!`, so that there is one expansion.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{ParseStream, Parser};
use syn::visit_mut::{self, VisitMut};
use syn::{
    Attribute, Block, Expr, FnArg, ImplItem, Item, ItemFn, Local, Meta, Pat, Path, ReturnType,
    Stmt, Token, TraitItem, Type, parse_quote, parse_quote_spanned,
};

use crate::errors::{self, Errors};
use crate::parse;

/// `crate = path`, then the items.
struct Arguments {
    /// The path of the runtime crate.
    path: Path,
    items: TokenStream,
}

/// Expands the attribute. With an error in it, the item is kept, so that those who use it see no second error.
pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let arguments = Arguments::parse(arguments, &mut errors);
    let mut parsed = match syn::parse2::<Item>(item.clone()) {
        Ok(Item::Verbatim(_)) | Err(_) => match syn::parse2::<syn::TraitItemFn>(item.clone()) {
            Ok(method) => {
                errors.on(
                    &method.sig.fn_token,
                    "`#[attr::async_with]` on a method without a body; write it where the body is",
                );
                Item::Verbatim(item)
            }
            // Attributes reach statements and expressions too.
            Err(error) => return not_an_item(&error, item),
        },
        Ok(parsed) => parsed,
    };
    match &arguments {
        Some(arguments) if arguments.items.is_empty() => bare(&mut parsed, arguments, &mut errors),
        Some(arguments) => match &mut parsed {
            Item::Fn(function) => with_items(function, arguments, &mut errors),
            Item::Verbatim(_) => {}
            other => errors.at(
                keyword(other),
                "`#[attr::async_with(..)]` with managers goes on an `async fn`; leave them out to turn on the forms inside",
            ),
        },
        None => {}
    }
    strip_with(&mut parsed, &mut errors);
    let mut output = parsed.into_token_stream();
    if let Err(error) = errors.check() {
        output.extend(error.to_compile_error());
    }
    output
}

/// The error for what is no item, in place of it: that is where the attribute is then.
fn not_an_item(error: &syn::Error, tokens: TokenStream) -> TokenStream {
    let first = tokens.clone().into_iter().next();
    let place = first.map_or_else(Span::call_site, |token| token.span());
    let message = if syn::parse2::<Expr>(tokens.clone()).is_ok() {
        "`#[attr::async_with]` on an expression; write `async_with! { .. }`, or `#[with(..)]` above a block in a function \
         that has `#[attr::async_with]`"
            .to_owned()
    } else if Block::parse_within.parse2(tokens).is_ok() {
        "`#[attr::async_with]` on a statement; write `#[with] let name = manager;` in a function that has `#[attr::async_with]`"
            .to_owned()
    } else {
        error.to_string()
    };
    errors::as_expression(&syn::Error::new(place, message))
}

/// The path of the runtime crate: `crate = path` with the comma behind it, or the usual one.
pub(crate) fn runtime_crate(input: ParseStream<'_>) -> syn::Result<Path> {
    if !(input.peek(Token![crate]) && input.peek2(Token![=])) {
        return Ok(parse_quote!(::async_with));
    }
    input.parse::<Token![crate]>()?;
    input.parse::<Token![=]>()?;
    let path = input.call(Path::parse_mod_style)?;
    if !input.is_empty() {
        input.parse::<Token![,]>()?;
    }
    Ok(path)
}

impl Arguments {
    fn parse(tokens: TokenStream, errors: &mut Errors) -> Option<Self> {
        let parse = |input: ParseStream<'_>| {
            let path = runtime_crate(input)?;
            if input.peek(syn::Ident) && input.peek2(Token![=]) && !input.peek2(Token![==]) {
                let name: Ident = input.parse()?;
                let message = format!(
                    "unknown argument `{name}`; the arguments are managers, as in `#[attr::async_with(manager as name)]`, and `crate = path`",
                );
                return Err(syn::Error::new(name.span(), message));
            }
            let items: TokenStream = input.parse()?;
            Ok(Self { path, items })
        };
        let arguments = match parse.parse2(tokens) {
            Ok(arguments) => arguments,
            Err(error) => {
                errors.push(error);
                return None;
            }
        };
        if let Err(error) = parse::item_list(arguments.items.clone()) {
            errors.push(error);
            return None;
        }
        Some(arguments)
    }

    /// `async_with!` without an import of the user's (rule ATT-2).
    fn import(&self) -> Stmt {
        let Self { path, .. } = self;
        let span = Span::call_site();
        parse_quote_spanned!(span=> #[allow(unused_imports)] use #path::block::*;)
    }
}

/// `async_with! { items, { body } }`, as an expression.
fn block(path: &Path, items: &TokenStream, body: &Block, place: Span) -> Expr {
    let span = Span::mixed_site().located_at(place);
    let mut items = items.clone();
    // One parenthesized item would be a list; a trailing comma would be two.
    let ends_with_comma = items
        .clone()
        .into_iter()
        .last()
        .is_some_and(|token| token.to_string() == ",");
    if !ends_with_comma {
        items.extend(quote_spanned!(span=> ,));
    }
    let body = braced(body, body.brace_token.span.close());
    Expr::Macro(syn::ExprMacro {
        attrs: Vec::new(),
        mac: parse_quote_spanned!(span=> #path::async_with! { #items #body }),
    })
}

/// A body with the place of its end, which is what the expansion asks for. A group that is made anew has but one place
/// for both braces; as if it were all between them, it would be, to an editor, that of every name in there.
fn braced(body: &Block, end: Span) -> Group {
    let stmts = body.stmts.iter();
    let mut braced = Group::new(Delimiter::Brace, quote!(#(#stmts)*));
    braced.set_span(end);
    braced
}

// --- With items -----------------------------------------------------------------------------------------------------

fn with_items(function: &mut ItemFn, arguments: &Arguments, errors: &mut Errors) {
    let mut forms = Forms { arguments, errors };
    forms.visit_block_mut(&mut function.block);
    let Arguments { path, items } = arguments;
    let mut first = vec![arguments.import()];
    first.extend(moves(function, items));
    let never =
        matches!(&function.sig.output, ReturnType::Type(_, ty) if matches!(**ty, Type::Never(_)));
    if function.sig.asyncness.is_some() {
        wrap(&mut function.block, first, path, items, never);
        return;
    }
    // Other attributes may have made it a function that runs or returns the future.
    let Some(Desugared { block, receiver }) = desugared(&mut function.block) else {
        errors.on(
            &function.sig.fn_token,
            "`#[attr::async_with(..)]` on a function that is not async; write `async fn`",
        );
        return;
    };
    match receiver {
        Some(receiver) => wrap(
            block,
            first,
            path,
            &rename_self(items.clone(), &receiver),
            never,
        ),
        None => wrap(block, first, path, items, never),
    }
}

/// Makes the whole of a body the body of an `async_with!` block.
fn wrap(body: &mut Block, first: Vec<Stmt>, path: &Path, items: &TokenStream, never: bool) {
    body.stmts.splice(0..0, first);
    let place = Span::mixed_site();
    let braces = body.brace_token.span.join();
    let expr = block(path, items, body, place);
    // To the lints, the braces outside are not the user's.
    body.brace_token = syn::token::Brace(place.located_at(braces));
    body.stmts = if never {
        let both: Block = parse_quote_spanned!(place=> {
            let __never: #path::expansion::Nothing = #expr;
            match __never {}
        });
        both.stmts
    } else {
        vec![Stmt::Expr(expr, None)]
    };
}

/// `let x = x;` for each parameter that the body mentions and no item does: the body is an `async` block, which would
/// otherwise capture it by reference, and then it would have to be `Sync` (rule TYP-1).
fn moves(function: &mut ItemFn, items: &TokenStream) -> Vec<Stmt> {
    let body = function.block.to_token_stream();
    let mut moves = Moves {
        items,
        body,
        statements: Vec::new(),
    };
    for input in &mut function.sig.inputs {
        if let FnArg::Typed(input) = input {
            moves.visit_pat_mut(&mut input.pat);
        }
    }
    moves.statements
}

struct Moves<'a> {
    items: &'a TokenStream,
    body: TokenStream,
    statements: Vec<Stmt>,
}

impl VisitMut for Moves<'_> {
    fn visit_pat_ident_mut(&mut self, pat: &mut syn::PatIdent) {
        let name = &pat.ident;
        let moved = !mentions(self.items, name)
            && mentions(&self.body, name)
            && !name.to_string().starts_with('_');
        if moved && pat.by_ref.is_none() {
            let mutability = pat.mutability.take();
            let span = Span::mixed_site();
            self.statements
                .push(parse_quote_spanned!(span=> let #mutability #name = #name;));
        }
        visit_mut::visit_pat_ident_mut(self, pat);
    }
}

fn mentions(tokens: &TokenStream, name: &Ident) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Ident(word) => word == *name,
        TokenTree::Group(group) => mentions(&group.stream(), name),
        _ => false,
    })
}

/// An async function that another attribute has rewritten.
struct Desugared<'a> {
    /// The user's body.
    block: &'a mut Block,
    /// What `self` is called in it.
    receiver: Option<Ident>,
}

/// Finds the body in what `#[tokio::main]` and `#[tokio::test]` (`let body = async { .. };`) and `#[async_trait]`
/// (`Box::pin(async move { .. })`) make of a function.
fn desugared(function: &mut Block) -> Option<Desugared<'_>> {
    let first = function.stmts.first_mut()?;
    match first {
        Stmt::Local(Local {
            init: Some(init), ..
        }) => match &mut *init.expr {
            Expr::Async(body) => Some(Desugared {
                block: &mut body.block,
                receiver: None,
            }),
            _ => None,
        },
        Stmt::Expr(Expr::Call(call), None) => {
            let is_pin = matches!(&*call.func, Expr::Path(path) if path.path.segments.last()?.ident == "pin");
            match call.args.first_mut()? {
                Expr::Async(body) if is_pin => Some(in_box(&mut body.block)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// `let __self = self; let x = x; let __ret: R = { body }; __ret`.
fn in_box(block: &mut Block) -> Desugared<'_> {
    let receiver = block.stmts.iter().find_map(|statement| match statement {
        Stmt::Local(Local {
            pat: Pat::Ident(pat),
            init: Some(init),
            ..
        }) => {
            let is_self = matches!(&*init.expr, Expr::Path(path) if path.path.is_ident("self"));
            is_self.then(|| pat.ident.clone())
        }
        _ => None,
    });
    let body = block.stmts.iter().position(|statement| {
        matches!(statement, Stmt::Local(Local { init: Some(init), .. }) if matches!(*init.expr, Expr::Block(_)))
    });
    let block = match body {
        Some(at) => match &mut block.stmts[at] {
            Stmt::Local(Local {
                init: Some(init), ..
            }) => match &mut *init.expr {
                Expr::Block(body) => &mut body.block,
                _ => unreachable!("the position is that of a block"),
            },
            _ => unreachable!("the position is that of a `let`"),
        },
        None => block,
    };
    Desugared { block, receiver }
}

fn rename_self(tokens: TokenStream, receiver: &Ident) -> TokenStream {
    tokens
        .into_iter()
        .map(|token| match token {
            TokenTree::Ident(word) if word == "self" => TokenTree::Ident(receiver.clone()),
            TokenTree::Group(group) => {
                let stream = rename_self(group.stream(), receiver);
                let mut renamed = proc_macro2::Group::new(group.delimiter(), stream);
                renamed.set_span(group.span());
                TokenTree::Group(renamed)
            }
            token => token,
        })
        .collect()
}

// --- Bare -----------------------------------------------------------------------------------------------------------

fn bare(item: &mut Item, arguments: &Arguments, errors: &mut Errors) {
    match item {
        Item::Fn(function) => {
            let is_async = function.sig.asyncness.is_some();
            if !is_async && !mentions_async(&function.block.to_token_stream()) {
                errors.on(
                    &function.sig.fn_token,
                    "`#[attr::async_with]` on a function that is not async; write `async fn`",
                );
                return;
            }
            Functions { arguments, errors }.visit_item_fn_mut(function);
        }
        Item::Impl(_)
        | Item::Mod(syn::ItemMod {
            content: Some(_), ..
        })
        | Item::Trait(_) => {
            Functions { arguments, errors }.visit_item_mut(item);
        }
        Item::Mod(module) => errors.on(
            &module.mod_token,
            "`#[attr::async_with]` on a module in another file; write it on the items in that file",
        ),
        Item::Verbatim(_) => {}
        other => errors.at(
            keyword(other),
            "`#[attr::async_with]` goes on an `async fn`, an `impl` block or an inline module",
        ),
    }
}

fn mentions_async(tokens: &TokenStream) -> bool {
    mentions(tokens, &Ident::new("async", Span::call_site()))
}

/// Turns on the forms in every function.
struct Functions<'a> {
    arguments: &'a Arguments,
    errors: &'a mut Errors,
}

impl Functions<'_> {
    fn function(&mut self, block: &mut Block) {
        Forms {
            arguments: self.arguments,
            errors: self.errors,
        }
        .visit_block_mut(block);
        block.stmts.insert(0, self.arguments.import());
    }
}

impl VisitMut for Functions<'_> {
    fn visit_item_fn_mut(&mut self, function: &mut ItemFn) {
        self.function(&mut function.block);
    }

    fn visit_impl_item_mut(&mut self, item: &mut ImplItem) {
        if let ImplItem::Fn(method) = item {
            self.function(&mut method.block);
        }
    }

    fn visit_trait_item_mut(&mut self, item: &mut TraitItem) {
        if let TraitItem::Fn(syn::TraitItemFn {
            default: Some(block),
            ..
        }) = item
        {
            self.function(block);
        }
    }
}

/// Rewrites `#[with] let` and `#[with(..)] { .. }`.
struct Forms<'a> {
    arguments: &'a Arguments,
    errors: &'a mut Errors,
}

impl Forms<'_> {
    /// `#[with] let pat = manager;` and what follows it.
    fn lets(&mut self, mut statements: Vec<Stmt>) -> Vec<Stmt> {
        let marked = |statement: &Stmt| matches!(statement, Stmt::Local(local) if local.attrs.iter().any(is_with));
        let Some(at) = statements.iter().position(marked) else {
            return statements;
        };
        let rest = statements.split_off(at + 1);
        let rest = self.lets(rest);
        let Some(Stmt::Local(local)) = statements.pop() else {
            return statements;
        };
        let Some(items) = self.items_of_let(&local) else {
            statements.extend(rest);
            return statements;
        };
        // Beside `#[with]`, only `#[cfg(..)]` is left.
        let conditions = local.attrs.iter().filter_map(|attr| match &attr.meta {
            Meta::List(list) => Some(&list.tokens),
            _ => None,
        });
        let conditions: Vec<&TokenStream> = conditions.collect();
        let body = Block {
            brace_token: syn::token::Brace::default(),
            stmts: rest,
        };
        let block = block(&self.arguments.path, &items, &body, local.let_token.span);
        if conditions.is_empty() {
            statements.push(Stmt::Expr(block, None));
        } else {
            // The statement's `cfg` is not applied yet: with it, the rest is the body; without, just the rest.
            let condition = quote!(all(#(#conditions),*));
            let both: Block =
                parse_quote!({ #[cfg(#condition)] { #block } #[cfg(not(#condition))] #body });
            statements.extend(both.stmts);
        }
        statements
    }

    fn items_of_let(&mut self, local: &Local) -> Option<TokenStream> {
        for attr in local.attrs.iter().filter(|attr| is_with(attr)) {
            if !matches!(attr.meta, Meta::Path(_)) {
                self.errors.on(
                    attr,
                    "`#[with]` above `let` takes no arguments; write `#[with] let name = manager;`",
                );
                return None;
            }
        }
        let strange = local
            .attrs
            .iter()
            .find(|attr| !is_with(attr) && !attr.path().is_ident("cfg"));
        if let Some(attr) = strange {
            self.errors.on(
                attr,
                "this attribute cannot stand beside `#[with]`; move it to the function",
            );
            return None;
        }
        let pat = match &local.pat {
            Pat::Type(typed) => {
                self.errors.on(&typed.ty, "a type after `#[with] let name`, where the name is bound to `&mut Resource`; leave it out");
                return None;
            }
            pat => pat,
        };
        let Some(init) = &local.init else {
            self.errors.on(
                &local.let_token,
                "`#[with] let` without a manager; write `#[with] let name = manager;`",
            );
            return None;
        };
        if let Some((diverge, _)) = &init.diverge {
            self.errors.on(
                diverge,
                "`else` after `#[with] let`; the pattern must always match, so leave it out",
            );
            return None;
        }
        let before = self.errors.count();
        parse::pattern(&pat.to_token_stream(), self.errors);
        if self.errors.count() > before {
            return None;
        }
        let manager = &init.expr;
        let span = Span::mixed_site();
        Some(match &**manager {
            // What needs parentheses to be an item (rule SYN-6).
            Expr::Cast(_)
            | Expr::Binary(_)
            | Expr::Range(_)
            | Expr::Assign(_)
            | Expr::Closure(_)
            | Expr::Return(_)
            | Expr::Break(_) => quote_spanned!(span=> ((#manager)) as #pat),
            _ => quote_spanned!(span=> #manager as #pat),
        })
    }

    /// Rewrites what is in braces, if that is a body.
    fn body(&mut self, token: TokenTree) -> TokenTree {
        let TokenTree::Group(group) = &token else {
            return token;
        };
        if group.delimiter() != Delimiter::Brace {
            return token;
        }
        let Ok(stmts) = parse::statements.parse2(group.stream()) else {
            return token;
        };
        let mut block = Block {
            brace_token: syn::token::Brace(group.span()),
            stmts,
        };
        self.visit_block_mut(&mut block);
        braced(&block, group.span_close()).into()
    }
}

fn is_with(attr: &Attribute) -> bool {
    attr.path().is_ident("with")
}

impl VisitMut for Forms<'_> {
    fn visit_block_mut(&mut self, block: &mut Block) {
        let is_marked = |statement: &Stmt| match statement {
            Stmt::Local(local) => local.attrs.iter().any(is_with),
            Stmt::Expr(Expr::Block(block), None) => block.attrs.iter().any(is_with),
            _ => false,
        };
        let marked = block.stmts.iter().any(is_marked);
        visit_mut::visit_block_mut(self, block);
        if marked {
            block.stmts = self.lets(std::mem::take(&mut block.stmts));
            // To the lints, a block whose tail is generated is not the user's.
            let braces = block.brace_token.span.join();
            block.brace_token = syn::token::Brace(Span::mixed_site().located_at(braces));
        }
    }

    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        visit_mut::visit_expr_mut(self, expr);
        let Expr::Block(marked) = expr else { return };
        let Some(at) = marked.attrs.iter().position(is_with) else {
            return;
        };
        let with = marked.attrs.remove(at);
        let items = match &with.meta {
            Meta::List(list) => list.tokens.clone(),
            _ => TokenStream::new(),
        };
        if items.is_empty() {
            self.errors.on(
                &with,
                "`#[with]` above a block needs managers; write `#[with(manager as name)] { .. }`",
            );
            return;
        }
        if let Some(label) = &marked.label {
            self.errors.on(
                label,
                "a label on a `#[with(..)]` block; write the block into a labeled one",
            );
            return;
        }
        if let Err(error) = parse::item_list(items.clone()) {
            self.errors.push(error);
            return;
        }
        let place = with.pound_token.span;
        let mut inside = block(&self.arguments.path, &items, &marked.block, place);
        if let Expr::Macro(inside) = &mut inside {
            inside.attrs = std::mem::take(&mut marked.attrs);
        }
        *expr = inside;
    }

    // To the visitor, the body of an `async_with!` is a macro's tokens.
    fn visit_macro_mut(&mut self, inner: &mut syn::Macro) {
        let name = inner.path.segments.last();
        let with = Ident::new("with", Span::call_site());
        if name.is_some_and(|name| name.ident == "async_with") && mentions(&inner.tokens, &with) {
            let tokens = std::mem::take(&mut inner.tokens).into_iter();
            inner.tokens = tokens.map(|token| self.body(token)).collect();
        }
    }

    fn visit_attribute_mut(&mut self, _: &mut Attribute) {}

    // Functions inside of this one have attributes of their own.
    fn visit_item_mut(&mut self, _: &mut Item) {}
}

fn is_async_with(attribute: &Attribute) -> bool {
    let name = attribute.path().segments.last();
    name.is_some_and(|name| name.ident == "async_with")
}

/// Takes away what is left of `#[with]`, which rustc would call an unknown attribute: after an error, or because it
/// stands where it means nothing.
fn strip_with(item: &mut Item, errors: &mut Errors) {
    struct Strip<'a> {
        after_error: bool,
        errors: &'a mut Errors,
    }

    impl Strip<'_> {
        fn strip(&mut self, attributes: &mut Vec<Attribute>) {
            for with in attributes.extract_if(.., |attr| is_with(attr)) {
                if !self.after_error {
                    self.errors.on(
                        &with,
                        "`#[with(..)]` goes above a block, and `#[with]` above `let`; put braces around this",
                    );
                }
            }
        }
    }

    impl VisitMut for Strip<'_> {
        fn visit_local_mut(&mut self, local: &mut Local) {
            self.strip(&mut local.attrs);
            visit_mut::visit_local_mut(self, local);
        }

        fn visit_expr_mut(&mut self, expr: &mut Expr) {
            if let Some(attributes) = attributes(expr) {
                self.strip(attributes);
            }
            visit_mut::visit_expr_mut(self, expr);
        }

        // What has an attribute of its own is expanded later.
        fn visit_item_fn_mut(&mut self, function: &mut ItemFn) {
            if !function.attrs.iter().any(is_async_with) {
                visit_mut::visit_item_fn_mut(self, function);
            }
        }
    }

    let after_error = errors.count() > 0;
    Strip {
        after_error,
        errors,
    }
    .visit_item_mut(item);
}

/// The attributes of the expressions that one may want to mark.
pub(crate) fn attributes(expr: &mut Expr) -> Option<&mut Vec<Attribute>> {
    macro_rules! of {
        ($($kind:ident)*) => {
            match expr {
                $(Expr::$kind(expr) => Some(&mut expr.attrs),)*
                _ => None,
            }
        };
    }
    of!(
        Assign Async Await Binary Block Break Call Closure Const Continue Field ForLoop If Index Lit Loop Macro Match
        MethodCall Paren Path Return Struct Try TryBlock Tuple Unary Unsafe While
    )
}

/// The keyword of an item: the place for an error about what it is.
pub(crate) fn keyword(item: &Item) -> Span {
    let is_keyword = |word: &str| {
        [
            "struct",
            "enum",
            "union",
            "impl",
            "mod",
            "trait",
            "fn",
            "const",
            "static",
            "type",
            "use",
            "extern",
            "macro_rules",
        ]
        .contains(&word)
    };
    for token in item.to_token_stream() {
        match &token {
            TokenTree::Ident(word) if is_keyword(&word.to_string()) => return word.span(),
            _ => {}
        }
    }
    Span::call_site()
}
