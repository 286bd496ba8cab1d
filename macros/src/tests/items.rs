//! Where an item ends, and where its expression does: on the level of tokens, a `,`, a `<` or an `as` may mean several
//! things.

use expect_test::{Expect, expect};
use proc_macro2::{Delimiter, Group, TokenStream};
use quote::{ToTokens, quote};

use crate::parse::{Block, Item, item_list};

/// Each item on a line: its expression `|` its pattern. The body is always the same.
fn cut(blocks: &Expect) {
    super::check(blocks, |input| {
        let block = parse(&super::tokens(input));
        let mut lines: Vec<String> = block.items.iter().map(item).collect();
        assert_eq!(super::source(&block.body), "{ x }");
        lines.extend(
            block
                .otherwise
                .iter()
                .map(|otherwise| format!("else {}", super::source(&otherwise.block))),
        );
        super::below(input, lines)
    });
}

fn parse(tokens: &TokenStream) -> Block {
    Block::parse(tokens.clone()).unwrap_or_else(|error| panic!("{error}: {tokens}"))
}

fn item(item: &Item) -> String {
    let pat = item
        .pat
        .as_ref()
        .map(|pat| format!(" | {}", super::source(pat)));
    super::source(&item.expr) + &pat.unwrap_or_default()
}

#[test]
fn separators() {
    cut(&expect![[r#"
        a => { x }
        -> a

        a as b => { x }
        -> a | b

        a as b, c, d as e => { x }
        -> a | b
        -> c
        -> d | e

        a as b, => { x }
        -> a | b

        a as b, { x }
        -> a | b

        a, { x }
        -> a

        a as b => { x },
        -> a | b

        a as b => { x } else { y }
        -> a | b
        -> else { y }

        a as b => { x } else { y },
        -> a | b
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

        (a as b, c as d,) => { x }
        -> a | b
        -> c | d

        (a as b), { x }
        -> a | b

        ((a, b)) => { x }
        -> (a, b)

        ((a as B)) => { x }
        -> (a as B)

        (a) as b => { x }
        -> (a) | b

        (a, b) as (c, d) => { x }
        -> (a, b) | (c, d)

        (a as B) as c => { x }
        -> (a as B) | c

        (a as b).c() as d => { x }
        -> (a as b).c() | d

        [a as b, c] as [d, e] => { x }
        -> [a as b, c] | [d, e]
    "#]]);
}

/// A block is the body where nothing but `else` follows it.
#[test]
fn blocks() {
    cut(&expect![[r#"
        { a } as b => { x }
        -> { a } | b

        { a } as b, { c } as d, { x }
        -> { a } | b
        -> { c } | d

        if a { b } else { c } as d => { x }
        -> if a { b } else { c } | d

        match a { b => c } as d => { x }
        -> match a { b => c } | d

        unsafe { a } as b => { x }
        -> unsafe { a } | b

        async { a } => { x }
        -> async { a }

        async move { a } as b, { x }
        -> async move { a } | b

        a { b: c } as d => { x }
        -> a { b: c } | d

        loop { break a } => { x }
        -> loop { break a }

        || { a } as b => { x }
        -> || { a } | b
    "#]]);
}

/// The commas and arrows of generic arguments, which stand where no operator can.
#[test]
fn generic_arguments() {
    cut(&expect![[r#"
        a::<B, C>() as d, e => { x }
        -> a::<B, C>() | d
        -> e

        a::<B>::c::<D, E> as f => { x }
        -> a::<B>::c::<D, E> | f

        a::<B<C, D>, E>() as f => { x }
        -> a::<B<C, D>, E>() | f

        <A<B, C> as D<E, F>>::g as h => { x }
        -> <A<B, C> as D<E, F>>::g | h

        <A as B>::c() as d => { x }
        -> <A as B>::c() | d

        &<A as B>::c as d, e => { x }
        -> &<A as B>::c | d
        -> e

        f(a), <A as B>::c as d => { x }
        -> f(a)
        -> <A as B>::c | d

        a::<fn(B) -> C, D>() as e => { x }
        -> a::<fn(B) -> C, D>() | e

        a::<{ b > c }, D>() as e => { x }
        -> a::<{ b > c }, D>() | e

        a::<-1, D>() as e => { x }
        -> a::<-1, D>() | e

        a::<B = C, D>() as e => { x }
        -> a::<B = C, D>() | e

        a as <B as C>::D, e => { x }
        -> a | <B as C>::D
        -> e

        'a: while <A as B>::c() { d }, e => { x }
        -> 'a: while <A as B>::c() { d }
        -> e

        a::<B> as c => { x }
        -> a::<B> | c

        a::b as c => { x }
        -> a::b | c

        a::b < c, d > e as f => { x }
        -> a::b < c
        -> d > e | f
    "#]]);
}

/// Elsewhere, `<` and `|` are operators, and the comma behind them ends an item.
#[test]
fn operators() {
    cut(&expect![[r#"
        a < b, c > d as e => { x }
        -> a < b
        -> c > d | e

        a(b) < c, d > e => { x }
        -> a(b) < c
        -> d > e

        1 < a, b > 2 => { x }
        -> 1 < a
        -> b > 2

        a? < b, c > d => { x }
        -> a? < b
        -> c > d

        a::<b> < c, d > e => { x }
        -> a::<b> < c
        -> d > e

        a << b, c >> d => { x }
        -> a << b
        -> c >> d

        a <= b, c >= d => { x }
        -> a <= b
        -> c >= d

        a | b, c | d as e => { x }
        -> a | b
        -> c | d | e

        a | <B as C>::d as e, f => { x }
        -> a | <B as C>::d | e
        -> f

        a < <B as C>::d as e, f => { x }
        -> a < <B as C>::d | e
        -> f

        a || b, c || d as e => { x }
        -> a || b
        -> c || d | e

        a && b, !c as d => { x }
        -> a && b
        -> !c | d

        a - b, -c as d => { x }
        -> a - b
        -> -c | d

        *a, &mut b as c, &raw const d => { x }
        -> *a
        -> &mut b | c
        -> &raw const d

        a..b, ..c, d.. as e => { x }
        -> a..b
        -> ..c
        -> d.. | e

        a.b.0.c().await? as d => { x }
        -> a.b.0.c().await? | d

        a! { b, c } as d, e!(f) => { x }
        -> a! { b, c } | d
        -> e!(f)

        'a: { b } as c, d => { x }
        -> 'a: { b } | c
        -> d

        break 'a as b, c => { x }
        -> break 'a | b
        -> c
    "#]]);
}

/// Between the bars of a closure are patterns and types; its body is an expression.
#[test]
fn closures() {
    cut(&expect![[r#"
        |a, b| c as d, e => { x }
        -> |a, b| c | d
        -> e

        || a as b => { x }
        -> || a | b

        |a: B<C, D>, e| f as g => { x }
        -> |a: B<C, D>, e| f | g

        |a| |b, c| d as e => { x }
        -> |a| |b, c| d | e

        move |a, b| c as d => { x }
        -> move |a, b| c | d

        async move |a, b| c, d => { x }
        -> async move |a, b| c
        -> d

        |a, b| -> C<D, E> { f } as g, h => { x }
        -> |a, b| -> C<D, E> { f } | g
        -> h

        || -> A { b } => { x }
        -> || -> A { b }

        a(b), |c, d| e => { x }
        -> a(b)
        -> |c, d| e

        break 'a |b, c| d, e => { x }
        -> break 'a |b, c| d
        -> e

        return |a, b| c, d => { x }
        -> return |a, b| c
        -> d

        break |a, b| c, d => { x }
        -> break |a, b| c
        -> d

        a == |b, c| d, e => { x }
        -> a == |b, c| d
        -> e

        a..|b, c| d, e => { x }
        -> a..|b, c| d
        -> e

        a + |b, c| d, e => { x }
        -> a + |b, c| d
        -> e
    "#]]);
}

/// What always matches, with the reference to the resource taken apart by default or by `&mut`.
#[test]
fn patterns() {
    cut(&expect![[r#"
        a as _ => { x }
        -> a | _

        a as mut b => { x }
        -> a | mut b

        a as ref b => { x }
        -> a | ref b

        a as &mut b => { x }
        -> a | &mut b

        a as &mut mut b => { x }
        -> a | &mut mut b

        a as &mut (mut b, ref c, (&d, mut e)) => { x }
        -> a | &mut (mut b, ref c, (&d, mut e))

        a as (b, _, ..) => { x }
        -> a | (b, _, ..)

        a as B { c, d: (e, f), .. } => { x }
        -> a | B { c, d: (e, f), .. }

        a as B(c) | C(c) => { x }
        -> a | B(c) | C(c)

        a as [b, .., c] => { x }
        -> a | [b, .., c]

        a as b @ (c, d) => { x }
        -> a | b @ (c, d)

        a as b::C => { x }
        -> a | b::C

        a as mut b | mut c => { x }
        -> a | mut b | mut c

        a as (mut b) => { x }
        -> a | (mut b)
    "#]]);
}

/// `$manager:expr` and `$body:block` come in invisible delimiters, a block even in several.
#[test]
fn fragments_of_macros() {
    let invisible = |tokens| Group::new(Delimiter::None, tokens);
    let manager = invisible(quote!(a as B));
    let body = invisible(invisible(quote!({ x })).into_token_stream());
    let block = parse(&quote!(#manager as c => #body else #body));
    assert_eq!(block.items.len(), 1);
    assert!(block.items[0].pat.is_some());
    let otherwise = block.otherwise.map(|otherwise| otherwise.block);
    for group in [Some(block.body), otherwise].into_iter().flatten() {
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
