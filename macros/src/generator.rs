//! `#[async_context_manager]` above an `async fn`: the code before its `yield_!` is enter, the code behind it is exit.
//!
//! ```text
//! Input:  async fn open(path: PathBuf) -> io::Result<File> {
//!             let mut file = File::open(path).await?;
//!             let cause = yield_!(&mut file);
//!             file.sync_all().await
//!         }
//! Output: fn open(path: PathBuf) -> Generated<File, io::Error, ()> {
//!             generator!(open surviving [File, io::Error, ()] { let path = path; } {
//!                 let mut file = File::open(path).await?;
//!                 let cause = yield_!(&mut file);
//!                 file.sync_all().await
//!             })
//!         }
//! ```
//!
//! Here is what the signature tells: the kind of the manager, and its types. The rest is done by [`yields`](crate::yields),
//! which has the path of the runtime crate from that crate itself, and not from the arguments of the attribute.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote_spanned};
use syn::parse::{ParseStream, Parser};
use syn::visit::{self, Visit};
use syn::{
    Attribute, FnArg, GenericParam, Generics, ItemFn, Lifetime, Pat, Path, ReceiverKind,
    ReturnType, Stmt, Token, Type, TypeImplTrait, TypeParamBound, TypeReference, WherePredicate,
    parse_quote, parse_quote_spanned,
};

use crate::attribute::runtime_crate;
use crate::errors::Errors;
use crate::names::Suffix;
use crate::sugar;

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
            "`#[attr::async_with]` below `#[async_context_manager]`; write it above",
        );
    }
    let output = check_signature(&function, &mut errors);
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
    let kind = Ident::new(if scoped { "scoped" } else { "surviving" }, span);
    let failed = failed.then(|| Ident::new("failed", span));
    let moves = moves(&mut function);
    let (name, body) = (&function.sig.ident, &function.block);
    let braces = body.brace_token.span.join();
    *function.block = parse_quote_spanned! {span=>
        {
            #runtime::generator!(#name #kind #failed [#resource, #error, #exit] { #(#moves)* } #body)
        }
    };
    function.block.brace_token = syn::token::Brace(span.located_at(braces));
    function.into_token_stream()
}

/// `let x = x;` for each parameter: as in an async function, all of them are in the future.
fn moves(function: &mut ItemFn) -> Vec<Stmt> {
    let span = Span::mixed_site();
    let suffix = Suffix::of(&function.sig.inputs.to_token_stream());
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
                let name = suffix.name(&format!("async_with_argument_{number}"), span);
                *other = parse_quote!(#name);
                name
            }
        };
        // A parameter that is not there is not moved.
        let conditions = input
            .attrs
            .iter()
            .filter(|attr| attr.path().is_ident("cfg"));
        moves.push(parse_quote_spanned! {span=>
            #(#conditions)*
            #[allow(clippy::no_effect_underscore_binding, clippy::used_underscore_binding)]
            #[allow(unused_variables, unused_mut)]
            let #pat = #name;
        });
    }
    moves
}

/// Whether the word is among the tokens.
pub(crate) fn mentions(tokens: &TokenStream, name: &str) -> bool {
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
