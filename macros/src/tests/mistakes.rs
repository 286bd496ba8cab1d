//! What is wrong, where, and what to write instead. What it looks like to the user is in `tests/ui`.

use std::collections::HashMap;

use expect_test::{Expect, expect};

/// Underlines what the errors of each mistake are about. A message that is there already is cut before its remedy.
fn explained(mistakes: &Expect) {
    let mut seen = HashMap::new();
    super::check(mistakes, |input| {
        let errors = super::errors(super::expand(input));
        assert!(!errors.is_empty(), "no error: {input}");
        assert!(
            errors.iter().all(|(place, _)| !place.is_empty()),
            "no place: {input}"
        );
        let mut text = String::new();
        let mut at = 0;
        for line in input.lines() {
            let end = at + line.len();
            text += line;
            text.push('\n');
            for (place, message) in &errors {
                // What goes on in the next line is underlined in the first.
                if !(at..end).contains(&place.start) {
                    continue;
                }
                text += &" ".repeat(place.start - at);
                text += &"^".repeat(place.end.min(end) - place.start);
                let (problem, remedy) = message.split_once("; ").unwrap_or((message, ""));
                let before = seen.insert(problem.to_owned(), remedy.to_owned());
                let is_known = before.as_deref() == Some(remedy);
                text.extend([" ", if is_known { problem } else { message }, "\n"]);
            }
            at = end + 1;
        }
        text.trim_end().to_owned()
    });
}

/// Without a place in the input, the macro's name is underlined.
#[test]
fn nothing() {
    let [(place, message)] = &*super::errors(super::expand("")) else {
        panic!("one error is expected");
    };
    assert!(place.is_empty());
    assert_eq!(
        message,
        "`async_with!` without a manager and a body; write `async_with! { manager as name => { .. } }`"
    );
}

#[test]
fn in_items() {
    explained(&expect![[r#"
        a as => { x }
          ^^ `as` without a name after it; write `manager as name`, or leave out `as`

        as a => { x }
        ^^ `as` without a manager before it; write `manager as name`

        a, , b => { x }
           ^ no manager before this comma; remove it

        , => { x }
        ^ no manager before this comma

        a,, => { x }
          ^ no manager before this comma

        (a as b,,) => { x }
                ^ no manager before this comma

        ((a), as c) => { x }
              ^^ `as` without a manager before it

        () => { x }
        ^^ a list without a manager; write `(manager as name, ..)`

        (a as b => c) => { x }
                ^ `=>` among the managers; write it after the `)`, before the body

        let a = b => { x }
        ^^^ `let` in place of a manager; write `manager as name`

        a = b as c => { x }
        ^^^^^ an assignment in place of a manager; write `manager as name`

        a. as b => { x }
         ^ unexpected end of input, expected identifier or integer in a manager's expression; items are written `manager as name` and separated by commas

        a + => { x }
          ^ unexpected end of input, expected an expression in a manager's expression; items are written `manager as name` and separated by commas

        a b as c => { x }
          ^ unexpected token in a manager's expression; items are written `manager as name` and separated by commas

        a as u8 as b => { x }
                ^^ a second `as` in one item; put a cast into parentheses, as in `(value as Type) as name`, and an item that is only a cast into two pairs

        a as b as c => { x }
               ^^ a second `as` in one item

        a as b::<c> as d => { x }
                    ^^ a second `as` in one item

        a as b @ c as d => { x }
                   ^^ this does not separate managers; write `,` between them, and `=>` before the body

        a as b and c => { x }
               ^^^ this does not separate managers

        a as b; c => { x }
              ^ this does not separate managers

        a as b: C => { x }
              ^ a type after the name, which is bound to `&mut Resource`; leave it out

        a as b -> { x }
               ^ this does not begin a body; write `=> { .. }`

        a as b::c -> d, e as
                  ^ this does not begin a body
                          ^^ `as` without a name after it

        a as b { x }
               ^ the body follows the managers without `=>`; write `=> { .. }`

        a as (b, c) { x }
                    ^ the body follows the managers without `=>`

        a as b[c] => { x }
              ^^^ this does not separate managers

        a as b::+ => { x }
                ^ expected identifier in the pattern after `as`; write a name, `_`, or another pattern that always matches

        a as => { x } else
                      ^^^^ `else` without a block; write `else { .. }`
          ^^ `as` without a name after it
    "#]]);
}

#[test]
fn in_patterns() {
    explained(&expect![[r#"
        a as Some(b) => { x }
             ^^^^^^^ this pattern may not match; write one that always does, and look at the resource in the body with `if let` or `match`

        a as None => { x }
             ^^^^ this pattern may not match

        a as Option::None => { x }
             ^^^^^^^^^^^^ this pattern may not match

        a as Ok(b) | Err(b) => { x }
             ^^^^^ this pattern may not match
                     ^^^^^^ this pattern may not match

        a as (b, Some(c)) => { x }
                 ^^^^^^^ this pattern may not match

        a as B(C, None) => { x }
                  ^^^^ this pattern may not match

        a as B { c: None, d: Err(e) } => { x }
                    ^^^^ this pattern may not match
                             ^^^^^^ this pattern may not match

        a as [b, None] => { x }
                 ^^^^ this pattern may not match

        a as (((None))) => { x }
                ^^^^ this pattern may not match

        a as b @ None => { x }
                 ^^^^ this pattern may not match

        a as &mut None => { x }
                  ^^^^ this pattern may not match

        a as 1 | 2..=3 | 4.. => { x }
             ^ this pattern may not match
                 ^^^^^ this pattern may not match
                         ^^^ this pattern may not match

        a as const { 1 } => { x }
             ^^^^^^^^^^^ this pattern may not match

        a as (mut b, ref c, ref mut d) => { x }
              ^^^^^ `mut` or `ref` where names bind by reference already; write `b` here, and `let mut b = *b;` in the body for a copy
                     ^^^^^ `mut` or `ref` where names bind by reference already; write `c` here, and `let mut c = *c;` in the body for a copy
                            ^^^^^^^^^ `mut` or `ref` where names bind by reference already; write `d` here, and `let mut d = *d;` in the body for a copy

        a as B { ref c, d: mut e } => { x }
                 ^^^^^ `mut` or `ref` where names bind by reference already; write `c` here, and `let mut c = *c;` in the body for a copy
                           ^^^^^ `mut` or `ref` where names bind by reference already; write `e` here, and `let mut e = *e;` in the body for a copy

        a as (&b, &mut c) => { x }
              ^^ `&` where names bind by reference already; write the name alone, and `*name` in the body
                  ^^^^^^ `&` where names bind by reference already

        a as [&b, (&c)] => { x }
              ^^ `&` where names bind by reference already
                   ^^ `&` where names bind by reference already

        a as B(&c) | C(mut c) => { x }
               ^^ `&` where names bind by reference already
                       ^^^^^ `mut` or `ref` where names bind by reference already; write `c` here, and `let mut c = *c;` in the body for a copy

        a as b @ (mut c, d) => { x }
                  ^^^^^ `mut` or `ref` where names bind by reference already
    "#]]);
}

#[test]
fn in_bodies() {
    explained(&expect![[r#"
        a as b
             ^ the managers are not followed by a body; write `async_with! { manager as name => { .. } }`

        a as b,
              ^ the managers are not followed by a body

        a
        ^ the managers are not followed by a body

        a(b), c(d)
               ^^^ the managers are not followed by a body

        a as b =>
               ^ `=>` without a body; write `=> { .. }`

        a as b, =>
                ^ `=>` without a body

        a as b => x
                  ^ the body must be a block; write `=> { .. }`

        a as b => (x) { y }
                  ^^^ the body must be a block

        a as b => move || {}
                  ^^^^ the body must be a block

        => { x }
           ^ a body without a manager; write `async_with! { manager as name => { .. } }`

        { x }
        ^ a body without a manager

        { x } else { y }
        ^ a body without a manager

        a { x }
          ^ the body follows the managers without `=>`; write `=> { .. }`

        a::B { x }
             ^ the body follows the managers without `=>`

        (a as b) { x }
                 ^ the body follows the managers without `=>`

        a as b => { x } as c => { y }
                        ^^ unexpected after the body; managers stand before it, and only `else { .. }` after it

        a as b => { x }, c => { y }
                       ^ unexpected after the body

        a as b => { x } { y }
                        ^^^^^ unexpected after the body

        a as b => { x };
                       ^ unexpected after the body; only `else { .. }` may follow it

        a as b => { x } ; c
                        ^ unexpected after the body

        a as b, { x } ; c
                      ^ unexpected after the body

        a as b => { x } .c()
                        ^ unexpected after the body; managers stand before it, and only `else { .. }` after it

        a as b => { x } else
                        ^^^^ `else` without a block; write `else { .. }`

        a as b => { x } else if c { y }
                        ^^^^ `else` without a block

        a as b => { x } else { y } else { z }
                                   ^^^^ unexpected after the body; only `else { .. }` may follow it

        a as b => { x } else { y } ,,
                                   ^ unexpected after the body

        a as b => { x } except { y }
                        ^^^^^^ unexpected after the body

        a, b as => { x } else => { y }
                         ^^^^ `else` without a block
             ^^ `as` without a name after it; write `manager as name`, or leave out `as`
    "#]]);
}

/// One compilation shows all that is wrong with the items, and nothing that only follows from it.
#[test]
fn several() {
    explained(&expect![[r#"
        a as, as b, , c as Some(d), e as f + g => x
          ^^ `as` without a name after it; write `manager as name`, or leave out `as`
              ^^ `as` without a manager before it; write `manager as name`
                    ^ no manager before this comma; remove it
                           ^^^^^^^ this pattern may not match; write one that always does, and look at the resource in the body with `if let` or `match`
                                           ^ this does not separate managers; write `,` between them, and `=>` before the body
                                                  ^ the body must be a block; write `=> { .. }`

        a as None => { x } else { y } z
                                      ^ unexpected after the body; only `else { .. }` may follow it
             ^^^^ this pattern may not match

        #[async_with(a as, b as None => c)] fn f() {}
                                     ^ no `=>` here; the body is the function's, or the block's below
                       ^^ `as` without a name after it
                                ^^^^ this pattern may not match
    "#]]);
}

#[test]
fn of_the_attribute() {
    explained(&expect![[r#"
        #[async_with] fn f() {}
                      ^^ `#[attr::async_with]` on a function that is not async; write `async fn`

        #[async_with] struct S;
                      ^^^^^^ `#[attr::async_with]` goes on an `async fn`, an `impl` block or an inline module

        #[async_with] pub enum E { A }
                          ^^^^ `#[attr::async_with]` goes on an `async fn`, an `impl` block or an inline module

        #[async_with] const A: B = c;
                      ^^^^^ `#[attr::async_with]` goes on an `async fn`, an `impl` block or an inline module

        #[async_with] macro_rules! a { () => {} }
                      ^^^^^^^^^^^ `#[attr::async_with]` goes on an `async fn`, an `impl` block or an inline module

        #[async_with] mod m;
                      ^^^ `#[attr::async_with]` on a module in another file; write it on the items in that file

        #[async_with] fn f(&self);
                      ^^ `#[attr::async_with]` on a method without a body; write it where the body is

        #[async_with] { a }
                      ^^^^^ `#[attr::async_with]` on an expression; write `async_with! { .. }`, or `#[with(..)]` above a block in a function that has `#[attr::async_with]`

        #[async_with] || a
                      ^ `#[attr::async_with]` on an expression

        #[async_with] let a = b;
                      ^^^ `#[attr::async_with]` on a statement; write `#[with] let name = manager;` in a function that has `#[attr::async_with]`

        #[async_with] a b c
                      ^ expected `fn`

        #[async_with] else
                      ^^^^ expected `fn`

        #[async_with(a as b)] fn f() {}
                              ^^ `#[attr::async_with(..)]` on a function that is not async; write `async fn`

        #[async_with(a as b)] fn f() { async { c } }
                              ^^ `#[attr::async_with(..)]` on a function that is not async

        #[async_with(a as b)] fn f() { pin(c); }
                              ^^ `#[attr::async_with(..)]` on a function that is not async

        #[async_with(a as b)] fn f() { Box::new(async { c }) }
                              ^^ `#[attr::async_with(..)]` on a function that is not async

        #[async_with(a as b)] fn f() { Box::pin(c) }
                              ^^ `#[attr::async_with(..)]` on a function that is not async

        #[async_with(a as b)] fn f() { let c = d; }
                              ^^ `#[attr::async_with(..)]` on a function that is not async

        #[async_with(a as b)] fn f() -> impl Future { async {} }
                              ^^ `#[attr::async_with(..)]` on a function that is not async

        #[async_with(a as b)] impl A { async fn f() {} }
                              ^^^^ `#[attr::async_with(..)]` with managers goes on an `async fn`; leave them out to turn on the forms inside

        #[async_with(a as b)] pub union U { a: A }
                                  ^^^^^ `#[attr::async_with(..)]` with managers goes on an `async fn`

        #[async_with(a as b)] fn f(&self);
                              ^^ `#[attr::async_with]` on a method without a body

        #[async_with(a = b)] async fn f() {}
                     ^ unknown argument `a`; the arguments are managers, as in `#[attr::async_with(manager as name)]`, and `crate = path`

        #[async_with(crate = a, b = c)] async fn f() {}
                                ^ unknown argument `b`; the arguments are managers, as in `#[attr::async_with(manager as name)]`, and `crate = path`

        #[async_with(crate = 1)] async fn f() {}
                             ^ expected identifier

        #[async_with(crate = a b)] async fn f() {}
                               ^ expected `,`

        #[async_with(a as b => { c })] async fn f() {}
                            ^ no `=>` here; the body is the function's, or the block's below

        #[async_with(a as)] async fn f() {}
                       ^^ `as` without a name after it; write `manager as name`, or leave out `as`
    "#]]);
}

#[test]
fn of_with() {
    explained(&expect![[r#"
        #[async_with] async fn f() { #[with(a)] let b = c; }
                                     ^^^^^^^^^^ `#[with]` above `let` takes no arguments; write `#[with] let name = manager;`

        #[async_with] async fn f() { #[with] let a; }
                                             ^^^ `#[with] let` without a manager; write `#[with] let name = manager;`

        #[async_with] async fn f() { #[with] let a: A = b; }
                                                    ^ a type after `#[with] let name`, where the name is bound to `&mut Resource`; leave it out

        #[async_with] async fn f() { #[with] let a = b else { return }; }
                                                       ^^^^ `else` after `#[with] let`; the pattern must always match, so leave it out

        #[async_with] async fn f() { #[with] let Some(a) = b; }
                                                 ^^^^^^^ this pattern may not match; write one that always does, and look at the resource in the body with `if let` or `match`

        #[async_with] async fn f() { #[allow(a)] #[with] let a = b; }
                                     ^^^^^^^^^^^ this attribute cannot stand beside `#[with]`; move it to the function

        #[async_with] async fn f() { #[with] { a } }
                                     ^^^^^^^ `#[with]` above a block needs managers; write `#[with(manager as name)] { .. }`

        #[async_with] async fn f() { #[with()] { a } }
                                     ^^^^^^^^^ `#[with]` above a block needs managers

        #[async_with] async fn f() { #[with(a as b)] 'c: { d } }
                                                     ^^^ a label on a `#[with(..)]` block; write the block into a labeled one

        #[async_with] async fn f() { #[with(a as)] { b } }
                                              ^^ `as` without a name after it; write `manager as name`, or leave out `as`

        #[async_with] async fn f() { #[with(a)] if b {} }
                                     ^^^^^^^^^^ `#[with(..)]` goes above a block, and `#[with]` above `let`; put braces around this

        #[async_with] async fn f() { #[with(a)] loop {} }
                                     ^^^^^^^^^^ `#[with(..)]` goes above a block, and `#[with]` above `let`

        #[async_with] async fn f() { let a = #[with(b)] c(); }
                                             ^^^^^^^^^^ `#[with(..)]` goes above a block, and `#[with]` above `let`

        #[async_with] async fn f() { #[with] let Some(a) = b; #[with] let None = c; }
                                                                          ^^^^ this pattern may not match
                                                 ^^^^^^^ this pattern may not match

        #[async_with(a as)] async fn f() { #[with] let b = c; }
                       ^^ `as` without a name after it

        #[async_with] async fn f() { async_with!(a => { #[with] let None = b; }) }
                                                                    ^^^^ this pattern may not match

        #[async_with(a)] async fn f() { #[with] let None = b; }
                                                    ^^^^ this pattern may not match

        #[async_with] impl A { async fn f() { #[with] let None = b; } }
                                                          ^^^^ this pattern may not match

        #[async_with] trait A { async fn f() { #[with] let None = b; } }
                                                           ^^^^ this pattern may not match

        #[async_with] mod m { async fn f() { #[with] let None = b; } }
                                                         ^^^^ this pattern may not match

        #[async_with] async fn f() { #[a] async fn g() { #[with] let a = b; } }
                                                         ^^^^^^^ `#[with(..)]` goes above a block, and `#[with]` above `let`
    "#]]);
}

#[test]
fn of_generators() {
    explained(&expect![[r#"
        #[async_context_manager(local)]
                                ^^^^^ unknown argument `local`; there are `scoped`, `suppresses` and `crate = path`
        async fn f() -> Result<A, B> { yield_!(a); }

        #[async_context_manager(scoped suppresses)]
                                       ^^^^^^^^^^ expected `,`
        async fn f() -> Result<A, B> { yield_!(a); }

        #[async_context_manager]
        #[async_with(a)]
        ^^^^^^^^^^^^^^^^ `#[attr::async_with]` below `#[async_context_manager]`; write it above
        async fn f() -> Result<A, B> { yield_!(a); }

        #[async_context_manager]
        fn f() -> Result<A, B> { yield_!(a); }
        ^^ `#[async_context_manager]` on a function that is not async; write `async fn`

        #[async_context_manager]
        async fn f() { yield_!(a); }
                 ^ this manager returns no `Result`; write `-> Result<Resource, Error>`, with `Infallible` if it cannot fail

        #[async_context_manager]
        async fn f() -> Option<A> { yield_!(a); }
                        ^^^^^^^^^ `f` returns no `Result`; write `-> Result<.., Infallible>` if it cannot fail

        #[async_context_manager]
        async fn f() -> (A, B) { yield_!(a); }
                        ^^^^^^ `f` returns no `Result`

        #[async_context_manager]
        async fn f() -> Result<A, B> { a }
                 ^ no `yield_!` in this manager; write `yield_!(resource)` between its set-up and its clean-up

        #[async_context_manager]
        async fn f() -> Result<A, B> { let b = yield_(a).await; c }
                                               ^^^^^^ a manager yields with a macro; write `yield_!(resource)`

        #[async_context_manager]
        async fn f() -> Result<A, B> { yield a; b }
                                       ^^^^^ a manager yields with a macro

        #[async_context_manager]
        fn f() { a }
        ^^ `#[async_context_manager]` on a function that is not async
           ^ this manager returns no `Result`

        #[async_context_manager]
        async fn f() -> Result<A, B> { yield_!(a, b); }
                                                  ^ `yield_!` takes one resource; use a tuple for several values

        #[async_context_manager]
        async fn f() -> Result<A, B> { yield_!(a, b = c); }
                                                  ^ `yield_!` takes one resource

        #[async_context_manager]
        async fn f() -> Result<A, B> { yield_!(a, interrupt = b, c); }
                                                                 ^ `yield_!` takes one resource

        #[async_context_manager]
        async fn f() -> Result<A, B> { yield_!(a b); }
                                                 ^ expected `,`
    "#]]);
}

/// A manager yields once on every path.
#[test]
fn of_yields() {
    explained(&expect![[r##"
        #[async_context_manager]
        async fn f() -> Result<A, B> { yield_!(a); yield_!(b) }
                                                   ^^^^^^ a second `yield_!`; a manager has one resource, use a tuple for several values

        #[async_context_manager]
        async fn f() -> Result<A, B> { loop { yield_!(a); } }
                                              ^^^^^^ `yield_!` in a loop; a manager has one resource, yield it behind the loop

        #[async_context_manager]
        async fn f() -> Result<A, B> { while a { yield_!(a); } }
                                                 ^^^^^^ `yield_!` in a loop

        #[async_context_manager]
        async fn f() -> Result<A, B> { for a in b { yield_!(a); } }
                                                    ^^^^^^ `yield_!` in a loop

        #[async_context_manager]
        async fn f() -> Result<A, B> { || yield_!(a) }
                                          ^^^^^^ `yield_!` in a closure; write it in the function itself

        #[async_context_manager]
        async fn f() -> Result<A, B> { || { loop { yield_!(a) } } }
                                                   ^^^^^^ `yield_!` in a closure

        #[async_context_manager]
        async fn f() -> Result<A, B> { loop { || yield_!(a) } }
                                                 ^^^^^^ `yield_!` in a closure

        #[async_context_manager]
        async fn f() -> Result<A, B> { async { yield_!(a) } }
                                               ^^^^^^ `yield_!` in an `async` block; write it in the function itself

        #[async_context_manager]
        async fn f() -> Result<A, B> { async fn g() { yield_!(a) } }
                                                      ^^^^^^ `yield_!` in a nested function; it belongs to the function with `#[async_context_manager]`

        #[async_context_manager]
        async fn f() -> Result<A, B> { println!("{}", yield_!(a)) }
                                                      ^^^^^^ `yield_!` in another macro; write `let .. = yield_!(..);` in front of it

        #[async_context_manager]
        async fn f() -> Result<A, B> { let b = println!("{}", (yield_!(a))); }
                                                               ^^^^^^ `yield_!` in another macro

        #[async_context_manager]
        async fn f() -> Result<A, B> { if a { yield_!(a); } }
                                       ^^ this path has no `yield_!`, and another one has; yield exactly once on every path

        #[async_context_manager]
        async fn f() -> Result<A, B> { if a { yield_!(a); } else { b } }
                                                                 ^^^^^ this path has no `yield_!`, and another one has

        #[async_context_manager]
        async fn f() -> Result<A, B> { if a { b } else { yield_!(a); } }
                                            ^^^^^ this path has no `yield_!`, and another one has

        #[async_context_manager]
        async fn f() -> Result<A, B> { if a { return Err(b) } else if c { yield_!(a); } else {} }
                                                                                             ^^ this path has no `yield_!`, and another one has

        #[async_context_manager]
        async fn f() -> Result<A, B> { match a { B => yield_!(a), C => c, D => (return Err(d)), E => { d } } }
                                                                  ^ this path has no `yield_!`, and another one has
                                                                                                ^ this path has no `yield_!`, and another one has

        #[async_context_manager]
        async fn f() -> Result<A, B> { match a { B => yield_!(a), C => log!(c), D => loop { break; } } }
                                                                  ^ this path has no `yield_!`, and another one has
                                                                                ^ this path has no `yield_!`, and another one has

        #[async_context_manager]
        async fn f() -> Result<A, B> { if a { yield_!(a) } else { return Err(b) } yield_!(a) }
                                                                                  ^^^^^^ a second `yield_!`

        #[async_context_manager]
        async fn f() -> Result<A, B> { if yield_!(a) { yield_!(b) } else { c } }
                                                       ^^^^^^ a second `yield_!`

        #[async_context_manager]
        async fn f() -> Result<A, B> { match yield_!(a) { b => yield_!(b) } }
                                                               ^^^^^^ a second `yield_!`

        #[async_context_manager]
        async fn f() -> Result<A, B> { return Ok(a); yield_!(a) }
                                       ^^^^^^ `return` before the `yield_!`; only an error may leave here, `return Err(..)`

        #[async_context_manager]
        async fn f() -> Result<A, B> { if a { return; } loop { return Ok(a) } }
                                              ^^^^^^ `return` before the `yield_!`
                                                               ^^^^^^ `return` before the `yield_!`

        #[async_context_manager]
        async fn f() -> Result<A, B> { async_with!(a => { yield_!(a) } else { b }) }
                                                                            ^ `else` of a block with the `yield_!`; it would run without having yielded

        #[async_context_manager]
        async fn f() -> Result<A, B> { async_with!(a => { yield_!(a); yield_!(b) }) }
                                                                      ^^^^^^ a second `yield_!`

        #[async_context_manager]
        async fn f() -> Result<A, B> { yield_!(a); async_with!(b => { yield_!(c) } else { b }) }
                                                                      ^^^^^^ a second `yield_!`

        #[async_context_manager]
        async fn f() -> Result<A, B> { async_with!(a => { return Ok(b); }) }
                                                          ^^^^^^ `return` before the `yield_!`
    "##]]);
}

#[test]
fn of_managers() {
    explained(&expect![[r#"
        #[async_context_manager]
        struct S;
        ^^^^^^ `#[async_context_manager]` goes on `impl AsyncContextManager for ..` or on an `async fn`

        #[async_context_manager]
        trait AsyncContextManager {}
        ^^^^^ `#[async_context_manager]` goes on `impl AsyncContextManager for ..` or on an `async fn`

        #[async_context_manager]
        impl A {}
        ^^^^ `#[async_context_manager]` on an `impl` that makes no manager; write `impl AsyncContextManager for ..` or `impl ScopedAsyncContextManager for ..`

        #[async_context_manager]
        impl a::B for C {}
             ^^^^ `#[async_context_manager]` on an `impl` that makes no manager

        #[async_context_manager(a)]
                                ^ unknown argument; the only one is `crate = path`
        impl AsyncContextManager for A {}

        #[async_context_manager]
        impl AsyncContextManager for A {}
             ^^^^^^^^^^^^^^^^^^^ this manager has no `enter`; write `async fn enter(&mut self) -> Result<Resource, Error>`
             ^^^^^^^^^^^^^^^^^^^ this manager has no `exit`; write `async fn exit(self, resource: Resource, cause: Cause) -> Result<(), Error>`

        #[async_context_manager]
        impl AsyncContextManager for A {
             ^^^^^^^^^^^^^^^^^^^ this manager has no `exit`
            async fn enter(&mut self) -> Result<B, C> { b }
        }

        #[async_context_manager]
        impl AsyncContextManager for A {
             ^^^^^^^^^^^^^^^^^^^ this manager has no `enter`
            async fn exit(self, b: B, _: Cause) -> Result<(), C> { c }
        }

        #[async_context_manager]
        impl a::ScopedAsyncContextManager for A {
            async fn enter(&mut self) {}
                     ^^^^^ `enter` returns no `Result`; write `-> Result<.., Infallible>` if it cannot fail
            async fn exit(self, b: B, _: Cause) {}
                     ^^^^ `exit` returns no `Result`; write `-> Result<.., Infallible>` if it cannot fail
        }

        #[async_context_manager]
        impl AsyncContextManager for A {
            fn enter(&mut self) -> Result<B, C> { b }
            ^^ `enter` is not async; write `async fn enter`, or return `impl Future<Output = Result<..>>`
            fn exit(self, b: B, _: Cause) -> impl Iterator<Item = Result<D, C>> { c }
            ^^ `exit` is not async; write `async fn exit`, or return `impl Future<Output = Result<..>>`
        }

        #[async_context_manager]
        impl AsyncContextManager for A {
            async fn enter(&mut self) -> B { b }
                                         ^ `enter` returns no `Result`
            async fn exit(self, b: B, _: Cause) -> Verdict { c }
                                                   ^^^^^^^ `exit` returns no `Result`
        }

        #[async_context_manager]
        impl AsyncContextManager for A {
            async fn enter(&mut self) -> (B, C) { b }
                                         ^^^^^^ `enter` returns no `Result`
            async fn exit(self, b: (B, C), _: Cause) -> Result<Verdict, C> { c }
        }

        #[async_context_manager]
        impl AsyncContextManager for A {
            async fn enter(&mut self) -> Result<Self::Resource, Self::Error> { b }
                                                ^^^^^^^^^^^^^^ `enter` and `exit` call this type `Self::Resource` only; write in one of them what it is, or add `type Resource = ..;`
            async fn exit(self, b: <Self as AsyncContextManager>::Resource, _: Cause) -> Result<Self::Exit, Self::Error> { c }
        }

        #[async_context_manager]
        impl AsyncContextManager for A {
            async fn enter(&mut self) -> Result<&B, C> { b }
                                                ^ what is lent cannot borrow from `self`; name a lifetime of the `impl`
            async fn exit(self, b: &B, _: Cause) -> Result<D<'_>, C> { c }
        }

        #[async_context_manager]
        impl AsyncContextManager for A {
            async fn enter(&mut self) -> Result<B<'_>, C> { b }
                                                  ^^ what is lent cannot borrow from `self`
            async fn exit(self, b: B<'_>, _: Cause) -> Result<(), C> { c }
        }

        #[async_context_manager]
        impl AsyncContextManager for A {
            async fn enter(&mut self) -> Result<impl B, C<'_>> { b }
                                                ^^^^^^ `impl Trait` cannot be an associated type; write the type, or a `Box<dyn Trait>`
            async fn exit(self, b: Self::Resource, _: Cause) -> Result<(), C<'_>> { c }
        }

        #[async_context_manager]
        impl AsyncContextManager for A {
            type Error = C;
            async fn enter(&mut self) -> Result<Vec<Self::Exit>, C> { b }
            async fn exit(self, b: B, _: Cause) -> Result<Vec<Self::Exit>, C> { c }
                                                          ^^^^^^^^^^^^^^^ `enter` and `exit` call this type `Self::Exit` only; write in one of them what it is, or add `type Exit = ..;`
        }
    "#]]);
}

/// One whose exit outlives its block cannot borrow.
#[test]
fn of_managers_that_borrow() {
    explained(&expect![[r#"
        #[async_context_manager]
        impl AsyncContextManager for A<'_> {
                                       ^^ this manager borrows, and the exit of an `AsyncContextManager` outlives its block; write `impl ScopedAsyncContextManager for ..`, or let the manager own what it uses
            async fn enter(&mut self) -> Result<B, C> { b }
            async fn exit(self, b: B, _: Cause) -> Result<(), C> { c }
        }

        #[async_context_manager]
        impl AsyncContextManager for a::A<T, 'a> {
                                             ^^ this manager borrows, and the exit of an `AsyncContextManager` outlives its block
            async fn enter(&mut self) -> Result<B, C> { b }
            async fn exit(self, b: B, _: Cause) -> Result<(), C> { c }
        }

        #[async_context_manager]
        impl AsyncContextManager for &A<'static> {
                                     ^ this manager borrows, and the exit of an `AsyncContextManager` outlives its block
            async fn enter(&mut self) -> Result<B, C> { b }
            async fn exit(self, b: B, _: Cause) -> Result<(), C> { c }
        }

        #[async_context_manager]
        impl AsyncContextManager for Box<dyn for<'b> A<'b> + 'a> {
                                                             ^^ this manager borrows, and the exit of an `AsyncContextManager` outlives its block
            async fn enter(&mut self) -> Result<B, C> { b }
            async fn exit(self, b: B, _: Cause) -> Result<(), C> { c }
        }
    "#]]);
}
