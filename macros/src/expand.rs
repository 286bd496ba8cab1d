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
//!     settle(scope, stopped, value, carried, &ended) // classifies; makes the exit's future
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
use crate::names::Suffix;
use crate::parse::{Block, Else, Item};
use crate::place;

/// Expands the runtime crate's path followed by what the user wrote.
pub(crate) fn block(input: TokenStream) -> TokenStream {
    let mut tokens = input.into_iter();
    let Some(TokenTree::Ident(path)) = tokens.next() else {
        return errors::as_expression(&syn::Error::new(Span::call_site(), "use `async_with!`"));
    };
    let of_generator = Mark::take(&mut tokens);
    if let Some(Mark::Mention) = of_generator {
        return quote_spanned!(path.span()=> ());
    }
    match Block::parse(tokens.collect()) {
        Ok(block) => Expansion::new(&path, &block, of_generator.is_some()).expand(&block),
        Err(error) => errors::as_expression(&error),
    }
}

/// What a generator leaves of a macro whose block it expands by ours, and what it begins that block with.
enum Mark {
    /// `@mention`
    Mention,
    /// `@yields`, before a block that the yield is in.
    Yields,
}

impl Mark {
    fn take(tokens: &mut (impl Iterator<Item = TokenTree> + Clone)) -> Option<Self> {
        let mut ahead = tokens.clone();
        let mark = match (ahead.next()?, ahead.next()?) {
            (TokenTree::Punct(at), TokenTree::Ident(word)) if at.as_char() == '@' => {
                if word == "yields" {
                    Mark::Yields
                } else if word == "mention" && ahead.clone().next().is_none() {
                    Mark::Mention
                } else {
                    return None;
                }
            }
            _ => return None,
        };
        *tokens = ahead;
        Some(mark)
    }
}

struct Expansion {
    /// `$crate`.
    path: Ident,
    /// `$crate::expansion`, whose span also gives generated tokens their hygiene.
    runtime: TokenStream,
    span: Span,
    names: Names,
    body: TokenStream,
    jumps: Vec<Jump>,
    with_else: bool,
    /// The yield of a generator is in the body.
    yields: bool,
    /// The body ends with a jump, so that control comes behind the block only after a suppression.
    ends_in_jump: bool,
}

impl Expansion {
    fn new(path: &Ident, block: &Block, yields: bool) -> Self {
        let span = path.span();
        let runtime = quote_spanned!(span=> #path::expansion);
        let (body, jumps) = body::take_jumps(&block.body, &runtime, span);
        Self {
            path: path.clone(),
            runtime,
            span,
            names: Names::of(block, span),
            body,
            jumps,
            with_else: block.otherwise.is_some(),
            yields,
            ends_in_jump: block.otherwise.is_none() && body::ends_in_jump(block.body.stream()),
        }
    }

    fn expand(&self, block: &Block) -> TokenStream {
        let Self {
            runtime,
            span,
            names,
            ..
        } = self;
        let span = *span;
        let Names { value, .. } = names;
        let payloads = self.valued_jumps().map(|(number, jump)| {
            let [ty, slot] = self.payload(number);
            let value = quote_spanned!(span=> #runtime::Ty::value(&#ty));
            let pin = jump.reissue(&value, runtime, span);
            quote_spanned! {span=>
                let #ty = #runtime::Ty::new();
                if false { #pin; }
                let mut #slot = #runtime::None;
            }
        });
        let levels = self.level(block, 0);
        if self.ends_in_jump {
            return self.behind_jump(
                &quote_spanned!(span=> #(#payloads)* #levels),
                block.items.len(),
            );
        }
        let whole = match &block.otherwise {
            None => levels,
            Some(Else {
                keyword,
                block: otherwise,
            }) => {
                let asked = self.ask_for_else(block.items.len(), span.located_at(*keyword));
                let otherwise = braced(otherwise.stream(), span.located_at(otherwise.span()));
                quote_spanned! {span=>
                    #asked
                    match #levels {
                        #runtime::Some(#value) => #value,
                        #runtime::None => #otherwise
                    }
                }
            }
        };
        let value = self.pinned(&quote_spanned!(span=> #(#payloads)* #whole));
        quote_spanned!(span=> { #value })
    }

    /// The value, with the types of the body known before it: that of the function's return, and its own.
    fn pinned(&self, whole: &TokenStream) -> TokenStream {
        let Self { runtime, span, .. } = self;
        let Names {
            returns,
            value_type,
            ..
        } = &self.names;
        quote_spanned! {*span=>
            let #returns = #runtime::Ty::new();
            #[allow(unreachable_code, clippy::diverging_sub_expression)]
            if false { return #runtime::Ty::value(&#returns); }
            let #value_type = #runtime::Ty::new();
            if false { #runtime::Ty::value(&#value_type) } else { #whole }
        }
    }

    /// The value of a block whose body ends with a jump: `!`, if no exit can suppress.
    fn behind_jump(&self, whole: &TokenStream, levels: usize) -> TokenStream {
        let Self { runtime, span, .. } = self;
        let span = *span;
        let skips: Vec<Ident> = (0..levels).map(|number| self.skip(number)).collect();
        let mut types = quote_spanned!(span=> ());
        for skip in skips.iter().rev() {
            types = quote_spanned!(span=> (&#skip, #types));
        }
        let (fallen, value) = (self.names.other("fallen"), self.pinned(whole));
        // The types are known behind the block.
        quote_spanned! {span=>
            {
                use #runtime::fall::*;
                #(let #skips = #runtime::Ty::new();)*
                let #fallen = { #value };
                (&&#runtime::Fall::new(#types)).__async_with_fall(#fallen)
            }
        }
    }

    /// Names what the exits leave when they suppress, and asks whether one of them can be, at the `else` that is for it.
    fn ask_for_else(&self, levels: usize, keyword: Span) -> TokenStream {
        let Self { runtime, span, .. } = self;
        let span = *span;
        let (mut types, mut ties) = (quote_spanned!(keyword=> ()), quote_spanned!(keyword=> ()));
        let skips: Vec<Ident> = (0..levels).map(|number| self.skip(number)).collect();
        for skip in skips.iter().rev() {
            types = quote_spanned!(keyword=> (&#skip, #types));
            ties = quote_spanned!(keyword=> (0, #ties));
        }
        let else_runs = self.at(keyword, &["else_runs"]);
        let ask = quote_spanned!(keyword=> #else_runs(&#types, #ties));
        quote_spanned! {span=>
            #(let #skips = #runtime::Ty::new();)*
            #ask;
        }
    }

    /// The name of the type of what the exit at this level leaves when it suppressed.
    fn skip(&self, number: usize) -> Ident {
        self.names.other(&format!("skip_{number}"))
    }

    /// The path of something that the expansion calls, at another place.
    fn at(&self, place: Span, names: &[&str]) -> TokenStream {
        let path = at(&self.path, place::start(place));
        let names = ["expansion"].iter().chain(names);
        let names = names.map(|name| Ident::new(name, place::end(place)));
        quote_spanned!(place=> #path #(::#names)*)
    }

    /// The level of the item with this number, and everything inside it.
    fn level(&self, block: &Block, number: usize) -> TokenStream {
        let Self {
            runtime,
            span,
            names,
            ..
        } = self;
        let span = *span;
        let Names {
            returns,
            value_type,
            raise,
            value,
            ended,
            stopped,
            lent,
            parts,
            interrupt,
            conclude,
            error,
            ..
        } = names;
        let item = &block.items[number];
        let opening = span.located_at(first_span(&item.expr).unwrap_or(span));
        let closing = span.located_at(block.body.span_close());
        // A resource that escapes is borrowed while its scope is taken apart: one error, on the pattern, as long as the
        // borrow and the move have the same place.
        let lending = item
            .pat
            .as_ref()
            .map_or(opening, |pat| span.located_at(pat.span()));
        // An error calls the scope what is at its place: the pattern.
        let scope = at(&names.scope, place::end(lending));
        let r#mut = place::word("mut", lending);
        let open = self.open(item, opening);
        let enter = self.enter(opening);
        let lend = self.lend(lending);
        let settle = self.settle(lending, closing);
        let bind = item.pat.as_ref().map_or_else(
            || quote_spanned!(span=> let _ = #lent;),
            |pat| {
                let r#let = place::word("let", lending);
                let resource = place::name(lent, lending);
                let allow = quote_spanned!(span=> #[allow(clippy::no_effect_underscore_binding)]);
                quote_spanned!(lending=> #allow #r#let #pat = #resource;)
            },
        );
        let inner = self.inner(block, number, closing);
        let inside = if self.with_else || self.ends_in_jump {
            number + 1..block.items.len()
        } else {
            0..0
        };
        let skips: Vec<Ident> = inside.map(|number| self.skip(number)).collect();
        // The place of the body in messages about its type.
        let keyword = place::word_at("async", opening, &item.expr);
        let conclusion = self.conclusion(number, opening);
        quote_spanned! {span=>
            match {
                let #r#mut #scope = #open;
                #enter.await {
                    #runtime::Ok(()) => {}
                    #runtime::Err(#error) => {
                        #[allow(unreachable_code, clippy::diverging_sub_expression)]
                        return #raise(#error);
                    }
                }
                let mut #value = #runtime::None;
                let #ended = #runtime::Ended::new();
                let #stopped = {
                    let (#lent, #parts, #interrupt) = #lend;
                    let (#returns, #value_type) =
                        (#runtime::Ty::twin(&#returns), #runtime::Ty::twin(&#value_type));
                    #(let #skips = #runtime::Ty::twin(&#skips);)*
                    #runtime::drive(#parts, #interrupt, &#ended, #keyword {
                        let #returns = #returns;
                        #[allow(unreachable_code, clippy::diverging_sub_expression)]
                        if false { return #runtime::Ty::value(&#returns); }
                        let #value_type = #value_type;
                        #(let #skips = #skips;)*
                        let #lent = #lent;
                        #bind
                        #inner
                    }).await
                };
                (#settle, #raise)
            } {
                (#conclude, #raise) => match #conclude.await {
                    #conclusion
                },
            }
        }
    }

    /// Makes the scope of an item: of which kind its manager is, method lookup finds out.
    fn open(&self, item: &Item, opening: Span) -> TokenStream {
        let opener = &self.names.opener;
        let expr = delimited(&item.expr, self.span);
        let [r#use, r#let, open] = ["use", "let", "open"].map(|word| place::word(word, opening));
        let traits = self.at(opening, &["open"]);
        let new = self.at(opening, &["Opener", "new"]);
        let kind = place::word_at("__async_with_open", opening, &item.expr);
        quote_spanned! {opening=>
            {
                #r#use #traits::*;
                #r#let #opener = #new(#expr);
                (&&&&&#opener).#kind().#open(#opener)
            }
        }
    }

    /// Finds out how errors are raised, and enters, up to the future.
    fn enter(&self, opening: Span) -> TokenStream {
        let Names {
            scope,
            returns,
            raise,
            ..
        } = &self.names;
        let [r#let, r#match, r#mut] =
            ["let", "match", "mut"].map(|word| place::word(word, opening));
        let raises = self.at(opening, &["Scope", "raises"]);
        let returns = place::name(returns, opening);
        let enter = self.at(opening, &["EnterBy", "enter"]);
        let by = self.at(opening, &["ScopedAsyncContextManager", "enter"]);
        quote_spanned! {opening=>
            #r#let #raise = #raises(&#scope, 0, &#returns);
            #r#match #enter(&#r#mut #scope, #by)
        }
    }

    fn lend(&self, lending: Span) -> TokenStream {
        let scope = place::name(&self.names.scope, lending);
        let lend = self.at(lending, &["LendBy", "lend"]);
        let by = self.at(lending, &["ScopedAsyncContextManager", "interrupt"]);
        let r#mut = place::word("mut", lending);
        quote_spanned!(lending=> #lend(&#r#mut #scope, #by))
    }

    fn settle(&self, lending: Span, closing: Span) -> TokenStream {
        let Names {
            scope,
            stopped,
            value,
            ended,
            ..
        } = &self.names;
        let scope = place::name(scope, lending);
        let [stopped, value, ended] =
            [stopped, value, ended].map(|name| place::name(name, closing));
        let carried = self.carried();
        let settle = self.at(closing, &["settle"]);
        let tie = self.at(closing, &["tie"]);
        let conclude = self.at(closing, &["ConcludeBy", "conclude"]);
        let by = self.at(closing, &["ScopedAsyncContextManager", "exit"]);
        quote_spanned! {closing=>
            #conclude(
                #settle(
                    #scope,
                    #stopped,
                    #value,
                    #carried,
                    &#ended,
                    #tie(0, 0.0, 0),
                    #tie(0, 0.0, 0),
                ),
                #by,
            )
        }
    }

    /// Takes the values of the jumps, each with the question whether it is a failure, at the place of its jump.
    fn carried(&self) -> TokenStream {
        let Self { runtime, span, .. } = self;
        let mut carried = quote_spanned!(*span=> ());
        for (number, jump) in self.valued_jumps().rev() {
            let place = span.located_at(jump.place);
            let [_, slot] = self.payload(number);
            let [carry, tie] = ["carried", "tie"].map(|name| self.at(place, &[name]));
            let taken = quote_spanned!(*span=> #runtime::take(&mut #slot));
            carried = quote_spanned!(place=> #carry(#taken, #carried, #tie(0, 0.0, 0)));
        }
        carried
    }

    /// Puts the values of the jumps back, to go on to the next level.
    fn put_back(&self) -> TokenStream {
        let Names { carried, .. } = &self.names;
        let mut rest = quote_spanned!(self.span=> #carried);
        let mut put_back = TokenStream::new();
        for (number, _) in self.valued_jumps() {
            let [_, slot] = self.payload(number);
            put_back.extend(quote_spanned!(self.span=> #slot = #rest.value;));
            rest = quote_spanned!(self.span=> #rest.others);
        }
        put_back
    }

    /// The jumps that carry a value, with their numbers.
    fn valued_jumps(&self) -> impl DoubleEndedIterator<Item = (usize, &Jump)> {
        self.jumps
            .iter()
            .enumerate()
            .filter(|(_, jump)| jump.valued)
    }

    /// What is inside of the level with this number: the next one, or the body.
    fn inner(&self, block: &Block, number: usize, closing: Span) -> TokenStream {
        if number + 1 == block.items.len() {
            return self.innermost(closing);
        }
        let Names { end, .. } = &self.names;
        let finish = self.finish(&self.level(block, number + 1));
        quote_spanned! {self.span=>
            let #end = #finish;
            #end.await
        }
    }

    /// Leaves a value for the driver.
    fn finish(&self, with: &TokenStream) -> TokenStream {
        let Self { runtime, span, .. } = self;
        let Names {
            value_type,
            value,
            ended,
            ..
        } = &self.names;
        quote_spanned! {*span=>
            #runtime::finish(#runtime::Ty::twin(&#value_type), #with, &mut #value, &#ended)
        }
    }

    /// The user's body, with its jumps caught.
    fn innermost(&self, closing: Span) -> TokenStream {
        let Self { runtime, span, .. } = self;
        let span = *span;
        let Names {
            value_type,
            ended,
            end,
            ..
        } = &self.names;
        // The dead branch keeps rustc from calling what follows a diverging body unreachable.
        let body = braced(self.body.clone(), closing);
        let body = quote_spanned!(span=> if false { #runtime::Ty::value(&#value_type) } else #body);
        // Unless the type is `!`, which is seen from a loop.
        let allow = self
            .ends_in_loop()
            .then(|| quote_spanned!(span=> #[allow(unreachable_code)]));
        let finish = self.finish(&body);
        let value = quote_spanned! {span=>
            #allow
            let #end = #finish;
        };
        if self.jumps.is_empty() {
            return quote_spanned! {span=>
                #value
                #[allow(unreachable_code, clippy::diverging_sub_expression)]
                #end.await
            };
        }
        let mut inner = quote_spanned! {span=>
            #value
            #[allow(unreachable_code, clippy::diverging_sub_expression)]
            return #end.await;
        };
        inner = body::probed(&self.jumps, inner, &self.names.other("once"), runtime);
        for (number, jump) in self.jumps.iter().enumerate() {
            let code = u32::try_from(number).unwrap_or(u32::MAX);
            let [ty, slot] = self.payload(number);
            let names = [ty, slot, self.names.other("first")];
            let caught = jump.catch(&inner, &names, runtime, span);
            inner = quote_spanned! {span=>
                #caught
                #[allow(unreachable_code)]
                return #runtime::jump(&#ended, #code).await;
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
            names,
            ..
        } = self;
        let span = *span;
        let Names {
            value_type,
            value,
            ended,
            raise,
            error,
            left,
            skipped,
            jumped,
            carried,
            ..
        } = names;
        let outermost = number == 0;
        let jumps_exist = *with_else || !self.jumps.is_empty();
        let (of_skip, skip_number) = (self.skip(number), self.skip_number());
        let fallen = if *with_else && outermost {
            quote_spanned!(span=> #runtime::Some(#value))
        } else {
            quote_spanned!(span=> #value)
        };
        let skipping = match (*with_else, outermost) {
            (false, _) => {
                let [value_type, skipped_here] =
                    [value_type, skipped].map(|name| place::name(name, opening));
                let skip = if self.yields { "skip_no_yield" } else { "skip" };
                let [skip, no_jump] = [skip, "no_jump"].map(|name| self.at(opening, &[name]));
                let value = quote_spanned!(opening=> #skip(&#value_type, #skipped_here, #no_jump));
                if self.ends_in_jump {
                    quote_spanned!(span=> { #runtime::Ty::is(&#of_skip, &#skipped); #value })
                } else {
                    value
                }
            }
            (true, true) => {
                quote_spanned!(span=> { #runtime::Ty::is(&#of_skip, &#skipped); #runtime::None })
            }
            (true, false) => quote_spanned! {span=>
                {
                    #runtime::Ty::is(&#of_skip, &#skipped);
                    return #runtime::jump(&#ended, #skip_number).await
                }
            },
        };
        let put_back = self.put_back();
        let jumping = match (jumps_exist, outermost) {
            (false, _) => quote_spanned!(span=> let _ = #jumped; #runtime::no_jump()),
            (true, false) => quote_spanned! {span=>
                #put_back
                return #runtime::jump(&#ended, #jumped).await
            },
            (true, true) => {
                let arms = self.jumps.iter().enumerate().map(|(number, jump)| {
                    let code = u32::try_from(number).unwrap_or(u32::MAX);
                    let [_, slot] = self.payload(number);
                    let value = quote_spanned!(span=> #runtime::payload(#slot));
                    let jump = jump.reissue(&value, runtime, span);
                    quote_spanned!(span=> #code => #jump,)
                });
                let skip =
                    with_else.then(|| quote_spanned!(span=> #skip_number => #runtime::None,));
                quote_spanned! {span=>
                    #put_back
                    match #jumped { #(#arms)* #skip _ => #runtime::no_jump() }
                }
            }
        };
        let carried = if put_back.is_empty() {
            quote_spanned!(span=> _)
        } else {
            quote_spanned!(span=> #carried)
        };
        quote_spanned! {span=>
            #runtime::Concluded::Value(#value) => #fallen,
            #runtime::Concluded::Left(#left) => {
                #[allow(unreachable_code, clippy::diverging_sub_expression)]
                return #left;
            }
            #runtime::Concluded::Raised(#error) => {
                #[allow(unreachable_code, clippy::diverging_sub_expression)]
                return #raise(#error);
            }
            #runtime::Concluded::Skipped(#skipped) => #skipping,
            #runtime::Concluded::Jump(#jumped, #carried) => { #jumping }
        }
    }

    /// The names of a valued jump's type and slot.
    fn payload(&self, number: usize) -> [Ident; 2] {
        ["type", "value"].map(|what| self.names.other(&format!("jump_{what}_{number}")))
    }
}

/// Declares the names of what the expansion binds.
macro_rules! names {
    ($($name:ident)*) => {
        /// The names of what the expansion binds.
        struct Names {
            suffix: Suffix,
            span: Span,
            $($name: Ident,)*
        }

        impl Names {
            fn of(block: &Block, span: Span) -> Self {
                let first = block.items.first().map(|item| &item.expr);
                let suffix = Suffix::of(first.unwrap_or(&TokenStream::new()));
                $(let $name = suffix.name(stringify!($name), span);)*
                Self { suffix, span, $($name),* }
            }
        }
    };
}

names!(
    returns value_type scope opener raise value ended stopped lent parts interrupt end conclude error left skipped jumped carried
);

impl Names {
    /// One more.
    fn other(&self, name: &str) -> Ident {
        self.suffix.name(name, self.span)
    }
}

/// The same name at another place.
fn at(name: &Ident, span: Span) -> Ident {
    let mut name = name.clone();
    name.set_span(span);
    name
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
