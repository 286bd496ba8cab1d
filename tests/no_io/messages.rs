//! What the compiler says without the feature `io`.

#![cfg(not(target_family = "wasm"))]

/// TYP-3: what can be closed only with the feature says so.
#[test]
fn mistakes_give_the_messages_beside_them() {
    trybuild::TestCases::new().compile_fail("ui/*.rs");
}
