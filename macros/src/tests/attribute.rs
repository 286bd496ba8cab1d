//! The attribute `#[async_with]`: with items, and bare.

use expect_test::{Expect, expect};

/// What an item becomes. The statement that imports the macro is left out.
fn becomes(items: &Expect) {
    super::check(items, |input| {
        let text = super::line(super::expand(input));
        let text = text
            .replace(":: *", "::*")
            .replace("#[allow(unused_imports)] use ::async_with::block::*; ", "");
        super::below(
            input,
            [text.replace("::async_with::async_with!", "async_with!")],
        )
    });
}

/// The items are taken as they are, with a comma behind them.
#[test]
fn items() {
    becomes(&expect![[r#"
        #[async_with(a as b)] async fn f() { c }
        -> async fn f() { async_with! { a as b, { c } } }

        #[async_with(a as b,)] async fn f() { c }
        -> async fn f() { async_with! { a as b, { c } } }

        #[async_with(a as b, c)] async fn f() { d }
        -> async fn f() { async_with! { a as b, c, { d } } }

        #[async_with((a as b))] async fn f() { c }
        -> async fn f() { async_with! { (a as b), { c } } }

        #[async_with(a == b)] async fn f() { c }
        -> async fn f() { async_with! { a == b, { c } } }

        #[async_with(a::b)] async fn f() { c }
        -> async fn f() { async_with! { a::b, { c } } }

        #[async_with(crate = a::b, c as d)] async fn f() { e }
        -> async fn f() { a::b::async_with! { c as d, { #[allow(unused_imports)] use a::b::block::*; e } } }

        #[async_with(a)] pub(crate) async fn f<A>(b: &B) -> Result<C, D> where A: E { loop { g()?; } }
        -> pub(crate) async fn f<A>(b: &B) -> Result<C, D> where A: E, { async_with! { a, { loop { g() ?; } } } }

        #[async_with(a)] async fn f() -> ! { b }
        -> async fn f() -> ! { let __never: ::async_with::expansion::Nothing = async_with! { a, { b } }; match __never {} }
    "#]]);
}

/// Parameters that no item mentions are moved into the body.
#[test]
fn parameters() {
    becomes(&expect![[r#"
        #[async_with(a(b))] async fn f(b: B, mut c: C, d: D) { (b, { c }) }
        -> async fn f(b: B, c: C, d: D) { async_with! { a(b), { let mut c = c; (b, { c }) } } }

        #[async_with(a)] async fn f((b, _): B, C { d, e: mut e }: C, [g, ..]: G) { h(b, d, e, g) }
        -> async fn f((b, _): B, C { d, e: e }: C, [g, ..]: G) { async_with! { a, { let b = b; let d = d; let mut e = e; let g = g; h(b, d, e, g) } } }

        #[async_with(a)] async fn f(self, ref b: B, _c: C) { (self, b, _c) }
        -> async fn f(self, ref b: B, _c: C) { async_with! { a, { (self, b, _c) } } }

        #[async_with(a({ b }))] async fn f(b @ (c, d): B) { b; c }
        -> async fn f(b @ (c, d): B) { async_with! { a({ b }), { let c = c; b; c } } }
    "#]]);
}

/// Other attributes may have made of it a function that runs or returns the future: then the block is in there.
#[test]
fn desugared() {
    becomes(&expect![[r#"
        #[async_with(a as b)] fn main() { let body = async { c }; run(body) }
        -> fn main() { let body = async { async_with! { a as b, { c } } }; run(body) }

        #[async_with(self.a(b, { self })) as c] fn f<'a>(&'a self, b: B) -> Pin<Box<dyn Future<Output = D>>> {
            Box::pin(async move {
                let __self = self;
                let b = b;
                let __ret: D = { e(b, c) };
                __ret
            })
        }
        -> fn f<'a>(&'a self, b: B) -> Pin<Box<dyn Future<Output = D>>> { Box::pin(async move { let __self = self; let b = b; let __ret: D = { async_with! { __self.a(b, { __self }), { e(b, c) } } }; __ret }) }

        #[async_with(self.a)] fn f(self) {
            Box::pin(async move { let __ret = { b }; __ret })
        }
        -> fn f(self) { Box::pin(async move { let __ret = { async_with! { self.a, { b } } }; __ret }) }

        #[async_with(a)] fn f(b: B) { std::boxed::Box::pin(async { b }) }
        -> fn f(b: B) { std::boxed::Box::pin(async { async_with! { a, { let b = b; b } } }) }
    "#]]);
}

/// Bare, in every function of an item. Functions inside of a function have attributes of their own.
#[test]
fn bare() {
    becomes(&expect![[r#"
        #[async_with] async fn f() { #[with] let a = b; c }
        -> async fn f() { async_with! { b as a, { c } } }

        #[async_with] fn f() -> impl Future { async { #[with] let a = b; c } }
        -> fn f() -> impl Future { async { async_with! { b as a, { c } } } }

        #[async_with] impl A { fn b(&self) { #[with] let c = d; e } const F: G = h; type I = J; }
        -> impl A { fn b(&self) { async_with! { d as c, { e } } } const F: G = h; type I = J; }

        #[async_with] trait A { async fn b(&self) { #[with] let c = d; e } async fn f(); const F: G; }
        -> trait A { async fn b(&self) { async_with! { d as c, { e } } } async fn f(); const F: G; }

        #[async_with] mod m { use a; async fn b() { #[with] let c = d; e } impl F { fn g() { #[with(h)] { i } } } }
        -> mod m { use a; async fn b() { async_with! { d as c, { e } } } impl F { fn g() { async_with! { h, { i } } } } }

        #[async_with] async fn f() { #[async_with] async fn g() { #[with] let a = b; } #[with] let c = d; }
        -> async fn f() { #[async_with] async fn g() { #[with] let a = b; } async_with! { d as c, {} } }

        #[async_with(crate = a)] async fn f() { #[with] let a = b; }
        -> async fn f() { #[allow(unused_imports)] use a::block::*; a::async_with! { b as a, {} } }
    "#]]);
}

/// What follows a `#[with] let` is its body, to the end of the braces around it.
#[test]
fn with_let() {
    becomes(&expect![[r#"
        #[async_with] async fn f() { a; #[with] let b = c; d; e }
        -> async fn f() { a; async_with! { c as b, { d; e } } }

        #[async_with] async fn f() { #[with] let a = b; #[with] let c = a; }
        -> async fn f() { async_with! { b as a, { async_with! { a as c, {} } } } }

        #[async_with] async fn f() { if a { #[with] let b = c; d } else { e } }
        -> async fn f() { if a { async_with! { c as b, { d } } } else { e } }

        #[async_with] async fn f() { let a = || async { #[with] let b = c; b }; }
        -> async fn f() { let a = || async { async_with! { c as b, { b } } }; }

        #[async_with] async fn f() { #[with] let (a, B { c, .. }) = d; }
        -> async fn f() { async_with! { d as (a, B { c, .. }), {} } }

        #[async_with] async fn f() { #[with] let a = b as C; }
        -> async fn f() { async_with! { ((b as C)) as a, {} } }

        #[async_with] async fn f() { #[with] let a = b < c; }
        -> async fn f() { async_with! { ((b < c)) as a, {} } }

        #[async_with] async fn f() { #[with] let a = b..c; }
        -> async fn f() { async_with! { ((b..c)) as a, {} } }

        #[async_with] async fn f() { #[with] let a = b = c; }
        -> async fn f() { async_with! { ((b = c)) as a, {} } }

        #[async_with] async fn f() { #[with] let a = |b| c; }
        -> async fn f() { async_with! { ((| b | c)) as a, {} } }

        #[async_with] async fn f() { loop { #[with] let a = break b; } }
        -> async fn f() { loop { async_with! { ((break b)) as a, {} } } }

        #[async_with] async fn f() { #[with] let a = return; }
        -> async fn f() { async_with! { ((return)) as a, {} } }

        #[async_with] async fn f() { #[with] let a = (b, c); }
        -> async fn f() { async_with! { (b, c) as a, {} } }

        #[async_with] async fn f() { #[with] let a = { #[with] let b = c; d }; }
        -> async fn f() { async_with! { { async_with! { c as b, { d } } } as a, {} } }
    "#]]);
}

/// A condition is copied: without the item, the rest is there as well.
#[test]
fn with_let_on_condition() {
    becomes(&expect![[r#"
        #[async_with] async fn f() { #[cfg(a)] #[with] let b = c; d }
        -> async fn f() { #[cfg(all(a))] { async_with! { c as b, { d } } } #[cfg(not(all(a)))] { d } }

        #[async_with] async fn f() { #[with] #[cfg(a)] #[cfg(not(b))] let c = d; e }
        -> async fn f() { #[cfg(all(a, not(b)))] { async_with! { d as c, { e } } } #[cfg(not(all(a, not(b))))] { e } }
    "#]]);
}

#[test]
fn with_block() {
    becomes(&expect![[r#"
        #[async_with] async fn f() { #[with(a as b)] { c } }
        -> async fn f() { async_with! { a as b, { c } } }

        #[async_with] async fn f() { #[with(a as b, c)] { d } e }
        -> async fn f() { async_with! { a as b, c, { d } } e }

        #[async_with] async fn f() { let a = #[with(b)] { c }; d(#[with(e,)] { g }) }
        -> async fn f() { let a = async_with! { b, { c } }; d( async_with! { e, { g } }, ) }

        #[async_with] async fn f() { #[allow(a)] #[with(b)] #[cfg(c)] { d } }
        -> async fn f() { #[allow(a)] #[cfg(c)] async_with! { b, { d } } }

        #[async_with] async fn f() { #[with(a)] { #[with(b)] { c } } }
        -> async fn f() { async_with! { a, { async_with! { b, { c } } } } }
    "#]]);
}

/// The forms are known in the body of a block too, but in no other macro.
#[test]
fn in_macros() {
    becomes(&expect![[r#"
        #[async_with] async fn f() { async_with!(a => { #[with] let b = c; d } else { #[with(e)] { g } }); }
        -> async fn f() { async_with!( a => { async_with! { c as b, { d } } } else { async_with! { e, { g } } } ); }

        #[async_with] async fn f() { h::async_with!(a(b), (#[with] c) => { d }) }
        -> async fn f() { h::async_with!(a(b), (#[with] c) => { d }) }

        #[async_with] async fn f() { async_with!(a => { not rust #[with] }) }
        -> async fn f() { async_with!(a => { not rust #[with] }) }

        #[async_with] async fn f() { async_with!(a => { b; #[with] let c = d; c.e() c. }) }
        -> async fn f() { async_with!(a => { b; async_with! { d as c, { c.e() c. } } }) }

        #[async_with] async fn f() { b!({ #[with] let c = d; }) }
        -> async fn f() { b!({ #[with] let c = d; }) }

        #[async_with] async fn f() { async_with!(a as b => { c }) }
        -> async fn f() { async_with!(a as b => { c }) }
    "#]]);
}

/// With an error in it, the item is kept without `#[with]`.
#[test]
fn kept() {
    super::check(
        &expect![[r#"
            #[async_with] fn f() { #[with] let a = b; }
            -> fn f() { let a = b; }

            #[async_with] struct S;
            -> struct S;

            #[async_with] mod m;
            -> mod m;

            #[async_with(a as b)] struct S;
            -> struct S;

            #[async_with(a as)] async fn f() { #[with] let a = b; #[with] { c } }
            -> async fn f() { let a = b; { c } }

            #[async_with(a = b)] async fn f() { c }
            -> async fn f() { c }

            #[async_with(a)] fn f() { c }
            -> fn f() { c }

            #[async_with] async fn f() { #[a] #[with] let b = c; #[with(d)] { e } }
            -> async fn f() { #[allow(unused_imports)] use ::async_with::block::*; ::async_with::async_with! { d, { e } } }

            #[async_with] async fn f() { #[with] let a = b else { c }; #[with] let d = e; }
            -> async fn f() { #[allow(unused_imports)] use ::async_with::block::*; ::async_with::async_with! { e as d, {} } }

            #[async_with] async fn f() { #[with] let Some(a) = b; c }
            -> async fn f() { #[allow(unused_imports)] use ::async_with::block::*; c }

            #[async_with] async fn f() { #[with(a as)] { b } #[with] { c } #[with(d)] 'e: { g } }
            -> async fn f() { #[allow(unused_imports)] use ::async_with::block::*; { b } { c } 'e: { g } }

            #[async_with] async fn f() { #[with(a)] b(); #[c] #[with] loop { #[with] d; } }
            -> async fn f() { #[allow(unused_imports)] use ::async_with::block::*; b(); #[c] loop { d; } }

            #[async_with] async fn f() { #[with(a)] if b { #[async_with] fn g() { #[with(h)] { i } } } }
            -> async fn f() { #[allow(unused_imports)] use ::async_with::block::*; if b { #[async_with] fn g() { #[with(h)] { i } } } }
        "#]],
        |input| super::below(input, [super::kept(super::expand(input))]),
    );
}

/// A statement or an expression is replaced by its error, which has to be an expression there.
#[test]
fn not_kept() {
    for tokens in ["{ a }", "let a = b;", "a b"] {
        let expansion = super::expand(&format!("#[async_with] {tokens}"));
        let block: syn::Block = syn::parse2(expansion).expect("it is a block");
        assert_eq!(block.stmts.len(), 1);
    }
}
