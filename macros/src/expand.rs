//! What a block expands to.
//!
//! Each item becomes one level:
//!
//! ```text
//! match {
//!     let mut scope = open(EXPR);
//!     match scope.enter().await { Ok(()) => {} Err(error) => return raise(error) }
//!     let mut value = None;                       // where the body leaves its value
//!     let ended = Ended::default();               // how it says that it did
//!     let stopped = {
//!         let (lent, parts, interrupt) = scope.lend();
//!         drive(parts, interrupt, &ended, async { // returns what the function returns
//!             let PAT = lent;
//!             finish(&mut value, &ended, BODY).await
//!         }).await
//!     };
//!     settle(scope, stopped, value, &ended)       // classifies; makes the exit's future
//! } {
//!     conclude => match conclude.await {
//!         Value(value) => value,
//!         Left(left) => return left,
//!         Raised(error) => return raise(error),
//!         ..
//!     }
//! }
//! ```
//!
//! The body of level k is level k+1, so that n items are n nested blocks in the most literal way (rule ORD-3).

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::quote_spanned;
use syn::spanned::Spanned;

use crate::body::{self, Jump};
use crate::errors;
use crate::parse::Block;

/// Expands the runtime crate's path followed by what the user wrote.
pub(crate) fn block(input: TokenStream) -> TokenStream {
    let mut tokens = input.into_iter().peekable();
    let Some(TokenTree::Ident(path)) = tokens.next() else {
        return errors::as_expression(&syn::Error::new(Span::call_site(), "use `async_with!`"));
    };
    let is_at = |token: &TokenTree| matches!(token, TokenTree::Punct(at) if at.as_char() == '@');
    if tokens.peek().is_some_and(is_at) && is_mention(tokens.clone()) {
        return quote_spanned!(path.span()=> ());
    }
    match Block::parse(tokens.collect()) {
        Ok(block) => Expansion::new(&path, &block).expand(&block),
        Err(error) => errors::as_expression(&error),
    }
}

/// Whether the tokens are `@mention`: what a generator leaves of the macro whose block it expands by ours.
fn is_mention(tokens: impl Iterator<Item = TokenTree>) -> bool {
    let tokens: TokenStream = tokens.collect();
    tokens.to_string().replace(' ', "") == "@mention"
}

struct Expansion {
    /// `$crate`.
    path: Ident,
    /// `$crate::expansion`, whose span also gives generated tokens their hygiene.
    runtime: TokenStream,
    span: Span,
    body: TokenStream,
    jumps: Vec<Jump>,
    with_else: bool,
}

impl Expansion {
    fn new(path: &Ident, block: &Block) -> Self {
        let span = path.span();
        let (body, jumps) = body::take_jumps(&block.body, span);
        let runtime = quote_spanned!(span=> #path::expansion);
        Self {
            path: path.clone(),
            runtime,
            span,
            body,
            jumps,
            with_else: block.otherwise.is_some(),
        }
    }

    fn expand(&self, block: &Block) -> TokenStream {
        let Self { runtime, span, .. } = self;
        let span = *span;
        let payloads = self
            .jumps
            .iter()
            .enumerate()
            .filter(|(_, jump)| jump.valued)
            .map(|(number, jump)| {
                let [ty, slot] = self.payload(number);
                let pin = body::reissue(jump, &quote_spanned!(span=> #ty.value()), span);
                quote_spanned! {span=>
                    let #ty = #runtime::Ty::new();
                    if false { #pin; }
                    let mut #slot = #runtime::None;
                }
            });
        let levels = self.level(block, 0);
        let whole = match &block.otherwise {
            None => levels,
            Some(otherwise) => {
                let otherwise = braced(otherwise.stream(), span.located_at(otherwise.span()));
                quote_spanned! {span=>
                    match #levels {
                        #runtime::Some(__value) => __value,
                        #runtime::None => #otherwise
                    }
                }
            }
        };
        quote_spanned! {span=>
            {
                let __return = #runtime::Ty::new();
                #[allow(unreachable_code, clippy::diverging_sub_expression)]
                if false { return __return.value(); }
                let __value_type = #runtime::Ty::new();
                if false { __value_type.value() } else {
                    #(#payloads)*
                    #whole
                }
            }
        }
    }

    /// The path of what the expansion calls, at another place.
    fn at(&self, span: Span) -> TokenStream {
        let mut path = self.path.clone();
        path.set_span(span);
        quote_spanned!(span=> #path::expansion)
    }

    /// The level of the item with this number, and everything inside it.
    fn level(&self, block: &Block, number: usize) -> TokenStream {
        let Self { runtime, span, .. } = self;
        let span = *span;
        let item = &block.items[number];
        let innermost = number + 1 == block.items.len();
        let closing = span.located_at(block.body.span_close());
        let expr = delimited(&item.expr, span);
        let opening = span.located_at(first_span(&item.expr).unwrap_or(span));
        let open = quote_spanned! {opening=>
            {
                use #runtime::open::*;
                let __opener = #runtime::Opener::new(#expr);
                (&&&&&__opener).__async_with_open().open(__opener)
            }
        };
        // A resource that escapes is borrowed while its scope is taken apart: one error, on the pattern, as long as the
        // borrow and the move have the same place.
        let lending = item
            .pat
            .as_ref()
            .map_or(opening, |pat| span.located_at(pat.span()));
        let scope = Ident::new("__scope", lending);
        let raises = quote_spanned!(opening=> #scope.raises(0, &__return));
        let lend = quote_spanned!(lending=> #runtime::Scope::lend(&mut #scope));
        let settling = self.at(closing);
        let settle = quote_spanned! {closing=>
            #settling::settle(
                #scope, __stopped, __value, &__ended,
                #settling::tie(0, 0.0, 0), #settling::tie(0, 0.0, 0),
            )
        };
        let bind = item.pat.as_ref().map_or_else(
            || quote_spanned!(span=> let _ = __lent;),
            |pat| quote_spanned!(lending=> #[allow(clippy::no_effect_underscore_binding)] let #pat = __lent;),
        );
        let inner = if innermost {
            self.innermost(closing)
        } else {
            let inner = self.level(block, number + 1);
            quote_spanned! {span=>
                let __end = #runtime::finish(__value_type.twin(), #inner, &mut __value, &__ended);
                __end.await
            }
        };
        // The place of the body in messages about its type.
        let keyword = quote_spanned!(opening=> async);
        let conclusion = self.conclusion(number, opening);
        quote_spanned! {span=>
            match {
                let mut #scope = #open;
                let __raise = #raises;
                match #runtime::Scope::enter(&mut #scope).await {
                    #runtime::Ok(()) => {}
                    #runtime::Err(__error) => {
                        #[allow(unreachable_code, clippy::diverging_sub_expression)]
                        return __raise(__error);
                    }
                }
                let mut __value = #runtime::None;
                let __ended = #runtime::Ended::new();
                let __stopped = {
                    let (__lent, __parts, __interrupt) = #lend;
                    let (__return, __value_type) = (__return.twin(), __value_type.twin());
                    #runtime::drive(__parts, __interrupt, &__ended, #keyword {
                        let __return = __return;
                        #[allow(unreachable_code, clippy::diverging_sub_expression)]
                        if false { return __return.value(); }
                        let __value_type = __value_type;
                        let __lent = __lent;
                        #bind
                        #inner
                    }).await
                };
                (#settle, __raise)
            } {
                (__conclude, __raise) => match __conclude.await {
                    #conclusion
                },
            }
        }
    }

    /// The user's body, with its jumps caught.
    fn innermost(&self, closing: Span) -> TokenStream {
        let Self { runtime, span, .. } = self;
        let span = *span;
        // The dead branch keeps rustc from calling what follows a diverging body unreachable.
        let body = braced(self.body.clone(), closing);
        // Unless the type is `!`, which is seen from a loop.
        let allow = self
            .ends_in_loop()
            .then(|| quote_spanned!(span=> #[allow(unreachable_code)]));
        let value = quote_spanned! {span=>
            #allow
            let __end = #runtime::finish(
                __value_type.twin(),
                if false { __value_type.value() } else #body,
                &mut __value,
                &__ended,
            );
        };
        let mut inner = quote_spanned! {span=>
            #value
            #[allow(unreachable_code, clippy::diverging_sub_expression)]
            return __end.await;
        };
        for (number, jump) in self.jumps.iter().enumerate() {
            let label = &jump.inner;
            let code = u32::try_from(number).unwrap_or(u32::MAX);
            let caught = quote_spanned!(span=> #label: { #inner });
            let [ty, slot] = self.payload(number);
            let caught = if jump.valued {
                quote_spanned!(span=> #slot = #runtime::Some(#ty.same(#caught));)
            } else {
                caught
            };
            inner = quote_spanned!(span=> #caught return #runtime::jump(&__ended, #code).await;);
        }
        if self.jumps.is_empty() {
            inner = quote_spanned! {span=>
                #value
                #[allow(unreachable_code, clippy::diverging_sub_expression)]
                __end.await
            };
        }
        inner
    }

    fn ends_in_loop(&self) -> bool {
        let tokens: Vec<TokenTree> = self.body.clone().into_iter().collect();
        matches!(&*tokens, [.., TokenTree::Ident(word), TokenTree::Group(_)] if word == "loop")
    }

    /// The number that stands for "a failure was suppressed, go on with `else`" between levels.
    fn skip_number(&self) -> u32 {
        u32::try_from(self.jumps.len()).unwrap_or(u32::MAX)
    }

    /// The arms that carry control on after a level's exit.
    fn conclusion(&self, number: usize, opening: Span) -> TokenStream {
        let Self {
            runtime,
            span,
            with_else,
            ..
        } = self;
        let span = *span;
        let outermost = number == 0;
        let jumps_exist = *with_else || !self.jumps.is_empty();
        let skip_number = self.skip_number();
        let value = if *with_else && outermost {
            quote_spanned!(span=> #runtime::Some(__value))
        } else {
            quote_spanned!(span=> __value)
        };
        let skipped = match (*with_else, outermost) {
            (false, _) => quote_spanned!(opening=> #runtime::skip(&__value_type, __skipped)),
            (true, true) => quote_spanned!(span=> { let _ = __skipped; #runtime::None }),
            (true, false) => quote_spanned! {span=>
                { let _ = __skipped; return #runtime::jump(&__ended, #skip_number).await }
            },
        };
        let jump = match (jumps_exist, outermost) {
            (false, _) => quote_spanned!(span=> { let _ = __jump; #runtime::no_jump() }),
            (true, false) => quote_spanned!(span=> return #runtime::jump(&__ended, __jump).await),
            (true, true) => {
                let arms = self.jumps.iter().enumerate().map(|(number, jump)| {
                    let code = u32::try_from(number).unwrap_or(u32::MAX);
                    let [_, slot] = self.payload(number);
                    let jump =
                        body::reissue(jump, &quote_spanned!(span=> #runtime::payload(#slot)), span);
                    quote_spanned!(span=> #code => #jump,)
                });
                let skip =
                    with_else.then(|| quote_spanned!(span=> #skip_number => #runtime::None,));
                quote_spanned!(span=> match __jump { #(#arms)* #skip _ => #runtime::no_jump() })
            }
        };
        quote_spanned! {span=>
            #runtime::Concluded::Value(__value) => #value,
            #runtime::Concluded::Left(__left) => {
                #[allow(unreachable_code, clippy::diverging_sub_expression)]
                return __left;
            }
            #runtime::Concluded::Raised(__error) => {
                #[allow(unreachable_code, clippy::diverging_sub_expression)]
                return __raise(__error);
            }
            #runtime::Concluded::Skipped(__skipped) => #skipped,
            #runtime::Concluded::Jump(__jump) => #jump,
        }
    }

    /// The names of a valued jump's type and slot.
    fn payload(&self, number: usize) -> [Ident; 2] {
        ["type", "value"].map(|what| Ident::new(&format!("__jump_{what}_{number}"), self.span))
    }
}

/// A block with the given span, so that its braces are the macro's to the lints.
fn braced(stream: TokenStream, span: Span) -> TokenTree {
    let mut group = Group::new(Delimiter::Brace, stream);
    group.set_span(span);
    group.into()
}

/// An item's expression; its outermost delimiters are the macro's to the lints, which would ask to remove them. SYN-6
/// asks for them.
fn delimited(expr: &TokenStream, span: Span) -> TokenStream {
    let mut tokens = expr.clone().into_iter();
    match (tokens.next(), tokens.next()) {
        (Some(TokenTree::Group(group)), None) => {
            let mut rebuilt = Group::new(group.delimiter(), group.stream());
            rebuilt.set_span(span.located_at(group.span()));
            TokenTree::Group(rebuilt).into()
        }
        _ => expr.clone(),
    }
}

fn first_span(tokens: &TokenStream) -> Option<Span> {
    tokens.clone().into_iter().next().map(|token| token.span())
}
