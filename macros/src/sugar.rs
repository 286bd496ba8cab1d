//! `#[async_context_manager]` above an `impl` of one of the two protocol traits: the associated types are read off the
//! signatures of `enter` and `exit`.

use std::fmt::Display;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::parse::{ParseStream, Parser};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{
    AngleBracketedGenericArguments, AssocType, FnArg, GenericArgument, ImplItem, ImplItemFn, Item,
    ItemImpl, Lifetime, ParenthesizedGenericArguments, Path, PathArguments, ReturnType, Token,
    TraitBound, Type, TypeImplTrait, TypeParamBound, TypePath, TypeReference, parse_quote,
};

use crate::attribute::{keyword, runtime_crate};
use crate::errors::Errors;

const NO_MANAGER: &str = "`#[async_context_manager]` on an `impl` that makes no manager; write \
                          `impl AsyncContextManager for ..` or `impl ScopedAsyncContextManager for ..`";

const BORROWS: &str = "this manager borrows, and the exit of an `AsyncContextManager` outlives its block; write \
                       `impl ScopedAsyncContextManager for ..`, or let the manager own what it uses";

/// Expands the attribute. With an error in it, the item is kept, so that those who use it see no second error.
pub(crate) fn expand(arguments: TokenStream, mut item: Item) -> TokenStream {
    let mut errors = Errors::default();
    let runtime = |input: ParseStream<'_>| {
        let path = runtime_crate(input)?;
        if input.is_empty() {
            return Ok(path);
        }
        Err(input.error("unknown argument; the only one is `crate = path`"))
    };
    match (runtime.parse2(arguments), &mut item) {
        (Err(error), _) => errors.push(error),
        (Ok(path), Item::Impl(manager)) => match &manager.trait_ {
            Some((name, _)) if is_protocol(name) => {
                survive(manager, &path, &mut errors);
                complete(manager, &path, &mut errors);
            }
            Some((name, _)) => errors.on(name, NO_MANAGER),
            None => errors.on(&manager.impl_token, NO_MANAGER),
        },
        (Ok(_), other) => errors.at(
            keyword(other),
            "`#[async_context_manager]` goes on `impl AsyncContextManager for ..` or on an `async fn`",
        ),
    }
    let asked = match &mut item {
        Item::Impl(manager) if errors.count() == 0 => ask_to_live(manager),
        _ => TokenStream::new(),
    };
    let mut output = item.into_token_stream();
    output.extend(asked);
    if let Err(error) = errors.check() {
        output.extend(error.to_compile_error());
    }
    output
}

fn is_protocol(path: &Path) -> bool {
    is_named(path, "AsyncContextManager") || is_named(path, "ScopedAsyncContextManager")
}

fn is_named(path: &Path, name: &str) -> bool {
    path.segments.last().is_some_and(|last| last.ident == name)
}

/// Says of an `AsyncContextManager` that borrows what it has to be: rustc says at each future of the protocol that some
/// lifetime is not `'static`. The implementation is then one of the other protocol, so that it gives no second error.
fn survive(manager: &mut ItemImpl, path: &Path, errors: &mut Errors) {
    let Some((name, _)) = &mut manager.trait_ else {
        return;
    };
    if is_named(name, "ScopedAsyncContextManager") {
        return;
    }
    let mut borrow = Borrow(None);
    borrow.visit_type(&manager.self_ty);
    if let Some(place) = borrow.0 {
        errors.at(place, BORROWS);
        *name = parse_quote!(#path::ScopedAsyncContextManager);
    }
}

/// Finds what in a type may end before the program does, as far as syntax shows.
struct Borrow(Option<Span>);

impl<'a> Visit<'a> for Borrow {
    fn visit_type_reference(&mut self, ty: &'a TypeReference) {
        if ty.lifetime.is_none() {
            self.0.get_or_insert(ty.and_token.span());
        }
        visit::visit_type_reference(self, ty);
    }

    fn visit_lifetime(&mut self, lifetime: &'a Lifetime) {
        if lifetime.ident != "static" {
            self.0.get_or_insert(lifetime.span());
        }
    }

    // The lifetimes in these may be their own.
    fn visit_type_fn_ptr(&mut self, _: &'a syn::TypeFnPtr) {}
    fn visit_parenthesized_generic_arguments(&mut self, _: &'a ParenthesizedGenericArguments) {}
    fn visit_trait_bound(&mut self, bound: &'a TraitBound) {
        if bound.lifetimes.is_none() {
            visit::visit_trait_bound(self, bound);
        }
    }
}

/// Asks once whether a type with parameters lives as long as an `AsyncContextManager` must, in place of rustc, which asks
/// at each future of the protocol.
fn ask_to_live(manager: &mut ItemImpl) -> TokenStream {
    let lives = |bound: &TypeParamBound| matches!(bound, TypeParamBound::Lifetime(lifetime) if lifetime.ident == "static");
    let mut parameters = manager.generics.type_params();
    let of_surviving = |(name, _): &(Path, Token![for])| is_named(name, "AsyncContextManager");
    if parameters.all(|parameter| parameter.bounds.iter().any(lives))
        || !manager.trait_.as_ref().is_some_and(of_surviving)
    {
        return TokenStream::new();
    }
    let (generics, _, clause) = manager.generics.split_for_impl();
    let ty = &manager.self_ty;
    let place = Span::mixed_site().located_at(ty.span());
    let asked = quote_spanned! {place=>
        const _: () = {
            // A trait, so that the bounds may name `Self`.
            #[allow(dead_code)]
            trait OutlivesItsBlock {
                fn ask(&self);
            }
            impl #generics OutlivesItsBlock for #ty #clause {
                fn ask(&self) {
                    fn lives<T: 'static>() {}
                    lives::<Self>();
                }
            }
        };
    };
    let clause = manager.generics.make_where_clause();
    clause.predicates.push(parse_quote!(Self: 'static));
    asked
}

/// Adds the associated types that are not written.
///
/// ```text
/// Input:  async fn enter(&mut self) -> io::Result<Connection> { .. }
///         async fn exit(self, connection: Connection, cause: Cause) -> Result<Verdict, io::Error> { .. }
/// Output: type Resource = Connection;
///         type Error = io::Error;
///         type Exit = Verdict;
/// ```
///
/// A type that only an alias tells is left to rustc: `<io::Result<Connection> as ResultParts>::Error`.
fn complete(manager: &mut ItemImpl, path: &Path, errors: &mut Errors) {
    let before = errors.count();
    let enter = Signature::of(manager, "enter", errors);
    let exit = Signature::of(manager, "exit", errors);
    if let (Some(output), Some(resource)) = (enter.output, exit.resource)
        && are_same(output.to_token_stream(), resource.to_token_stream())
    {
        errors.push(no_result(&"enter", output));
    }
    let mut unknown = vec![
        Unknown::new(
            "Resource",
            [
                enter.value(),
                exit.resource.map(Source::of),
                enter.part(path, "Value"),
            ],
        ),
        Unknown::new(
            "Error",
            [
                enter.error(),
                exit.error(),
                enter.part(path, "Error"),
                exit.part(path, "Error"),
            ],
        ),
        Unknown::new("Exit", [exit.value(), exit.part(path, "Value")]),
    ];
    unknown.retain(|unknown| !unknown.is_written(manager));
    // A signature may name one as `Self::Error` and the like: that one has to be known first.
    let mut types = Vec::new();
    while let Some((at, ty)) = first_known(&unknown) {
        types.push(unknown.remove(at).is(&ty));
    }
    for unknown in unknown {
        if errors.count() == before {
            unknown.explain(errors);
        }
        types.push(unknown.is(&quote!(())));
    }
    manager.items.extend(types);
    if errors.count() > before {
        stand_in(manager, path);
    }
}

fn are_same(one: TokenStream, other: TokenStream) -> bool {
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    loop {
        let same = match (one.next(), other.next()) {
            (None, None) => return true,
            (Some(TokenTree::Ident(one)), Some(TokenTree::Ident(other))) => one == other,
            (Some(TokenTree::Punct(one)), Some(TokenTree::Punct(other))) => {
                one.as_char() == other.as_char()
            }
            (Some(TokenTree::Literal(one)), Some(TokenTree::Literal(other))) => {
                one.to_string() == other.to_string()
            }
            (Some(TokenTree::Group(one)), Some(TokenTree::Group(other))) => {
                one.delimiter() == other.delimiter() && are_same(one.stream(), other.stream())
            }
            _ => false,
        };
        if !same {
            return false;
        }
    }
}

/// Puts methods in the place of those that are wrong or missing.
fn stand_in(manager: &mut ItemImpl, path: &Path) {
    manager.items.retain(|item| match item {
        ImplItem::Fn(method) => method.sig.ident != "enter" && method.sig.ident != "exit",
        _ => true,
    });
    manager.items.extend::<[ImplItem; 2]>([
        parse_quote! {
            async fn enter(&mut self) -> #path::expansion::Result<Self::Resource, Self::Error> {
                ::core::future::pending().await
            }
        },
        parse_quote! {
            async fn exit(
                self,
                _: Self::Resource,
                _: #path::Cause,
            ) -> #path::expansion::Result<Self::Exit, Self::Error> {
                ::core::future::pending().await
            }
        },
    ]);
}

// --- Signatures -----------------------------------------------------------------------------------------------------

/// What one of the two methods says.
#[derive(Default)]
struct Signature<'a> {
    /// What its future resolves to.
    output: Option<&'a Type>,
    /// The type of its parameter after `self`.
    resource: Option<&'a Type>,
}

impl<'a> Signature<'a> {
    fn of(manager: &'a ItemImpl, name: &str, errors: &mut Errors) -> Self {
        let method = manager.items.iter().find_map(|item| match item {
            ImplItem::Fn(method) if method.sig.ident == name => Some(method),
            _ => None,
        });
        let Some(method) = method else {
            let header = manager.trait_.as_ref().map(|(path, _)| path);
            let signature = match name {
                "enter" => "async fn enter(&mut self) -> Result<Resource, Error>",
                _ => "async fn exit(self, resource: Resource, cause: Cause) -> Result<(), Error>",
            };
            errors.on(
                &header,
                format!("this manager has no `{name}`; write `{signature}`"),
            );
            return Self::default();
        };
        let resource = method.sig.inputs.iter().find_map(|input| match input {
            FnArg::Typed(input) => Some(&*input.ty),
            FnArg::Receiver(_) => None,
        });
        let output = output(method).map_err(|error| errors.push(error)).ok();
        Self { output, resource }
    }

    /// `T` of a `Result<T, E>`.
    fn value(&self) -> Option<Source> {
        Some(Source::of(parts(self.output?)?.0))
    }

    /// `E` of a `Result<T, E>`.
    fn error(&self) -> Option<Source> {
        Some(Source::of(parts(self.output?)?.1))
    }

    /// One of the two of any `Result`, also by an alias.
    fn part(&self, path: &Path, part: &str) -> Option<Source> {
        let (output, part) = (self.output?, format_ident!("{part}"));
        let projection = quote!(<#output as #path::expansion::ResultParts>::#part);
        Some(Source {
            tokens: projection,
            ..Source::of(output)
        })
    }
}

/// What the future of a method resolves to, if that may be a `Result`.
fn output(method: &ImplItemFn) -> syn::Result<&Type> {
    let name = &method.sig.ident;
    let output = match &method.sig.output {
        ReturnType::Default => return Err(no_result(name, name)),
        ReturnType::Type(_, ty) if method.sig.asyncness.is_some() => &**ty,
        ReturnType::Type(_, future) => {
            let mut find = FindOutput(None);
            find.visit_type(future);
            find.0.ok_or_else(|| {
                let message = format!(
                    "`{name}` is not async; write `async fn {name}`, or return `impl Future<Output = Result<..>>`"
                );
                syn::Error::new(method.sig.fn_token.span, message)
            })?
        }
    };
    if may_be_result(output) {
        Ok(output)
    } else {
        Err(no_result(name, output))
    }
}

/// Whether the type may be a `Result`, as far as syntax shows.
pub(crate) fn may_be_result(ty: &Type) -> bool {
    match ty {
        Type::Path(TypePath {
            qself: None, path, ..
        }) => path.segments.last().is_some_and(|last| {
            let others = [
                "Option", "Self", "String", "Vec", "Verdict", "bool", "i32", "u8", "u32", "u64",
                "usize",
            ];
            !others.iter().any(|other| last.ident == other)
        }),
        Type::Path(_) | Type::Macro(_) | Type::Group(_) | Type::Paren(_) => true,
        _ => false,
    }
}

pub(crate) fn no_result(method: &dyn Display, place: &impl ToTokens) -> syn::Error {
    let message = format!(
        "`{method}` returns no `Result`; write `-> Result<.., Infallible>` if it cannot fail"
    );
    syn::Error::new_spanned(place, message)
}

/// Finds `Output = T`.
struct FindOutput<'a>(Option<&'a Type>);

impl<'a> Visit<'a> for FindOutput<'a> {
    fn visit_assoc_type(&mut self, binding: &'a AssocType) {
        if binding.ident == "Output" && self.0.is_none() {
            self.0 = Some(&binding.ty);
        }
    }
}

/// The two arguments of `Result`, under this name and with both: what an alias makes of its arguments, only rustc knows.
fn parts(ty: &Type) -> Option<(&Type, &Type)> {
    let Type::Path(TypePath {
        qself: None, path, ..
    }) = ty
    else {
        return None;
    };
    let last = path.segments.last().filter(|last| last.ident == "Result")?;
    let PathArguments::AngleBracketed(AngleBracketedGenericArguments { args, .. }) =
        &last.arguments
    else {
        return None;
    };
    let mut args = args.iter();
    match (args.next()?, args.next()?, args.next()) {
        (GenericArgument::Type(value), GenericArgument::Type(error), None) => Some((value, error)),
        _ => None,
    }
}

// --- Types ----------------------------------------------------------------------------------------------------------

/// An associated type that is not written, and the types in the signatures that say what it is, the plainest first.
struct Unknown {
    name: Ident,
    sources: Vec<Source>,
}

impl Unknown {
    fn new(name: &str, sources: impl IntoIterator<Item = Option<Source>>) -> Self {
        Self {
            name: Ident::new(name, Span::mixed_site()),
            sources: sources.into_iter().flatten().collect(),
        }
    }

    fn is_written(&self, manager: &ItemImpl) -> bool {
        manager
            .items
            .iter()
            .any(|item| matches!(item, ImplItem::Type(ty) if self.name == ty.ident))
    }

    fn is(&self, ty: &TokenStream) -> ImplItem {
        let name = &self.name;
        ImplItem::Verbatim(quote!(type #name = #ty;))
    }

    /// Says why it is not known.
    fn explain(&self, errors: &mut Errors) {
        let name = &self.name;
        let message = format!(
            "`enter` and `exit` call this type `Self::{name}` only; write in one of them what it is, or add `type {name} = ..;`"
        );
        match self.sources.iter().find_map(|source| source.flaw) {
            Some((place, flaw)) => errors.at(place, flaw),
            None => match self.sources.first() {
                Some(source) => errors.on(&source.tokens, message),
                None => errors.at(Span::call_site(), message),
            },
        }
    }
}

/// The first of the associated types that a signature tells without another one of them.
fn first_known(unknown: &[Unknown]) -> Option<(usize, TokenStream)> {
    unknown.iter().enumerate().find_map(|(at, one)| {
        let is_usable = |source: &&Source| {
            let waits_for = |other: &Unknown| source.names.contains(&other.name);
            source.flaw.is_none() && !unknown.iter().any(waits_for)
        };
        let source = one.sources.iter().find(is_usable)?;
        Some((at, source.tokens.clone()))
    })
}

/// A type that a signature tells, and what may keep it from being an associated type.
#[derive(Default)]
struct Source {
    tokens: TokenStream,
    /// The `T`s of `Self::T` and `<Self as Trait>::T` in it.
    names: Vec<Ident>,
    flaw: Option<(Span, &'static str)>,
}

impl Source {
    fn of(ty: &Type) -> Self {
        let mut source = Self {
            tokens: ty.to_token_stream(),
            ..Self::default()
        };
        source.visit_type(ty);
        source
    }

    fn elided(&mut self, place: Span) {
        let what = "what is lent cannot borrow from `self`; name a lifetime of the `impl`";
        self.flaw.get_or_insert((place, what));
    }
}

impl<'a> Visit<'a> for Source {
    fn visit_type_path(&mut self, ty: &'a TypePath) {
        let segments = &ty.path.segments;
        let of_self = match &ty.qself {
            Some(qself) => matches!(&*qself.ty, Type::Path(of) if of.path.is_ident("Self")),
            None => segments.first().is_some_and(|first| first.ident == "Self"),
        };
        if of_self {
            self.names
                .extend(segments.last().map(|last| last.ident.clone()));
        }
        visit::visit_type_path(self, ty);
    }

    fn visit_type_reference(&mut self, ty: &'a TypeReference) {
        if ty.lifetime.is_none() {
            self.elided(ty.and_token.span());
        }
        visit::visit_type_reference(self, ty);
    }

    fn visit_lifetime(&mut self, lifetime: &'a Lifetime) {
        if lifetime.ident == "_" {
            self.elided(lifetime.span());
        }
    }

    fn visit_type_impl_trait(&mut self, ty: &'a TypeImplTrait) {
        let what =
            "`impl Trait` cannot be an associated type; write the type, or a `Box<dyn Trait>`";
        self.flaw.get_or_insert((ty.span(), what));
    }

    // In these, elision means something else.
    fn visit_type_fn_ptr(&mut self, _: &'a syn::TypeFnPtr) {}
    fn visit_parenthesized_generic_arguments(&mut self, _: &'a ParenthesizedGenericArguments) {}
}
