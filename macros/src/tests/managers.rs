//! The attribute `#[async_context_manager]`: what it makes of a function, and how it reads the signatures of an `impl`.

use expect_test::{Expect, expect};
use proc_macro2::{Group, Ident, TokenStream, TokenTree};
use quote::format_ident;

/// The function that makes the manager, and the type of its exit.
fn kind(function: &str) -> String {
    let text = super::line(without_hashes(super::expand(function)));
    let (returned, made) = text.split_once(" { ").expect("a function has a body");
    assert!(made.contains("; let __async_with_body = "), "{text}");
    let made_by = |kind: &str| {
        made.ends_with(&format!(
            "unsafe {{ async_with::expansion::{kind}(__async_with_body) }} }}"
        ))
    };
    let (scoped, surviving) = (made_by("scoped"), made_by("surviving"));
    assert!(scoped != surviving, "{text}");
    assert_eq!(scoped, returned.contains("ScopedGenerated<"));
    let exit = if returned.contains("::async_with::Verdict") {
        "Verdict"
    } else {
        "()"
    };
    format!("{}, {exit}", if scoped { "scoped" } else { "surviving" })
}

/// The tokens with names of the expansion that do not end in a hash.
fn without_hashes(tokens: TokenStream) -> TokenStream {
    let plain = |name: &str| {
        let (name, hash) = name.rsplit_once('_')?;
        (name.starts_with("__async_with_") && hash.len() == 6).then(|| name.to_owned())
    };
    tokens
        .into_iter()
        .map(|token| match token {
            TokenTree::Ident(word) => match plain(&word.to_string()) {
                Some(name) => Ident::new(&name, word.span()).into(),
                None => word.into(),
            },
            TokenTree::Group(group) => {
                Group::new(group.delimiter(), without_hashes(group.stream())).into()
            }
            token => token,
        })
        .collect()
}

fn kinds(signatures: &Expect) {
    super::check(signatures, |input| {
        let function = format!("#[async_context_manager] {input} {{ yield_!() }}");
        super::below(input, [kind(&function)])
    });
}

/// A manager whose parameters may borrow something cannot survive its block. A type parameter may, unless it says
/// `Send + 'static`.
#[test]
fn parameters() {
    kinds(&expect![[r#"
        async fn f() -> Result<A, B>
        -> surviving, ()

        async fn f(a: A, mut b: B<C>, (d, _): (D, E)) -> Result<A, B>
        -> surviving, ()

        async fn f(a: &A) -> Result<A, B>
        -> scoped, ()

        async fn f(a: &mut A) -> Result<A, B>
        -> scoped, ()

        async fn f(a: &'static A) -> Result<A, B>
        -> surviving, ()

        async fn f(a: &'static &A) -> Result<A, B>
        -> scoped, ()

        async fn f(a: Vec<&A>) -> Result<A, B>
        -> scoped, ()

        async fn f(a: A<'_>) -> Result<A, B>
        -> scoped, ()

        async fn f(a: A<'static>) -> Result<A, B>
        -> surviving, ()

        async fn f<'a>(a: A) -> Result<A, B>
        -> scoped, ()

        async fn f(self) -> Result<A, B>
        -> surviving, ()

        async fn f(mut self, a: A) -> Result<A, B>
        -> surviving, ()

        async fn f(&self) -> Result<A, B>
        -> scoped, ()

        async fn f(&mut self) -> Result<A, B>
        -> scoped, ()

        async fn f(self: Box<Self>) -> Result<A, B>
        -> surviving, ()

        async fn f(self: &Arc<Self>) -> Result<A, B>
        -> scoped, ()

        async fn f(self: Pin<&mut Self>) -> Result<A, B>
        -> scoped, ()

        async fn f(a: impl A) -> Result<A, B>
        -> scoped, ()

        async fn f(a: impl A + Send) -> Result<A, B>
        -> scoped, ()

        async fn f(a: impl A + 'static) -> Result<A, B>
        -> scoped, ()

        async fn f(a: impl A + Send + 'static) -> Result<A, B>
        -> surviving, ()

        async fn f(a: impl Send + 'b) -> Result<A, B>
        -> scoped, ()

        async fn f<A>() -> Result<A, B>
        -> surviving, ()

        async fn f<A>(a: A) -> Result<A, B>
        -> scoped, ()

        async fn f<A>(a: Vec<A>) -> Result<A, B>
        -> scoped, ()

        async fn f<A: core::marker::Send + 'static>(a: A) -> Result<A, B>
        -> surviving, ()

        async fn f<A: B, const N: usize>(c: [C; N]) -> Result<A, B>
        -> surviving, ()

        async fn f<A: Send>(a: A) -> Result<A, B> where A: 'static
        -> surviving, ()

        async fn f<A>(a: A) -> Result<A, B> where A: Send + 'static
        -> surviving, ()

        async fn f<A, B: Send + 'static>(a: A, b: B) -> Result<A, B>
        -> scoped, ()

        async fn f<A: Send, B>(a: A) -> Result<A, B> where B: 'static
        -> scoped, ()

        async fn f<A: Send>(a: A) -> Result<A, B> where Vec<A>: 'static
        -> scoped, ()

        async fn f<A: ?Sized + Send>(a: Box<A>) -> Result<A, B>
        -> scoped, ()
    "#]]);
}

/// The arguments of the attribute, and a body that mentions `Verdict`.
#[test]
fn arguments() {
    super::check(
        &expect![[r#"
            #[async_context_manager()] async fn f() -> Result<A, B> { yield_!() }
            -> surviving, ()

            #[async_context_manager(scoped)] async fn f() -> Result<A, B> { yield_!() }
            -> scoped, ()

            #[async_context_manager(suppresses,)] async fn f() -> Result<A, B> { yield_!() }
            -> surviving, Verdict

            #[async_context_manager(suppresses, scoped)] async fn f() -> Result<A, B> { yield_!() }
            -> scoped, Verdict

            #[async_context_manager] async fn f() -> Result<A, B> { yield_!(); Ok(Verdict::Suppress) }
            -> surviving, Verdict

            #[async_context_manager] async fn f() -> Result<A, B> { let a: Verdict = b(yield_!()); a }
            -> surviving, Verdict
        "#]],
        |input| super::below(input, [kind(input)]),
    );
}

/// The runtime crate by another name.
#[test]
fn path() {
    for item in [
        "async fn f() -> Result<A, B> { if c { return d } let e = async_with!(f => { yield_!() }); Ok(Verdict) }",
        "impl AsyncContextManager for A {
            async fn enter(&mut self) -> io::Result<B> {}
            async fn exit(self, b: B, _: Cause) -> io::Result<()> {}
        }",
        "impl AsyncContextManager for A {}",
    ] {
        let usual = super::expand(&format!("#[async_context_manager] {item}")).to_string();
        let renamed =
            super::expand(&format!("#[async_context_manager(crate = ::a::b)] {item}")).to_string();
        assert!(usual.contains(":: async_with ::"));
        assert_eq!(renamed, usual.replace(":: async_with ::", ":: a :: b ::"));
    }
}

/// The statements of a generator's body, as they are rewritten.
fn bodies(bodies: &Expect) {
    super::check(bodies, |input| {
        let text =
            format!("#[async_context_manager] async fn f(a: A) -> Result<B, C> {{ {input} }}");
        let text = super::line(short(without_hashes(super::expand(&text))))
            .replace("async_with::expansion::", "")
            .replace("async_with :: expansion :: ", "")
            .replace("__async_with_", "");
        let body = text
            .split_once("let tail = 'place_0: { ")
            .and_then(|(_, text)| text.rsplit_once("}; ended(0, "));
        let (body, _) = body.unwrap_or_else(|| panic!("no body: {text}"));
        super::below(input, [body.trim().to_owned()])
    });
}

/// Puts `permit_0` in the place of the block that makes the permit for a yield in `'place_0`.
fn short(tokens: TokenStream) -> TokenStream {
    let mut short: Vec<TokenTree> = Vec::new();
    for token in tokens {
        let TokenTree::Group(group) = token else {
            short.push(token);
            continue;
        };
        let after_unsafe = matches!(short.last(), Some(TokenTree::Ident(word)) if word == "unsafe");
        let text = group.to_string();
        match text.split_once("'__async_with_place_") {
            Some((before, text)) if after_unsafe && before.starts_with("{ if false") => {
                let (depth, _) = text.split_once(' ').expect("a space behind the label");
                short.pop();
                short.push(format_ident!("permit_{depth}").into());
            }
            _ => short.push(Group::new(group.delimiter(), self::short(group.stream())).into()),
        }
    }
    short.into_iter().collect()
}

/// The resource, and what may interrupt the user's body.
#[test]
fn yields() {
    bodies(&expect![[r#"
        yield_!()
        -> { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, ()).await }

        yield_!(a)
        -> { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, a).await }

        yield_!(a,);
        -> { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, a).await };

        yield_!(&mut a.b, interrupt = c());
        -> { #[allow(unused_imports)] use async_with::yield_ as _; Yield::until( Permit::give(permit_0, &mut a.b), c(), ) .await };

        yield_!((), interrupt = c,)
        -> { #[allow(unused_imports)] use async_with::yield_ as _; Yield::until( Permit::give(permit_0, ()), c, ) .await }

        let cause = yield_!(a);
        -> let cause = { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, a).await };

        async_with::yield_!(a).b(c)?;
        -> { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, a).await } .b(c)?;

        { yield_!(a) } b
        -> { { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, a).await } } b

        unsafe { yield_!(a); }
        -> unsafe { { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, a).await }; }

        for b in yield_!(a) { c(b) }
        -> for b in { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, a).await } { c(b) }

        log!(a); yield_!(b); log!(c)
        -> log!(a); { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, b).await }; log!(c)

        fn b() { return; } yield_!(c);
        -> fn b() { return; } { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, c).await };

        let b = || { return c }; yield_!(d);
        -> let b = || { return c }; { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, d).await };
    "#]]);
}

/// Each path that goes on yields once; one that ends need not.
#[test]
fn paths() {
    bodies(&expect![[r#"
        if b { yield_!(c) } else { yield_!(d) }
        -> if b { { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, c).await } } else { { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, d).await } }

        if b { yield_!(c); } else if d { yield_!(e); } else { yield_!(f); }
        -> if b { { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, c).await }; } else if d { { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, e).await }; } else { { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, f).await }; }

        if b { yield_!(c) } else { return Err(d) }
        -> if b { { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, c).await } } else { return failed( &return, Err(d), ) }

        if b { return Err(c); } else { yield_!(d) }
        -> if b { return failed( &return, Err(c), ); } else { { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, d).await } }

        if yield_!(b) { c }
        -> if { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, b).await } { c }

        if b { c } yield_!(d); if e { f }
        -> if b { c } { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, d).await }; if e { f }

        match b { C => yield_!(c), D => { yield_!(d); } E => panic!(), F => { todo!(); } G => loop {}, H => (return d), }
        -> match b { C => { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, c).await } D => { { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, d).await }; } E => panic!(), F => { todo!(); } G => loop {} H => { (return failed( &return, d, )) } }

        match b { C => { yield_!(c) } D => { { return Err(d) } } E => a::bail!("e"), F => unreachable!(), }
        -> match b { C => { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, c).await } D => { return failed( &return, Err(d), ); } E => a::bail!("e"), F => unreachable!(), }

        match yield_!(b) { C => c, D => d }
        -> match { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, b).await } { C => c, D => d, }
    "#]]);
}

/// A `return` in front of the yield fails, and one behind it ends; others are not the manager's.
#[test]
fn returns() {
    bodies(&expect![[r#"
        return Err(b); yield_!(c)
        -> return failed(&return, Err(b)); { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, c).await }

        if b { return c; } yield_!(d)
        -> if b { return failed(&return, c); } { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, d).await }

        loop { if b { return Err(c) } break; } yield_!(d)
        -> loop { if b { return failed( &return, Err(c), ); } break; } { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, d).await }

        while b { return c } yield_!(d)
        -> while b { return failed(&return, c); } { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, d).await }

        for b in c { return d } yield_!(e)
        -> for b in c { return failed(&return, d); } { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, e).await }

        yield_!(b); return;
        -> { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, b).await }; return ended(0, &return, ());

        yield_!(b); return Ok(c);
        -> { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, b).await }; return ended(0, &return, Ok(c));

        yield_!(b); loop { return Ok(c) }
        -> { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, b).await }; loop { return ended( 0, &return, Ok(c), ); }

        yield_!(b); async { return c }; || return d; fn e() { return }
        -> { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, b).await }; async { return c }; || return d; fn e() { return; }

        loop { || return c; async { return d }; } yield_!(d)
        -> loop { || return c; async { return d }; } { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, d).await }

        return { return Err(b) }; yield_!(c)
        -> return failed( &return, { return failed( &return, Err(b), ) }, ); { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, c).await }

        log!(return b); yield_!(c)
        -> log!(return b); { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, c).await }
    "#]]);
}

/// A yield in a nested block makes the rest of the function its body.
#[test]
fn nested_blocks() {
    bodies(&expect![[r#"
        async_with!(b as c => { yield_!(c) })
        -> { async_with! { @ mention } if false { break 'place_0 no_jump(); } async_with::async_with!( @ yields b as c => { 'place_1 : { { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_1, c). await } } } ) }

        async_with! { b as c => { yield_!(c); d } }
        -> { async_with! { @ mention } if false { break 'place_0 no_jump(); } async_with::async_with! { @ yields b as c => { 'place_1 : { { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_1, c). await }; d } } } }

        let c = async_with!(b => { yield_!(d) });
        -> let c = { async_with! { @ mention } if false { break 'place_0 no_jump(); } async_with::async_with!( @ yields b => { 'place_1 : { { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_1, d). await } } } ) };

        async_with!(b => { c }); yield_!(d)
        -> async_with!(b => { c }); { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, d).await }

        async_with!(b, { c }, { yield_!(c) })
        -> { async_with! { @ mention } if false { break 'place_0 no_jump(); } async_with::async_with!( @ yields b, { c }, { 'place_1 : { { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_1, c). await } } } ) }

        async_with!(if b { c } else { d } as e => { yield_!(e) })
        -> { async_with! { @ mention } if false { break 'place_0 no_jump(); } async_with::async_with!( @ yields if b { c } else { d } as e => { 'place_1 : { { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_1, e). await } } } ) }

        async_with!({ c }, { c } as d => { c } else { return Err(d) }); yield_!(e)
        -> async_with!( { c }, { c } as d => { c } else { return failed(& return, Err(d)) } ); { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, e).await }

        async_with!(b => { yield_!(c) },)
        -> { async_with! { @ mention } if false { break 'place_0 no_jump(); } async_with::async_with!( @ yields b => { 'place_1 : { { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_1, c). await } } }, ) }

        async_with!(b => { return Err(c) } else { d }); yield_!(e)
        -> async_with!( b => { return failed(& return, Err(c)) } else { d } ); { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, e).await }

        async_with!({ yield_ } as b => { yield_!(b) })
        -> { async_with! { @ mention } if false { break 'place_0 no_jump(); } async_with::async_with!( @ yields { yield_ } as b => { 'place_1 : { { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_1, b). await } } } ) }

        async_with!(b => { if c { return d } async_with!(e => { yield_!(f) }) })
        -> { async_with! { @ mention } if false { break 'place_0 no_jump(); } async_with::async_with!( @ yields b => { 'place_1 : { if c { return failed(& return, d) } { async_with! { @ mention } if false { break 'place_1 no_jump(); } async_with::async_with!(@ yields e => { 'place_2 : { { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_2, f). await } } }) } } } ) }

        yield_!(b); async_with!(c => { return Ok(d) } else { e });
        -> { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, b).await }; async_with!( c => { return ended(0, & return, Ok(d)) } else { e } );

        async_with!(b as => { yield_!(c) }); yield_!(d)
        -> async_with!(b as => { yield_!(c) }); { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, d).await }

        async_with!(b => { not rust yield_!(c) }); yield_!(d)
        -> async_with!(b => { not rust yield_!(c) }); { #[allow(unused_imports)] use async_with::yield_ as _; Permit::give(permit_0, d).await }
    "#]]);
}

/// A block without a yield or a `return` gets what it was given: parsing it would make two numbers of this one.
#[test]
fn untouched_blocks() {
    for (body, after) in [("a.0.0", "a . 0.0"), ("return a.0.0", "a . 0 . 0")] {
        let body = format!("async_with!(b => {{ {body} }}); yield_!(c)");
        let text = format!("#[async_context_manager] async fn f() -> Result<A, B> {{ {body} }}");
        let expansion = super::expand(&text).to_string();
        assert!(expansion.contains(after), "{expansion}");
    }
}

/// Each parameter is moved into the future, under a name where it is a pattern.
#[test]
fn moved_parameters() {
    super::check(
        &expect![[r#"
            a: A, mut b: B
            -> fn f( a: A, b: B, )
            -> let a = a
            -> let mut b = b

            self, a: A
            -> fn f( self, a: A, )
            -> let a = a

            &self, (a, mut b): (A, B), _: C
            -> fn f( &self, __async_with_argument_1: (A, B), __async_with_argument_2: C, )
            -> let (a, mut b) = __async_with_argument_1
            -> let _ = __async_with_argument_2

            a @ (b, _): A, ref c: C
            -> fn f( __async_with_argument_0: A, __async_with_argument_1: C, )
            -> let a @ (b, _) = __async_with_argument_0
            -> let ref c = __async_with_argument_1
        "#]],
        |input| {
            let text = format!(
                "#[async_context_manager] async fn f({input}) -> Result<B, C> {{ yield_!() }}"
            );
            let text = super::line(without_hashes(super::expand(&text)));
            let (signature, body) = text.split_once(" -> ").expect("it returns a manager");
            let lets = body
                .split("#[allow(unused_variables, unused_mut)] ")
                .skip(1);
            let lets = lets.map(|text| text.split_once(';').expect("`let`").0.to_owned());
            super::below(input, [signature.to_owned()].into_iter().chain(lets))
        },
    );
}

/// The associated types that are added to an `impl`.
fn types(signatures: &Expect) {
    super::check(signatures, |input| {
        let before = format!("impl AsyncContextManager for S {{ {input} }}");
        let after = super::expand(&format!("#[async_context_manager] {before}"));
        let [before, after] = [super::tokens(&before), after].map(super::line);
        let kept = before.strip_suffix('}').expect("an `impl` has braces");
        let added = after.strip_prefix(kept).expect("what is written is kept");
        let added = added.trim_end_matches(" }").split_inclusive(';');
        let added = added.map(|ty| ty.trim().replace("::async_with::expansion::", ""));
        super::below(input, added)
    });
}

/// What a signature says outright comes first; an alias of `Result` is left to rustc.
#[test]
fn associated_types() {
    types(&expect![[r#"
        async fn enter(&mut self) -> Result<A, B> {}
        async fn exit(self, a: A, _: Cause) -> Result<(), B> {}
        -> type Resource = A;
        -> type Error = B;
        -> type Exit = ();

        async fn enter(&mut self) -> Result<a::Resource, io::Error> {}
        async fn exit(self, a: a::Resource, _: Cause) -> Result<b::Exit, io::Error> {}
        -> type Resource = a::Resource;
        -> type Error = io::Error;
        -> type Exit = b::Exit;

        async fn enter(&mut self) -> io::Result<A> {}
        async fn exit(self, a: A, _: Cause) -> io::Result<Verdict> {}
        -> type Resource = A;
        -> type Error = <io::Result<A> as ResultParts>::Error;
        -> type Exit = <io::Result<Verdict> as ResultParts>::Value;

        async fn enter(&mut self) -> Result<Self::Resource, B> {}
        async fn exit(self, a: A, _: Cause) -> Result<(), Self::Error> {}
        -> type Resource = A;
        -> type Error = B;
        -> type Exit = ();

        async fn enter(&mut self) -> Result<A, Self::Error> {}
        async fn exit(self, a: Self::Resource, _: Cause) -> core::result::Result<(), B> {}
        -> type Resource = A;
        -> type Error = B;
        -> type Exit = ();

        async fn enter(&mut self) -> Result<A, <Self as AsyncContextManager>::Error> {}
        async fn exit(self, a: <Self as AsyncContextManager>::Resource, _: Cause) -> Result<Self::Exit, B> {}
        type Exit = C;
        -> type Resource = A;
        -> type Error = B;

        type Error = B;
        async fn enter(&mut self) -> Result<A, Self::Error> {}
        async fn exit(self, a: A, _: Cause) -> Result<(), Self::Error> {}
        -> type Resource = A;
        -> type Exit = ();

        async fn enter(&mut self) -> Result<Vec<Self::Error>, B> {}
        async fn exit(self, a: Self::Resource, _: Cause) -> Result<(), B> {}
        -> type Error = B;
        -> type Resource = Vec<Self::Error>;
        -> type Exit = ();

        async fn enter(&mut self) -> a::Alias<Self::Error> {}
        async fn exit(self, a: A, _: Cause) -> Result<Self, C> {}
        -> type Resource = A;
        -> type Error = C;
        -> type Exit = Self;

        async fn enter(&mut self) -> Result<A, B, C> {}
        async fn exit(self, a: A, _: Cause) -> Result {}
        -> type Resource = A;
        -> type Error = <Result<A, B, C> as ResultParts>::Error;
        -> type Exit = <Result as ResultParts>::Value;

        async fn enter(&mut self) -> Result<A> {}
        async fn exit(self, a: A, _: Cause) -> Result<'a, B> {}
        -> type Resource = A;
        -> type Error = <Result<A> as ResultParts>::Error;
        -> type Exit = <Result<'a, B> as ResultParts>::Value;

        async fn enter(&mut self) -> <A as B>::C {}
        async fn exit(self, a: A, _: Cause) -> d!() {}
        -> type Resource = A;
        -> type Error = <<A as B>::C as ResultParts>::Error;
        -> type Exit = <d!() as ResultParts>::Value;

        async fn enter(&mut self) -> Result<&'a A, B> {}
        async fn exit(self, a: &A, _: Cause) -> Result<(), B> {}
        -> type Resource = &'a A;
        -> type Error = B;
        -> type Exit = ();

        async fn enter(&mut self) -> io::Result<&'a A> {}
        async fn exit(self, a: &A, _: Cause) -> io::Result<()> {}
        -> type Resource = <io::Result<&'a A> as ResultParts>::Value;
        -> type Error = <io::Result<&'a A> as ResultParts>::Error;
        -> type Exit = <io::Result<()> as ResultParts>::Value;

        async fn enter(&mut self) -> Result<fn(&A) -> Box<dyn Fn(&A) -> &B>, B> {}
        async fn exit(self, a: impl C, _: Cause) -> Result<(), B> {}
        -> type Resource = fn(&A) -> Box<dyn Fn(&A) -> &B>;
        -> type Error = B;
        -> type Exit = ();

        fn enter(&mut self) -> impl Future<Output = Result<A, B>> + Send {}
        fn exit(self, a: A, _: Cause) -> Pin<Box<dyn Future<Output = Result<(), B>>>> {}
        -> type Resource = A;
        -> type Error = B;
        -> type Exit = ();

        fn enter(&mut self) -> impl Future<Item = A, Output = Result<A, impl C<Output = B>>> {}
        async fn exit(self, a: A, _: Cause) -> Result<(), C> {}
        -> type Resource = A;
        -> type Error = C;
        -> type Exit = ();

        async fn exit(self, a: A, _: Cause) -> Result<(), B> {}
        const C: D = e;
        async fn inspect(&self) -> Result<A, B> {}
        fn interrupt(&self) -> impl Future<Output = F> {}
        async fn enter(&mut self) -> Result<A, B> {}
        -> type Resource = A;
        -> type Error = B;
        -> type Exit = ();
    "#]]);
}

/// A type with parameters is asked whether it outlives its block, unless all of them say so; the implementation takes it
/// for granted then.
#[test]
fn types_that_may_borrow() {
    super::check(
        &expect![[r#"
            impl<T: A> AsyncContextManager for B<T> where Self: C
            -> impl<T: A> AsyncContextManager for B<T> where Self: C, Self: 'static,
            -> const _: () = { #[allow(dead_code)] trait OutlivesItsBlock { fn ask(&self); } impl<T: A> OutlivesItsBlock for B<T> where Self: C, { fn ask(&self) { fn lives<T: 'static>() {} lives::<Self>(); } } };

            impl<T: A + 'static, const N: usize> AsyncContextManager for B<T, N>
            -> impl<T: A + 'static, const N: usize> AsyncContextManager for B<T, N>

            impl AsyncContextManager for A<&'static B, fn(&C) -> &D, Box<dyn Fn(&E) + 'static>, dyn for<'b> F<'b>>
            -> impl AsyncContextManager for A<&'static B, fn(&C) -> &D, Box<dyn Fn(&E) + 'static>, dyn for<'b> F<'b>>

            impl<'a, T> ScopedAsyncContextManager for B<'a, T>
            -> impl<'a, T> ScopedAsyncContextManager for B<'a, T>
        "#]],
        |input| {
            let methods = "async fn enter(&mut self) -> Result<C, D> {} async fn exit(self, c: C, _: Cause) -> Result<(), D> {}";
            let text = format!("#[async_context_manager] {input} {{ {methods} }}");
            let expansion = super::line(super::expand(&text));
            let (header, rest) = expansion.split_once(" {").expect("it has a body");
            let asked = rest
                .split_once("const _")
                .map(|(_, asked)| format!("const _{asked}"));
            super::below(input, [header.to_owned()].into_iter().chain(asked))
        },
    );
}

/// With an error in it, a manager keeps its name and its signature, so that those who use it see no second error.
#[test]
fn kept() {
    super::check(
        &expect![[r##"
            #[async_context_manager] struct A;
            -> struct A;

            #[async_context_manager(a)] impl AsyncContextManager for A { type A = B; }
            -> impl AsyncContextManager for A { type A = B; }

            #[async_context_manager] impl A { fn b() {} }
            -> impl A { fn b() {} }

            #[async_context_manager] impl AsyncContextManager for A {
                type Error = E;
                async fn enter(&mut self) -> Option<B> {}
                fn interrupt(&self) {}
                async fn exit(self, b: B, _: Cause) -> Result<(), E> {}
            }
            -> impl AsyncContextManager for A { type Error = E; fn interrupt(&self) {} type Resource = B; type Exit = (); async fn enter( &mut self, ) -> Result<Self::Resource, Self::Error> { ::core::future::pending().await } async fn exit( self, _: Self::Resource, _: ::async_with::Cause, ) -> Result<Self::Exit, Self::Error> { ::core::future::pending().await } }

            #[async_context_manager] impl AsyncContextManager for A<'_> {
                async fn enter(&mut self) -> io::Result<B> {}
                async fn exit(self, b: B, _: Cause) -> io::Result<()> {}
            }
            -> impl ::async_with::ScopedAsyncContextManager for A<'_> { async fn enter(&mut self) -> io::Result<B> {} async fn exit(self, b: B, _: Cause) -> io::Result<()> {} type Resource = B; type Error = <io::Result<B> as ResultParts>::Error; type Exit = <io::Result<()> as ResultParts>::Value; }

            #[async_context_manager] impl ScopedAsyncContextManager for A {}
            -> impl ScopedAsyncContextManager for A { type Resource = (); type Error = (); type Exit = (); async fn enter( &mut self, ) -> Result<Self::Resource, Self::Error> { ::core::future::pending().await } async fn exit( self, _: Self::Resource, _: ::async_with::Cause, ) -> Result<Self::Exit, Self::Error> { ::core::future::pending().await } }

            #[async_context_manager] fn f() -> Result<A, B> { yield_!() }
            -> fn f() -> Generated< <Result<A, B> as ResultParts>::Value, <Result<A, B> as ResultParts>::Error, (), > { let types = Ty::< ( <Result<A, B> as ResultParts>::Value, <Result<A, B> as ResultParts>::Error, ), >::new(); let body = body( &types, move |yielder| pending::< Result< (), <Result<A, B> as ResultParts>::Error, >, >(), ); unsafe { surviving(body) } }

            #[async_context_manager(a)] pub async fn f<T>(&self, (a, b): T) -> Result<A, B> { yield_!() }
            -> pub fn f<T>( &self, argument_1: T, ) -> ScopedGenerated< <Result<A, B> as ResultParts>::Value, <Result<A, B> as ResultParts>::Error, (), impl ::core::future::Future< Output = Result< (), <Result<A, B> as ResultParts>::Error, >, >, > { let types = Ty::< ( <Result<A, B> as ResultParts>::Value, <Result<A, B> as ResultParts>::Error, ), >::new(); let body = body( &types, move |yielder| pending::< Result< (), <Result<A, B> as ResultParts>::Error, >, >(), ); unsafe { scoped(body) } }

            #[async_context_manager(a)] async fn f() -> Option<A> { return Ok(Verdict) }
            -> fn f() -> Generated< (), ::core::convert::Infallible, ::async_with::Verdict, > { ::core::compile_error! { "`return` before the `yield_!`; only an error may leave here, `return Err(..)`" } let types = Ty::< ((), ::core::convert::Infallible), >::new(); let body = body( &types, move |yielder| pending::< Result< ::async_with::Verdict, ::core::convert::Infallible, >, >(), ); unsafe { surviving(body) } }

            #[async_context_manager]
            #[a]
            #[b::async_with]
            async fn f() { c }
            -> #[a] fn f() -> Generated<(), ::core::convert::Infallible, ()> { let types = Ty::< ((), ::core::convert::Infallible), >::new(); let body = body( &types, move |yielder| pending::< Result<(), ::core::convert::Infallible>, >(), ); unsafe { surviving(body) } }
        "##]],
        |input| {
            super::below(
                input,
                [super::kept(without_hashes(super::expand(input)))
                    .replace("::async_with::expansion::", "")
                    .replace("async_with::expansion::", "")
                    .replace("__async_with_", "")],
            )
        },
    );
}
