//! Which jumps leave a body, and what stands for them inside.

use expect_test::{Expect, expect};
use proc_macro2::{Delimiter, Group, Span, TokenStream};
use quote::quote;

use crate::body::{self, Jump};

/// The body as it is rewritten, then the jumps as they are made again behind the exit.
fn caught(bodies: &Expect) {
    super::check(bodies, |input| {
        super::below(input, lines(&super::tokens(input)))
    });
}

fn take_jumps(body: &TokenStream) -> (TokenStream, Vec<Jump>) {
    let body = Group::new(Delimiter::Brace, body.clone());
    body::take_jumps(&body, &quote!(r), Span::call_site())
}

fn lines(body: &TokenStream) -> Vec<String> {
    let (after, jumps) = take_jumps(body);
    let short = |text: String| {
        text.replace("__async_with_jump_", "")
            .replace("__async_with_probed_", "p")
            .replace("r::needs_a_label! {}", "probe")
    };
    let after = short(statements(&after));
    if jumps.is_empty() {
        assert_eq!(statements(body), after);
        return vec!["as it is".to_owned()];
    }
    let jumps = jumps.iter().map(|jump| {
        let jump_again = jump.reissue(&quote!(value), &quote!(r), Span::call_site());
        short(format!("{}: {}", jump.inner, statements(&jump_again)))
            .replace("{ #[allow(clippy::needless_continue)] continue", "continue")
            .replace("; }", "")
            .replace(';', "")
    });
    [after].into_iter().chain(jumps).collect()
}

/// Statements on one line.
fn statements(tokens: &TokenStream) -> String {
    let text = super::line(quote!(fn f() { #tokens }));
    let inside = text
        .strip_prefix("fn f() {")
        .and_then(|text| text.strip_suffix('}'));
    inside.expect("it is in a function").trim().to_owned()
}

/// One label for each target: another kind of jump, another loop, or a value makes another target.
#[test]
fn targets() {
    caught(&expect![[r#"
        a.b()?;
        -> as it is

        break;
        -> break '0;
        -> '0: break

        break a;
        -> break '0 a;
        -> '0: break value

        continue;
        -> break '0;
        -> '0: continue

        break 'a;
        -> break '0;
        -> '0: break 'a

        break 'a b;
        -> break '0 b;
        -> '0: break 'a value

        continue 'a;
        -> break '0;
        -> '0: continue 'a

        if a { break } else if b { break; } else { return }
        -> if a { break '0 } else if b { break '0; } else { return }
        -> '0: break

        if a { break } else if b { continue } else { break c }
        -> if a { break '0 } else if b { break '1 } else { break '2 c }
        -> '0: break
        -> '1: continue
        -> '2: break value

        if a { break 'a } else if b { continue 'a } else { break 'a c }
        -> if a { break '0 } else if b { break '1 } else { break '2 c }
        -> '0: break 'a
        -> '1: continue 'a
        -> '2: break 'a value

        if a { break 'a } else if b { break 'b }
        -> if a { break '0 } else if b { break '1 }
        -> '0: break 'a
        -> '1: break 'b

        if a { continue 'a } else if b { continue } else { continue 'a }
        -> if a { break '0 } else if b { break '1 } else { break '0 }
        -> '0: continue 'a
        -> '1: continue

        match a { b => break 1, c if d => break 2, _ => break }
        -> match a { b => break '0 1, c if d => break '0 2, _ => break '1, }
        -> '0: break value
        -> '1: break
    "#]]);
}

/// What is in a loop of the body's own stays there, unless a label says otherwise.
#[test]
fn loops() {
    caught(&expect![[r#"
        loop { break }
        -> as it is

        loop { continue; }
        -> as it is

        while a { break }
        -> as it is

        for a in b { continue; }
        -> as it is

        'a: loop { break 'a b }
        -> as it is

        'a: while b { continue 'a; }
        -> as it is

        'a: for b in c { break 'a }
        -> as it is

        'a: { break 'a b }
        -> as it is

        loop { break 'a }
        -> loop { break '0; }
        -> '0: break 'a

        while a { continue 'a; }
        -> while a { break '0; }
        -> '0: continue 'a

        for a in b { break 'c }
        -> for a in b { break '0; }
        -> '0: break 'c

        'a: loop { loop { break 'a; break 'b } break 'b }
        -> 'a: loop { loop { break 'a; break '0; } break '0; }
        -> '0: break 'b

        'a: loop { } break 'a;
        -> 'a: loop {} break '0;
        -> '0: break 'a

        loop { } break;
        -> loop {} break '0;
        -> '0: break

        { break }
        -> { break '0 }
        -> '0: break

        'a: { break }
        -> 'a: { break '0 }
        -> '0: break

        'a: { continue 'a; }
        -> as it is

        while (if a { break } else { b }) { }
        -> as it is

        while let a = { break 'b } { }
        -> while let a = { break '0 } {}
        -> '0: break 'b

        for a in { break b } { }
        -> for a in { break '0 b } {}
        -> '0: break value

        for a in loop { break b } { break }
        -> as it is
    "#]]);
}

/// The value of a jump is looked into as well, and first: it is evaluated before the jump.
#[test]
fn values() {
    caught(&expect![[r#"
        break { break 'a };
        -> break '1 { break '0 };
        -> '0: break 'a
        -> '1: break value

        break loop { break 'a 1 };
        -> break '1 loop { break '0 1; };
        -> '0: break 'a value
        -> '1: break value

        break if a { continue } else { b };
        -> break '1 if a { break '0 } else { b };
        -> '0: continue
        -> '1: break value

        let a = break;
        -> let a = break '0;
        -> '0: break

        let a = b else { continue };
        -> let a = b else { break '0 };
        -> '0: continue

        a(continue, b + (break))
        -> a(break '0, b + (break '1))
        -> '0: continue
        -> '1: break
    "#]]);
}

/// These have jumps of their own. In anything that is not Rust, rustc finds the fault.
#[test]
fn other_bodies() {
    caught(&expect![[r#"
        async { break }
        -> as it is

        async move { loop { break } }
        -> as it is

        || break;
        -> as it is

        |a| { continue }
        -> as it is

        const { break }
        -> as it is

        fn a() { break }
        -> as it is

        impl A { fn b() { break 'a } }
        -> as it is

        unsafe { break }
        -> unsafe { break '0 }
        -> '0: break
    "#]]);
    let body = quote!(a b break;);
    let (after, jumps) = take_jumps(&body);
    assert_eq!(after.to_string(), body.to_string());
    assert!(jumps.is_empty());
}

/// Macros with expressions or statements as arguments. One that is not known may make a loop of them, so that an
/// unlabeled jump in it stays; one that is known by its name is probed.
#[test]
fn macros() {
    caught(&expect![[r#"
        std::assert!(break); ::core::matches!(a, continue); alloc::a!(break);
        -> std::assert!({ probe break 'p0 }); ::core::matches!(a, { probe break 'p1 }); alloc::a!(break);
        -> 'p0: break
        -> 'p1: continue

        ::assert!(break); b::vec![continue]; a::b::println!("{}", break)
        -> as it is

        println!("{}", break);
        -> println!("{}", { probe break 'p0 });
        -> 'p0: break

        a::assert!(if b { continue } else { c }, "{}", break 'd);
        -> a::assert!(if b { continue } else { c }, "{}", break '0);
        -> '0: break 'd

        vec![a, break 1]
        -> vec![a, { probe break 'p0 1 }]
        -> 'p0: break value

        vec![a; break]
        -> vec![a; { probe break 'p0 }]
        -> 'p0: break

        a!(break);
        -> as it is

        a!(break 'a);
        -> a!(break '0);
        -> '0: break 'a

        a! { b(); if c { break 'd } }
        -> a! { b(); if c { break '0 } }
        -> '0: break 'd

        a!(println!("{}", break));
        -> as it is

        a!(loop { break 'b; break });
        -> a!(loop { break '0; break });
        -> '0: break 'b

        a!(b => break 'c);
        -> as it is

        println!("{}", a!(break)); break;
        -> println!("{}", a!(break)); break '0;
        -> '0: break

        a!(break 'b); a!(break 'b 1)
        -> a!(break '0); a!(break '1 1)
        -> '0: break 'b
        -> '1: break 'b value

        matches!(a, b if break);
        -> as it is
    "#]]);
}

/// A macro without a jump gets what it was given: parsing it would make two numbers of this one.
#[test]
fn untouched_macros() {
    let (after, _) = take_jumps(&quote!(a!(b.0.0, break 'c); d!(e.0.0);));
    let after = after.to_string();
    assert!(
        after.contains("b . 0 . 0") && after.contains("e . 0.0"),
        "{after}"
    );
}

/// What is there under a `cfg` jumps under it.
#[test]
fn conditions() {
    caught(&expect![[r##"
        #[cfg(a)] break;
        -> #[cfg(a)] break '0;
        -> '0: { #[cfg(any(all(a)))] { break } #[allow(unreachable_code, clippy::diverging_sub_expression)] { r::no_jump() } }

        #[cfg(a)] { if b { #[cfg(c)] continue; } } match d { #[cfg(e)] f => break 'g, h => i }
        -> #[cfg(a)] { if b { #[cfg(c)] break '0; } } match d { #[cfg(e)] f => break '1, h => i, }
        -> '0: { #[cfg(any(all(a, c)))] { continue } #[allow(unreachable_code, clippy::diverging_sub_expression)] { r::no_jump() } }
        -> '1: { #[cfg(any(all(e)))] { break 'g } #[allow(unreachable_code, clippy::diverging_sub_expression)] { r::no_jump() } }

        #[cfg(a)] break; #[cfg(b)] let c = { break };
        -> #[cfg(a)] break '0; #[cfg(b)] let c = { break '0 };
        -> '0: { #[cfg(any(all(a), all(b)))] { break } #[allow(unreachable_code, clippy::diverging_sub_expression)] { r::no_jump() } }

        #[cfg(a)] break; break;
        -> #[cfg(a)] break '0; break '0;
        -> '0: break

        a(B { #[cfg(c)] d: break, e: #[allow(f)] continue }); #[cfg(g)] println!("{}", break 1);
        -> a(B { #[cfg(c)] d: break '0, e: #[allow(f)] break '1, }); #[cfg(g)] println!("{}", { probe break 'p2 1 });
        -> '0: { #[cfg(any(all(c)))] { break } #[allow(unreachable_code, clippy::diverging_sub_expression)] { r::no_jump() } }
        -> '1: continue
        -> 'p2: { #[cfg(any(all(g)))] { break value } #[allow(unreachable_code, clippy::diverging_sub_expression)] { let _ = value r::no_jump() } }
    "##]]);
}

/// The handlers of `select!` and its futures jump; its conditions and patterns do not.
#[test]
fn select() {
    caught(&expect![[r#"
        tokio::select! { a = b() => break, c = d() => { continue } }
        -> tokio::select! { a = b() => { probe break 'p0 }, c = d() => { { probe break 'p1 } } }
        -> 'p0: break
        -> 'p1: continue

        select! { a = b => break 1 }
        -> select! { a = b => { probe break 'p0 1 } }
        -> 'p0: break value

        select! { biased; a = b() => break, else => continue, }
        -> select! { biased; a = b() => { probe break 'p0 }, else => { probe break 'p1 }, }
        -> 'p0: break
        -> 'p1: continue

        select! { Some(a) = b.c(), if d => { break } e = f => { } }
        -> select! { Some(a) = b.c(), if d => { { probe break 'p0 } } e = f => {} }
        -> 'p0: break

        select! { | A | B = c => break 'd, }
        -> select! { | A | B = c => break '0, }
        -> '0: break 'd

        select! { a = { break 'b } => c }
        -> select! { a = { break '0 } => c }
        -> '0: break 'b

        select! { a = b => c, complete => break, default => continue }
        -> select! { a = b => c, complete => { probe break 'p0 }, default => { probe break 'p1 } }
        -> 'p0: break
        -> 'p1: continue

        futures::select! { a = b => loop { break }, c = d => break 'e }
        -> futures::select! { a = b => loop { break }, c = d => break '0 }
        -> '0: break 'e

        select! { a => b c break }
        -> as it is
    "#]]);
}

/// Blocks and branches inside of a nested block jump out of both.
#[test]
fn nested_blocks() {
    caught(&expect![[r#"
        async_with! { a as b => { break } }
        -> async_with! { a as b => { { probe break 'p0 } } }
        -> 'p0: break

        async_with!(a as b, c => { continue } else { break 'd 1 });
        -> async_with!( a as b, c => { { probe break 'p0 } } else { break '1 1 } );
        -> 'p0: continue
        -> '1: break 'd value

        b::async_with! { a => { loop { break } } }
        -> as it is

        async_with! { a({ break }) as [b] => { continue } }
        -> async_with! { a({ break }) as [b] => { { probe break 'p0 } } }
        -> 'p0: continue

        async_with! { a(break) => { b } }
        -> as it is

        async_with! { a => { async_with! { b => { break } } } }
        -> async_with! { a => { async_with! { b => { { probe break 'p0 } } } } }
        -> 'p0: break

        async_with! { a => { not rust break } else { break } }
        -> async_with! { a => { not rust break } else { { probe break 'p0 } } }
        -> 'p0: break
    "#]]);
    // In a macro of the user's, the body may be a `$block:block`.
    let body = Group::new(Delimiter::None, quote!({ break }));
    let (after, jumps) = take_jumps(&quote!(async_with! { a => #body }));
    assert_eq!(jumps.len(), 1);
    assert!(
        after.to_string().contains("break '__async_with_probed_0"),
        "{after}"
    );
}

/// A `$block:block` as a statement: its invisible delimiters are taken away, so that the body can be parsed.
#[test]
fn blocks_of_macros() {
    let block = Group::new(
        Delimiter::None,
        quote!({
            if a {
                break;
            }
        }),
    );
    let expr = Group::new(Delimiter::None, quote!(a + b));
    let list = Group::new(Delimiter::None, quote!([c]));
    let lines = lines(&quote!({ #block #block } let d = #expr; #list; #block continue;));
    assert_eq!(
        lines,
        [
            "{ { if a { break '0; } } { if a { break '0; } } } let d = a + b; [c]; { if a { break '0; } } break '1;",
            "'0: break",
            "'1: continue",
        ]
    );
}

/// A body that ends with a jump, which is seen from its tokens.
#[test]
fn ends() {
    super::check(
        &expect![[r#"
            return
            -> true

            return a;
            -> true

            break 'a { b }
            -> true

            a; continue;
            -> true

            if a { b } return match c { d => e };
            -> true

            a; return b; c
            -> false

            return a; { b }
            -> false

            if a { return b }
            -> false

            let a = return;
            -> false

            || return a;
            -> false

            #[cfg(a)] return b;
            -> false

            a.r#return
            -> false
        "#]],
        |input| {
            let ends = body::ends_in_jump(super::tokens(input));
            super::below(input, [ends.to_string()])
        },
    );
}
