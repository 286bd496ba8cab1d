//! Where rustc points to when it does not like an expansion: the place of the generated code that it is about.

use expect_test::{Expect, expect};
use proc_macro2::{TokenStream, TokenTree};

/// What is written at the place of the words in an expansion.
fn places(words: &[&str], inputs: &Expect) {
    super::check(inputs, |input| {
        let expansion = super::expand(input);
        let lines = words.iter().map(|word| {
            let token =
                find(expansion.clone(), word).unwrap_or_else(|| panic!("no {word}: {expansion}"));
            let place = token.span().source_text().unwrap_or_default();
            format!("{word}: {place}")
        });
        super::below(input, lines)
    });
}

fn find(tokens: TokenStream, word: &str) -> Option<TokenTree> {
    tokens.into_iter().find_map(|token| match token {
        TokenTree::Group(group) => find(group.stream(), word),
        token => (token.to_string() == word).then_some(token),
    })
}

/// No manager, or one that cannot be opened; a failure that the function cannot return; a resource that escapes, or does
/// not match; a value that cannot be left out; the rules of the protocol at the end of the body.
#[test]
fn of_the_block() {
    places(
        &["Opener", "raises", "lend", "skip", "settle"],
        &expect![[r#"
            open(a) as (b, c) => { d }
            -> Opener: open
            -> raises: open
            -> lend: (b, c)
            -> skip: open
            -> settle: }

            &mut a => { d }
            -> Opener: &
            -> raises: &
            -> lend: &
            -> skip: &
            -> settle: }
        "#]],
    );
}

/// A jump that has no target, or a value of the wrong type.
#[test]
fn of_jumps() {
    places(
        &["break"],
        &expect![[r#"
            a => { b(); break 'c d }
            -> break: break
        "#]],
    );
    places(
        &["continue"],
        &expect![[r#"
            a => { b(); continue 'c }
            -> continue: continue
        "#]],
    );
}

/// A resource of the wrong type, or an end that is no `Result`.
#[test]
fn of_generators() {
    places(
        &["give", "ended"],
        &expect![[r#"
            #[async_context_manager] async fn f() -> Result<A, B> { let a = yield_!(b); c(a) }
            -> give: yield_
            -> ended: c(a)

            #[async_context_manager] async fn f() -> Result<A, B> { yield_!(a); return c; }
            -> give: yield_
            -> ended: return
        "#]],
    );
    places(
        &["failed"],
        &expect![[r#"
            #[async_context_manager] async fn f() -> Result<A, B> { if a { return b; } yield_!(c) }
            -> failed: return
        "#]],
    );
}
