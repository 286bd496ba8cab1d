//! Input that nobody would write: bytes, made into tokens near the grammar, and what has to hold for any tokens.
//!
//! No parser panics, and what a macro accepts expands to something that parses. The bytes come from proptest in this
//! crate's tests, and from libFuzzer in `fuzz/`.

use std::str::FromStr;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::quote;
use syn::parse::Parser;
use syn::visit::Visit;
use syn::{Block, Expr, File, Item, Macro, parse2};

use crate::{attribute, expand, generator, parse, sugar, yields};

/// What soup is made of, besides delimiters.
const WORDS: &[&str] = &[
    "a",
    "b()",
    "self",
    "Ok",
    "None",
    "as",
    "as a",
    "else",
    "break",
    "continue",
    "return",
    "yield_",
    "yield_!(a);",
    "loop",
    "while",
    "for a in b",
    "if",
    "match",
    "let",
    "let a = b();",
    "#[with]",
    "#[with(a as b)]",
    "#[cfg(a)]",
    "async",
    "async move",
    "move",
    "fn",
    "fn a()",
    "impl",
    "AsyncContextManager",
    "Self::Error",
    "Result<a, b>",
    "enter",
    "exit",
    "mut",
    "ref",
    "in",
    "const",
    "static",
    "unsafe",
    "where",
    "dyn",
    "crate",
    "scoped",
    "suppresses",
    "interrupt",
    "=>",
    "->",
    "::",
    "..",
    "..=",
    "&&",
    "||",
    "==",
    ",",
    ";",
    ":",
    "?",
    ".",
    "=",
    "<",
    ">",
    "|",
    "&",
    "!",
    "-",
    "*",
    "@",
    "#",
    "$",
    "'a",
    "'a: loop",
    "break 'a",
    "break 'a 1",
    "continue 'a",
    "_",
    "0",
    "1.5",
    "\"\"",
    "'c'",
    "b.await",
    "b.await?",
    "a as u8",
    "async_with!",
    "select!",
    "println!",
    "{ a }",
    "=> { a }",
    "=> { break }",
    "else { a }",
    "=> a,",
];

/// Valid inputs to begin with, for each of the macros. Arguments of an attribute stand before the `@ @`.
const SEEDS: [&[&str]; 3] = [
    &[
        "",
        "a() as b, c::<D, E>(|x: F<G>, y| x as u8) as (d, _) => { d.await?; break 'a 1 } else { continue }",
        "(a as &mut b, (c as d) as e), { loop { break; } select! { x = y => break, else => continue 'a } }",
        "a => { async_with! { b as c => { if d { continue } else { return 1 } } } println!(\"{}\", { break 'x }) }",
    ],
    &[
        "",
        "@ @ async fn a(b: &B, mut c: C) -> D { #[with] let x = e(); let y = #[with(f() as g, h)] { x? }; y }",
        "a(b) as c, d @ @ pub async fn a<'a, T>(&self, mut b: T, (c, _): (u8, u8)) -> ! where T: B { loop { b.await } }",
        "crate = x::y, (a) @ @ fn a() -> B { Box::pin(async move { let s = self; let r: R = { s.b().await }; r }) }",
        "@ @ impl A for B { #[a] async fn a(self) { #[cfg(b)] #[with] let (c, d) = e; f } const X: u8 = 1; }",
        "a @ @ fn a() { let body = async { b }; }",
    ],
    &[
        "",
        "crate = a, scoped @ @ async fn a<'a, T: Send + 'static>(&'a mut self, (b, mut c): T) -> io::Result<D> {
            let e = loop { break 1; };
            let (x, cause) = async_with! { f as g => { if h { yield_!(i, interrupt = j) } else { return Err(k); } } };
            return Ok(Verdict::Suppress)
        }",
        "@ @ async fn a(b: impl B, _: &'static str) -> Result<C, D> { match b { x => { yield_!(); } _ => panic!() } Ok(()) }",
        "@ @ impl<T> AsyncContextManager for A<T> {
            type Error = E;
            async fn enter(&mut self) -> io::Result<Vec<T>> { a }
            fn exit(self, b: Self::Resource, _: Cause) -> impl Future<Output = Result<(), Self::Error>> + Send { c }
        }",
    ],
];

/// More than this is only more of the same.
const MOST_WORDS: usize = 160;
const MOST_DEPTH: usize = 24;

/// A token, or one side of a group.
#[derive(Clone)]
enum Piece {
    Open(Delimiter),
    Close,
    Token(TokenTree),
}

fn delimiter(number: u8) -> Delimiter {
    match number % 4 {
        0 => Delimiter::Parenthesis,
        1 => Delimiter::Brace,
        2 => Delimiter::Bracket,
        _ => Delimiter::None,
    }
}

fn pieces(text: &str) -> Vec<Piece> {
    let tokens = TokenStream::from_str(text).expect("the words and seeds are tokens");
    let mut pieces = Vec::new();
    flatten(tokens, &mut pieces);
    pieces
}

fn flatten(tokens: TokenStream, pieces: &mut Vec<Piece>) {
    for token in tokens {
        if let TokenTree::Group(group) = token {
            pieces.push(Piece::Open(group.delimiter()));
            flatten(group.stream(), pieces);
            pieces.push(Piece::Close);
        } else {
            pieces.push(Piece::Token(token));
        }
    }
}

/// Pairs the sides of groups: one that closes nothing is left out, and one that is open is closed at the end.
fn build(pieces: Vec<Piece>) -> TokenStream {
    let mut open = vec![(Delimiter::None, TokenStream::new())];
    let close = |open: &mut Vec<(Delimiter, TokenStream)>| {
        if open.len() > 1
            && let Some((delimiter, inside)) = open.pop()
            && let Some((_, outside)) = open.last_mut()
        {
            outside.extend([TokenTree::Group(Group::new(delimiter, inside))]);
        }
    };
    for piece in pieces {
        match piece {
            Piece::Open(delimiter) if open.len() < MOST_DEPTH => {
                open.push((delimiter, TokenStream::new()));
            }
            Piece::Open(_) => {}
            Piece::Close => close(&mut open),
            Piece::Token(token) => open.last_mut().expect("the outermost").1.extend([token]),
        }
    }
    while open.len() > 1 {
        close(&mut open);
    }
    open.remove(0).1
}

/// One of the macros, and its input.
pub(crate) struct Soup {
    subject: usize,
    tokens: TokenStream,
}

impl Soup {
    /// The first byte chooses the macro, the second an input to begin with; each three that follow change it somewhere.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let [subject, seed, changes @ ..] = bytes else {
            return Self {
                subject: 0,
                tokens: TokenStream::new(),
            };
        };
        let subject = usize::from(*subject) % SEEDS.len();
        let seeds = SEEDS[subject];
        let mut soup = pieces(seeds[usize::from(*seed) % seeds.len()]);
        for change in changes.as_chunks::<3>().0.iter().take(MOST_WORDS) {
            let [place, what, word] = *change;
            // Without a seed, it goes on at the end most of the time.
            let at = if soup.is_empty() || *seed == 0 && place < 192 {
                soup.len()
            } else {
                usize::from(place) * soup.len() / 256
            };
            let insert = match what % 16 {
                0 => vec![Piece::Open(delimiter(word))],
                1 => vec![Piece::Close],
                2 => vec![Piece::Open(delimiter(word)), Piece::Close],
                // Something that is there already, once more.
                3 => soup[at..]
                    .iter()
                    .take(usize::from(word % 16))
                    .cloned()
                    .collect(),
                4..=6 => {
                    let end = soup.len().min(at + usize::from(word % 4));
                    soup.drain(at..end);
                    Vec::new()
                }
                _ => pieces(WORDS[usize::from(word) % WORDS.len()]),
            };
            soup.splice(at..at, insert);
        }
        Self {
            subject,
            tokens: build(soup),
        }
    }

    /// The input, to be read.
    pub(crate) fn text(&self) -> String {
        let name = ["async_with!", "#[async_with]", "#[async_context_manager]"][self.subject];
        format!("{name} {}", self.tokens)
    }

    /// Expands it, and says whether it was accepted.
    ///
    /// # Panics
    ///
    /// When the expansion does, or does not parse.
    pub(crate) fn check(&self) -> bool {
        let output = if self.subject == 0 {
            check_block(self.tokens.clone())
        } else {
            self.check_attribute()
        };
        !output.to_string().contains("compile_error")
    }

    fn check_attribute(&self) -> TokenStream {
        let (arguments, item) = self.arguments_and_item();
        let parsed = parse2::<Item>(item.clone()).ok();
        // An attribute is hardly ever given anything else by rustc.
        let is_item = matches!(&parsed, Some(item) if !matches!(item, Item::Verbatim(_)));
        let output = match (self.subject, parsed) {
            (1, _) => attribute::expand(arguments, item),
            (_, Some(Item::Fn(function))) => inside(generator::expand(arguments, function)),
            (_, Some(item)) => sugar::expand(arguments, item),
            (_, None) => quote!(compile_error!()),
        };
        if is_item {
            let file: File =
                parse2(output.clone()).unwrap_or_else(|error| panic!("{error}: {output}"));
            Blocks.visit_file(&file);
        }
        output
    }

    fn arguments_and_item(&self) -> (TokenStream, TokenStream) {
        let tokens: Vec<TokenTree> = self.tokens.clone().into_iter().collect();
        let is_at =
            |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == '@');
        let cut = tokens.windows(2).position(|pair| pair.iter().all(is_at));
        match cut {
            Some(at) => (
                tokens[..at].iter().cloned().collect(),
                tokens[at + 2..].iter().cloned().collect(),
            ),
            None => (TokenStream::new(), tokens.into_iter().collect()),
        }
    }
}

/// Expands what the attribute leaves to the runtime crate: the inside of a generator.
pub(crate) fn inside(expansion: TokenStream) -> TokenStream {
    let is_generator = |body: &[TokenTree]| matches!(body, [.., TokenTree::Ident(name), _, TokenTree::Group(_)] if name == "generator");
    expansion
        .into_iter()
        .map(|token| match token {
            TokenTree::Group(body) if body.delimiter() == Delimiter::Brace => {
                let tokens: Vec<TokenTree> = body.stream().into_iter().collect();
                match tokens.last() {
                    Some(TokenTree::Group(input)) if is_generator(&tokens) => {
                        let input = input.stream();
                        let output = yields::expand(quote!(async_with unsafe #input));
                        output.into_iter().next().expect("it is an expression")
                    }
                    _ => TokenTree::Group(body),
                }
            }
            token => token,
        })
        .collect()
}

fn check_block(tokens: TokenStream) -> TokenStream {
    let output = expand::block(quote!(async_with #tokens));
    // What the user wrote in a body or behind `else` is passed on as it is.
    let is_rust = |group: &Group| Block::parse_within.parse2(group.stream()).is_ok();
    let passes = parse::Block::parse(tokens).map_or(true, |block| {
        is_rust(&block.body)
            && block
                .otherwise
                .as_ref()
                .is_none_or(|otherwise| is_rust(&otherwise.block))
    });
    if passes && let Err(error) = parse2::<Expr>(output.clone()) {
        panic!("{error}: {output}");
    }
    output
}

/// Expands the blocks that an attribute has made, or has left.
struct Blocks;

impl<'a> Visit<'a> for Blocks {
    fn visit_macro(&mut self, invocation: &'a Macro) {
        let name = invocation.path.segments.last();
        if name.is_some_and(|name| name.ident == "async_with") {
            check_block(invocation.tokens.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::{SEEDS, Soup};

    /// The same cases each time, unless `PROPTEST_CASES` or `PROPTEST_RNG_SEED` say otherwise.
    fn configuration() -> ProptestConfig {
        let mut configuration = ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        if std::env::var_os("PROPTEST_CASES").is_none() {
            configuration.cases = 4_000;
        }
        if configuration.rng_seed == RngSeed::Random {
            configuration.rng_seed = RngSeed::Fixed(0);
        }
        configuration
    }

    proptest! {
        #![proptest_config(configuration())]

        #[test]
        fn any_tokens_are_expanded_or_explained(bytes in prop::collection::vec(any::<u8>(), 0..240)) {
            let soup = Soup::from_bytes(&bytes);
            let expanded = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| soup.check()));
            prop_assert!(expanded.is_ok(), "{}", soup.text());
        }
    }

    /// What is changed is valid to begin with, so that it stays near the grammar.
    #[test]
    fn the_seeds_are_accepted() {
        for (subject, seeds) in (0..).zip(SEEDS) {
            for seed in (0..).take(seeds.len()).skip(1) {
                let soup = Soup::from_bytes(&[subject, seed]);
                assert!(soup.check(), "{}", soup.text());
            }
        }
    }
}
