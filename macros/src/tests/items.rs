//! Where an item ends, and where its expression does: on the level of tokens, a `,`, a `<` or an `as` may mean several
//! things.

use expect_test::{Expect, expect};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::quote;

use crate::parse::{Block, Item, item_list};

/// Each item on a line: its expression `|` its pattern. The body is always the same.
fn cut(blocks: &Expect) {
    super::check(blocks, |input| {
        let block = parse(super::tokens(input));
        let mut lines: Vec<String> = block.items.iter().map(item).collect();
        assert_eq!(super::source(&block.body), "{ x }");
        lines.extend(block.otherwise.iter().map(|block| format!("else {}", super::source(block))));
        super::below(input, lines)
    });
}

fn parse(tokens: TokenStream) -> Block {
    Block::parse(tokens.clone()).unwrap_or_else(|error| panic!("{error}: {tokens}"))
}

fn item(item: &Item) -> String {
    let pat = item.pat.as_ref().map(|pat| format!(" | {}", super::source(pat)));
    super::source(&item.expr) + &pat.unwrap_or_default()
}

#[test]
fn separators() {
    cut(&expect![[r#"
        a => { x }
        -> a
        -> => { x }

        a as b => { x }
        -> a | b
        -> => { x }

        a as b, c, d as e => { x }
        -> a | b
        -> c
        -> d | e
        -> => { x }

        a as b, => { x }
        -> a | b
        -> => { x }

        a as b, { x }
        -> a | b
        -> => { x }

        a, { x }
        -> a
        -> => { x }

        a as b => { x },
        -> a | b
        -> => { x }

        a as b => { x } else { y }
        -> a | b
        -> => { x }
        -> else { y }

        a as b => { x } else { y },
        -> a | b
        -> => { x }
        -> else { y }
    "#]]);
}

/// As in Python, items may stand in parentheses; one more pair makes an expression of it.
#[test]
fn parentheses() {
    cut(&expect![[r#"
        (a as b, c as d) => { x }
        -> a | b
        -> c | d
        -> => { x }

        (a as b, c as d,) => { x }
        -> a | b
        -> c | d
        -> => { x }

        (a as b), { x }
        -> a | b
        -> => { x }

        ((a, b)) => { x }
        -> (a, b)
        -> => { x }

        ((a as B)) => { x }
        -> (a as B)
        -> => { x }

        (a) as b => { x }
        -> (a) | b
        -> => { x }

        (a, b) as (c, d) => { x }
        -> (a, b) | (c, d)
        -> => { x }

        (a as B) as c => { x }
        -> (a as B) | c
        -> => { x }

        (a as b).c() as d => { x }
        -> (a as b).c() | d
        -> => { x }

        [a as b, c] as [d, e] => { x }
        -> [a as b, c] | [d, e]
        -> => { x }
    "#]]);
}

/// A block is the body where nothing but `else` follows it.
#[test]
fn blocks() {
    cut(&expect![[r#"
        { a } as b => { x }
        -> { a } | b
        -> => { x }

        { a } as b, { c } as d, { x }
        -> { a } | b
        -> { c } | d
        -> => { x }

        if a { b } else { c } as d => { x }
        -> if a { b } else { c } | d
        -> => { x }

        match a { b => c } as d => { x }
        -> match a { b => c } | d
        -> => { x }

        unsafe { a } as b => { x }
        -> unsafe { a } | b
        -> => { x }

        async { a } => { x }
        -> async { a }
        -> => { x }

        async move { a } as b, { x }
        -> async move { a } | b
        -> => { x }

        a { b: c } as d => { x }
        -> a { b: c } | d
        -> => { x }

        loop { break a } => { x }
        -> loop { break a }
        -> => { x }

        || { a } as b => { x }
        -> || { a } | b
        -> => { x }
    "#]]);
}

/// The commas and arrows of generic arguments, which stand where no operator can.
#[test]
fn generic_arguments() {
    cut(&expect![[r#"
        a::<B, C>() as d, e => { x }
        -> a::<B, C>() | d
        -> e
        -> => { x }

        a::<B>::c::<D, E> as f => { x }
        -> a::<B>::c::<D, E> | f
        -> => { x }

        a::<B<C, D>, E>() as f => { x }
        -> a::<B<C, D>, E>() | f
        -> => { x }

        <A<B, C> as D<E, F>>::g as h => { x }
        -> <A<B, C> as D<E, F>>::g | h
        -> => { x }

        <A as B>::c() as d => { x }
        -> <A as B>::c() | d
        -> => { x }

        &<A as B>::c as d, e => { x }
        -> &<A as B>::c | d
        -> e
        -> => { x }

        f(a), <A as B>::c as d => { x }
        -> f(a)
        -> <A as B>::c | d
        -> => { x }

        a::<fn(B) -> C, D>() as e => { x }
        -> a::<fn(B) -> C, D>() | e
        -> => { x }

        a::<{ b > c }, D>() as e => { x }
        -> a::<{ b > c }, D>() | e
        -> => { x }

        a::<-1, D>() as e => { x }
        -> a::<-1, D>() | e
        -> => { x }

        a::<B = C, D>() as e => { x }
        -> a::<B = C, D>() | e
        -> => { x }

        a::<B> as c => { x }
        -> a::<B> | c
        -> => { x }

        a::b as c => { x }
        -> a::b | c
        -> => { x }

        a::b < c, d > e as f => { x }
        -> a::b < c
        -> d > e | f
        -> => { x }
    "#]]);
}

/// Elsewhere, `<` and `|` are operators, and the comma behind them ends an item.
#[test]
fn operators() {
    cut(&expect![[r#"
        a < b, c > d as e => { x }
        -> a < b
        -> c > d | e
        -> => { x }

        a(b) < c, d > e => { x }
        -> a(b) < c
        -> d > e
        -> => { x }

        1 < a, b > 2 => { x }
        -> 1 < a
        -> b > 2
        -> => { x }

        a? < b, c > d => { x }
        -> a? < b
        -> c > d
        -> => { x }

        a << b, c >> d => { x }
        -> a << b
        -> c >> d
        -> => { x }

        a <= b, c >= d => { x }
        -> a <= b
        -> c >= d
        -> => { x }

        a | b, c | d as e => { x }
        -> a | b
        -> c | d | e
        -> => { x }

        a || b, c || d as e => { x }
        -> a || b
        -> c || d | e
        -> => { x }

        a && b, !c as d => { x }
        -> a && b
        -> !c | d
        -> => { x }

        a - b, -c as d => { x }
        -> a - b
        -> -c | d
        -> => { x }

        *a, &mut b as c, &raw const d => { x }
        -> *a
        -> &mut b | c
        -> &raw const d
        -> => { x }

        a..b, ..c, d.. as e => { x }
        -> a..b
        -> ..c
        -> d.. | e
        -> => { x }

        a.b.0.c().await? as d => { x }
        -> a.b.0.c().await? | d
        -> => { x }

        a! { b, c } as d, e!(f) => { x }
        -> a! { b, c } | d
        -> e!(f)
        -> => { x }

        'a: { b } as c, d => { x }
        -> 'a: { b } | c
        -> d
        -> => { x }

        break 'a as b, c => { x }
        -> break 'a | b
        -> c
        -> => { x }
    "#]]);
}

/// Between the bars of a closure are patterns and types; its body is an expression.
#[test]
fn closures() {
    cut(&expect![[r#"
        |a, b| c as d, e => { x }
        -> |a, b| c | d
        -> e
        -> => { x }

        || a as b => { x }
        -> || a | b
        -> => { x }

        |a: B<C, D>, e| f as g => { x }
        -> |a: B<C, D>, e| f | g
        -> => { x }

        |a| |b, c| d as e => { x }
        -> |a| |b, c| d | e
        -> => { x }

        move |a, b| c as d => { x }
        -> move |a, b| c | d
        -> => { x }

        async move |a, b| c, d => { x }
        -> async move |a, b| c
        -> d
        -> => { x }

        |a, b| -> C<D, E> { f } as g, h => { x }
        -> |a, b| -> C<D, E> { f } | g
        -> h
        -> => { x }

        || -> A { b } => { x }
        -> || -> A { b }
        -> => { x }

        a(b), |c, d| e => { x }
        -> a(b)
        -> |c, d| e
        -> => { x }

        return |a, b| c, d => { x }
        -> return |a, b| c
        -> d
        -> => { x }

        break |a, b| c, d => { x }
        -> break |a, b| c
        -> d
        -> => { x }

        a == |b, c| d, e => { x }
        -> a == |b, c| d
        -> e
        -> => { x }

        a..|b, c| d, e => { x }
        -> a..|b, c| d
        -> e
        -> => { x }

        a + |b, c| d, e => { x }
        -> a + |b, c| d
        -> e
        -> => { x }
    "#]]);
}

/// What always matches, with the reference to the resource taken apart by default or by `&mut`.
#[test]
fn patterns() {
    cut(&expect![[r#"
        a as _ => { x }
        -> a | _
        -> => { x }

        a as mut b => { x }
        -> a | mut b
        -> => { x }

        a as ref b => { x }
        -> a | ref b
        -> => { x }

        a as &mut b => { x }
        -> a | &mut b
        -> => { x }

        a as &mut mut b => { x }
        -> a | &mut mut b
        -> => { x }

        a as &mut (mut b, ref c, (&d, mut e)) => { x }
        -> a | &mut (mut b, ref c, (&d, mut e))
        -> => { x }

        a as (b, _, ..) => { x }
        -> a | (b, _, ..)
        -> => { x }

        a as B { c, d: (e, f), .. } => { x }
        -> a | B { c, d: (e, f), .. }
        -> => { x }

        a as B(c) | C(c) => { x }
        -> a | B(c) | C(c)
        -> => { x }

        a as [b, .., c] => { x }
        -> a | [b, .., c]
        -> => { x }

        a as b @ (c, d) => { x }
        -> a | b @ (c, d)
        -> => { x }

        a as b::C => { x }
        -> a | b::C
        -> => { x }

        a as mut b | mut c => { x }
        -> a | mut b | mut c
        -> => { x }

        a as (mut b) => { x }
        -> a | (mut b)
        -> => { x }
    "#]]);
}

/// `$manager:expr` and `$body:block` come in invisible delimiters, a block even in several.
#[test]
fn fragments_of_macros() {
    let invisible = |tokens| TokenTree::Group(Group::new(Delimiter::None, tokens));
    let manager = invisible(quote!(a as B));
    let body = invisible(TokenTree::from(invisible(quote!({ x }))).into());
    let block = parse(quote!(#manager as c => #body else #body));
    assert_eq!(block.items.len(), 1);
    assert!(block.items[0].pat.is_some());
    for group in [Some(block.body), block.otherwise].into_iter().flatten() {
        assert_eq!(group.delimiter(), Delimiter::Brace);
        assert_eq!(group.stream().to_string(), "x");
    }
    // Not a block.
    for other in [quote!({ x } y), quote!((x)), quote!()] {
        let other = invisible(other);
        assert!(Block::parse(quote!(a => #other)).is_err());
    }
}

/// The arguments of the attribute: no body.
#[test]
fn of_the_attribute() {
    let cut = |text| -> Vec<String> {
        let items = item_list(super::tokens(text)).expect("they are items");
        items.iter().map(item).collect()
    };
    assert!(cut("").is_empty());
    assert_eq!(cut("a as b, c"), ["a | b", "c"]);
    assert_eq!(cut("a as b, c,"), ["a | b", "c"]);
    assert_eq!(cut("(a as b, c),"), ["a | b", "c"]);
}
