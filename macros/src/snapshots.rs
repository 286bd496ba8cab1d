//! What the macros expand to.
use expect_test::{Expect, expect};
use proc_macro2::TokenStream;
use quote::quote;

fn pretty(tokens: &TokenStream) -> String {
    let file = syn::parse2(tokens.clone()).unwrap_or_else(|error| panic!("{error}: {tokens}"));
    prettyplease::unparse(&file)
}
fn block(input: TokenStream, expected: &Expect) {
    let expansion = crate::expand::block(quote!(async_with #input));
    expected.assert_eq(&pretty(&quote!(async fn function() { #expansion })));
}
fn attribute(arguments: TokenStream, item: TokenStream, expected: &Expect) {
    expected.assert_eq(&pretty(&crate::attribute::expand(arguments, item)));
}

#[test]
fn one_item() {
    block(
        quote!(open(path) as file => { file.read().await }),
        &expect![[r#"
        async fn function() {
            {
                let __return = async_with::expansion::Ty::new();
                #[allow(unreachable_code)]
                if false {
                    return __return.value();
                }
                let __value_type = async_with::expansion::Ty::new();
                if false {
                    __value_type.value()
                } else {
                    match {
                        let mut __scope = {
                            use async_with::expansion::open::*;
                            let __opener = async_with::expansion::Opener::new(open(path));
                            (&&&&__opener).__async_with_open().open(__opener)
                        };
                        let __raise = __scope.raises(0, &__return);
                        match async_with::expansion::Scope::enter(&mut __scope).await {
                            async_with::expansion::Ok(()) => {}
                            async_with::expansion::Err(__error) => {
                                #[allow(unreachable_code)] return __raise(__error);
                            }
                        }
                        let mut __value = async_with::expansion::None;
                        let __ended = async_with::expansion::Ended::new();
                        let __stopped = {
                            let (__lent, __parts, __interrupt) = async_with::expansion::Scope::lend(
                                &mut __scope,
                            );
                            let (__return, __value_type) = (
                                __return.twin(),
                                __value_type.twin(),
                            );
                            async_with::expansion::drive(
                                    __parts,
                                    __interrupt,
                                    &__ended,
                                    async {
                                        let __return = __return;
                                        #[allow(unreachable_code)]
                                        if false {
                                            return __return.value();
                                        }
                                        let __value_type = __value_type;
                                        let __lent = __lent;
                                        let file = __lent;
                                        let __out = __value_type
                                            .same(
                                                if false { __value_type.value() } else { file.read().await },
                                            );
                                        #[allow(unreachable_code)]
                                        async_with::expansion::finish(&mut __value, &__ended, __out)
                                            .await
                                    },
                                )
                                .await
                        };
                        let (__exit, __settled) = async_with::expansion::settle(
                            __scope,
                            __stopped,
                            __value,
                            &__ended,
                            async_with::expansion::tie(0, 0.0, 0),
                            async_with::expansion::tie(0, 0.0, 0),
                        );
                        (__exit, __settled, __raise)
                    } {
                        (__exit, __settled, __raise) => {
                            match async_with::expansion::conclude(__settled, __exit.await) {
                                async_with::expansion::Concluded::Value(__value) => __value,
                                async_with::expansion::Concluded::Left(__left) => {
                                    #[allow(unreachable_code)] return __left;
                                }
                                async_with::expansion::Concluded::Raised(__error) => {
                                    #[allow(unreachable_code)] return __raise(__error);
                                }
                                async_with::expansion::Concluded::Skipped(__skipped) => {
                                    async_with::expansion::skip(&__value_type, __skipped)
                                }
                                async_with::expansion::Concluded::Jump(__jump) => {
                                    let _ = __jump;
                                    async_with::expansion::no_jump()
                                }
                            }
                        }
                    }
                }
            }
        }
    "#]],
    );
}
#[test]
fn two_item() {
    block(
        quote!(open(path) as file, lock() => { file.read().await }),
        &expect![[r#"
        async fn function() {
            {
                let __return = async_with::expansion::Ty::new();
                #[allow(unreachable_code)]
                if false {
                    return __return.value();
                }
                let __value_type = async_with::expansion::Ty::new();
                if false {
                    __value_type.value()
                } else {
                    match {
                        let mut __scope = {
                            use async_with::expansion::open::*;
                            let __opener = async_with::expansion::Opener::new(open(path));
                            (&&&&__opener).__async_with_open().open(__opener)
                        };
                        let __raise = __scope.raises(0, &__return);
                        match async_with::expansion::Scope::enter(&mut __scope).await {
                            async_with::expansion::Ok(()) => {}
                            async_with::expansion::Err(__error) => {
                                #[allow(unreachable_code)] return __raise(__error);
                            }
                        }
                        let mut __value = async_with::expansion::None;
                        let __ended = async_with::expansion::Ended::new();
                        let __stopped = {
                            let (__lent, __parts, __interrupt) = async_with::expansion::Scope::lend(
                                &mut __scope,
                            );
                            let (__return, __value_type) = (
                                __return.twin(),
                                __value_type.twin(),
                            );
                            async_with::expansion::drive(
                                    __parts,
                                    __interrupt,
                                    &__ended,
                                    async {
                                        let __return = __return;
                                        #[allow(unreachable_code)]
                                        if false {
                                            return __return.value();
                                        }
                                        let __value_type = __value_type;
                                        let __lent = __lent;
                                        let file = __lent;
                                        let __out = __value_type
                                            .same(
                                                match {
                                                    let mut __scope = {
                                                        use async_with::expansion::open::*;
                                                        let __opener = async_with::expansion::Opener::new(lock());
                                                        (&&&&__opener).__async_with_open().open(__opener)
                                                    };
                                                    let __raise = __scope.raises(0, &__return);
                                                    match async_with::expansion::Scope::enter(&mut __scope)
                                                        .await
                                                    {
                                                        async_with::expansion::Ok(()) => {}
                                                        async_with::expansion::Err(__error) => {
                                                            #[allow(unreachable_code)] return __raise(__error);
                                                        }
                                                    }
                                                    let mut __value = async_with::expansion::None;
                                                    let __ended = async_with::expansion::Ended::new();
                                                    let __stopped = {
                                                        let (__lent, __parts, __interrupt) = async_with::expansion::Scope::lend(
                                                            &mut __scope,
                                                        );
                                                        let (__return, __value_type) = (
                                                            __return.twin(),
                                                            __value_type.twin(),
                                                        );
                                                        async_with::expansion::drive(
                                                                __parts,
                                                                __interrupt,
                                                                &__ended,
                                                                async {
                                                                    let __return = __return;
                                                                    #[allow(unreachable_code)]
                                                                    if false {
                                                                        return __return.value();
                                                                    }
                                                                    let __value_type = __value_type;
                                                                    let __lent = __lent;
                                                                    let _ = __lent;
                                                                    let __out = __value_type
                                                                        .same(
                                                                            if false { __value_type.value() } else { file.read().await },
                                                                        );
                                                                    #[allow(unreachable_code)]
                                                                    async_with::expansion::finish(&mut __value, &__ended, __out)
                                                                        .await
                                                                },
                                                            )
                                                            .await
                                                    };
                                                    let (__exit, __settled) = async_with::expansion::settle(
                                                        __scope,
                                                        __stopped,
                                                        __value,
                                                        &__ended,
                                                        async_with::expansion::tie(0, 0.0, 0),
                                                        async_with::expansion::tie(0, 0.0, 0),
                                                    );
                                                    (__exit, __settled, __raise)
                                                } {
                                                    (__exit, __settled, __raise) => {
                                                        match async_with::expansion::conclude(
                                                            __settled,
                                                            __exit.await,
                                                        ) {
                                                            async_with::expansion::Concluded::Value(__value) => __value,
                                                            async_with::expansion::Concluded::Left(__left) => {
                                                                #[allow(unreachable_code)] return __left;
                                                            }
                                                            async_with::expansion::Concluded::Raised(__error) => {
                                                                #[allow(unreachable_code)] return __raise(__error);
                                                            }
                                                            async_with::expansion::Concluded::Skipped(__skipped) => {
                                                                async_with::expansion::skip(&__value_type, __skipped)
                                                            }
                                                            async_with::expansion::Concluded::Jump(__jump) => {
                                                                let _ = __jump;
                                                                async_with::expansion::no_jump()
                                                            }
                                                        }
                                                    }
                                                },
                                            );
                                        async_with::expansion::finish(&mut __value, &__ended, __out)
                                            .await
                                    },
                                )
                                .await
                        };
                        let (__exit, __settled) = async_with::expansion::settle(
                            __scope,
                            __stopped,
                            __value,
                            &__ended,
                            async_with::expansion::tie(0, 0.0, 0),
                            async_with::expansion::tie(0, 0.0, 0),
                        );
                        (__exit, __settled, __raise)
                    } {
                        (__exit, __settled, __raise) => {
                            match async_with::expansion::conclude(__settled, __exit.await) {
                                async_with::expansion::Concluded::Value(__value) => __value,
                                async_with::expansion::Concluded::Left(__left) => {
                                    #[allow(unreachable_code)] return __left;
                                }
                                async_with::expansion::Concluded::Raised(__error) => {
                                    #[allow(unreachable_code)] return __raise(__error);
                                }
                                async_with::expansion::Concluded::Skipped(__skipped) => {
                                    async_with::expansion::skip(&__value_type, __skipped)
                                }
                                async_with::expansion::Concluded::Jump(__jump) => {
                                    let _ = __jump;
                                    async_with::expansion::no_jump()
                                }
                            }
                        }
                    }
                }
            }
        }
    "#]],
    );
}
#[test]
fn jumps() {
    block(
        quote!(open(path) as file => { if file.is_empty() { break 'outer value; } continue; }),
        &expect![[r#"
        async fn function() {
            {
                let __return = async_with::expansion::Ty::new();
                #[allow(unreachable_code)]
                if false {
                    return __return.value();
                }
                let __value_type = async_with::expansion::Ty::new();
                if false {
                    __value_type.value()
                } else {
                    let __jump_type_0 = async_with::expansion::Ty::new();
                    if false {
                        break 'outer __jump_type_0.value();
                    }
                    let mut __jump_value_0 = async_with::expansion::None;
                    match {
                        let mut __scope = {
                            use async_with::expansion::open::*;
                            let __opener = async_with::expansion::Opener::new(open(path));
                            (&&&&__opener).__async_with_open().open(__opener)
                        };
                        let __raise = __scope.raises(0, &__return);
                        match async_with::expansion::Scope::enter(&mut __scope).await {
                            async_with::expansion::Ok(()) => {}
                            async_with::expansion::Err(__error) => {
                                #[allow(unreachable_code)] return __raise(__error);
                            }
                        }
                        let mut __value = async_with::expansion::None;
                        let __ended = async_with::expansion::Ended::new();
                        let __stopped = {
                            let (__lent, __parts, __interrupt) = async_with::expansion::Scope::lend(
                                &mut __scope,
                            );
                            let (__return, __value_type) = (
                                __return.twin(),
                                __value_type.twin(),
                            );
                            async_with::expansion::drive(
                                    __parts,
                                    __interrupt,
                                    &__ended,
                                    async {
                                        let __return = __return;
                                        #[allow(unreachable_code)]
                                        if false {
                                            return __return.value();
                                        }
                                        let __value_type = __value_type;
                                        let __lent = __lent;
                                        let file = __lent;
                                        '__async_with_jump_1: {
                                            __jump_value_0 = async_with::expansion::Some(
                                                __jump_type_0
                                                    .same('__async_with_jump_0: {
                                                        let __out = __value_type
                                                            .same(
                                                                if false {
                                                                    __value_type.value()
                                                                } else {
                                                                    if file.is_empty() {
                                                                        break '__async_with_jump_0 value;
                                                                    }
                                                                    break '__async_with_jump_1;
                                                                },
                                                            );
                                                        #[allow(unreachable_code)]
                                                        return async_with::expansion::finish(
                                                                &mut __value,
                                                                &__ended,
                                                                __out,
                                                            )
                                                            .await;
                                                    }),
                                            );
                                            return async_with::expansion::jump(&__ended, 0u32).await;
                                        }
                                        return async_with::expansion::jump(&__ended, 1u32).await;
                                    },
                                )
                                .await
                        };
                        let (__exit, __settled) = async_with::expansion::settle(
                            __scope,
                            __stopped,
                            __value,
                            &__ended,
                            async_with::expansion::tie(0, 0.0, 0),
                            async_with::expansion::tie(0, 0.0, 0),
                        );
                        (__exit, __settled, __raise)
                    } {
                        (__exit, __settled, __raise) => {
                            match async_with::expansion::conclude(__settled, __exit.await) {
                                async_with::expansion::Concluded::Value(__value) => __value,
                                async_with::expansion::Concluded::Left(__left) => {
                                    #[allow(unreachable_code)] return __left;
                                }
                                async_with::expansion::Concluded::Raised(__error) => {
                                    #[allow(unreachable_code)] return __raise(__error);
                                }
                                async_with::expansion::Concluded::Skipped(__skipped) => {
                                    async_with::expansion::skip(&__value_type, __skipped)
                                }
                                async_with::expansion::Concluded::Jump(__jump) => {
                                    match __jump {
                                        0u32 => {
                                            break 'outer async_with::expansion::payload(__jump_value_0);
                                        }
                                        1u32 => continue,
                                        _ => async_with::expansion::no_jump(),
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    "#]],
    );
}
#[test]
fn otherwise() {
    block(
        quote!(open(path) as file => { file.read().await? } else { 7 }),
        &expect![[r#"
        async fn function() {
            {
                let __return = async_with::expansion::Ty::new();
                #[allow(unreachable_code)]
                if false {
                    return __return.value();
                }
                let __value_type = async_with::expansion::Ty::new();
                if false {
                    __value_type.value()
                } else {
                    match match {
                        let mut __scope = {
                            use async_with::expansion::open::*;
                            let __opener = async_with::expansion::Opener::new(open(path));
                            (&&&&__opener).__async_with_open().open(__opener)
                        };
                        let __raise = __scope.raises(0, &__return);
                        match async_with::expansion::Scope::enter(&mut __scope).await {
                            async_with::expansion::Ok(()) => {}
                            async_with::expansion::Err(__error) => {
                                #[allow(unreachable_code)] return __raise(__error);
                            }
                        }
                        let mut __value = async_with::expansion::None;
                        let __ended = async_with::expansion::Ended::new();
                        let __stopped = {
                            let (__lent, __parts, __interrupt) = async_with::expansion::Scope::lend(
                                &mut __scope,
                            );
                            let (__return, __value_type) = (
                                __return.twin(),
                                __value_type.twin(),
                            );
                            async_with::expansion::drive(
                                    __parts,
                                    __interrupt,
                                    &__ended,
                                    async {
                                        let __return = __return;
                                        #[allow(unreachable_code)]
                                        if false {
                                            return __return.value();
                                        }
                                        let __value_type = __value_type;
                                        let __lent = __lent;
                                        let file = __lent;
                                        let __out = __value_type
                                            .same(
                                                if false {
                                                    __value_type.value()
                                                } else {
                                                    file.read().await?
                                                },
                                            );
                                        #[allow(unreachable_code)]
                                        async_with::expansion::finish(&mut __value, &__ended, __out)
                                            .await
                                    },
                                )
                                .await
                        };
                        let (__exit, __settled) = async_with::expansion::settle(
                            __scope,
                            __stopped,
                            __value,
                            &__ended,
                            async_with::expansion::tie(0, 0.0, 0),
                            async_with::expansion::tie(0, 0.0, 0),
                        );
                        (__exit, __settled, __raise)
                    } {
                        (__exit, __settled, __raise) => {
                            match async_with::expansion::conclude(__settled, __exit.await) {
                                async_with::expansion::Concluded::Value(__value) => {
                                    async_with::expansion::Some(__value)
                                }
                                async_with::expansion::Concluded::Left(__left) => {
                                    #[allow(unreachable_code)] return __left;
                                }
                                async_with::expansion::Concluded::Raised(__error) => {
                                    #[allow(unreachable_code)] return __raise(__error);
                                }
                                async_with::expansion::Concluded::Skipped(__skipped) => {
                                    let _ = __skipped;
                                    async_with::expansion::None
                                }
                                async_with::expansion::Concluded::Jump(__jump) => {
                                    match __jump {
                                        0u32 => async_with::expansion::None,
                                        _ => async_with::expansion::no_jump(),
                                    }
                                }
                            }
                        }
                    } {
                        async_with::expansion::Some(__value) => __value,
                        async_with::expansion::None => 7,
                    }
                }
            }
        }
    "#]],
    );
}
#[test]
fn with_items() {
    attribute(
        quote!(open(path) as file),
        quote! { async fn f(path: &Path, mut n: u8) -> io::Result<String> { n += 1; file.read(n).await } },
        &expect![[r#"
        async fn f(path: &Path, n: u8) -> io::Result<String> {
            ::async_with::async_with! {
                open(path) as file, { #[allow(unused_imports)] use ::async_with::async_with; let
                mut n = n; n += 1; file.read(n). await }
            }
        }
    "#]],
    );
}
#[test]
fn bare() {
    attribute(
        quote!(),
        quote! { async fn f(path: &Path, n: u8) -> io::Result<String> { let a = 2; #[with] let file = open(path); let t = #[with(lock() as l, begin())] { l.go() }; file.read(t).await } },
        &expect![[r#"
        async fn f(path: &Path, n: u8) -> io::Result<String> {
            #[allow(unused_imports)]
            use ::async_with::async_with;
            let a = 2;
            ::async_with::async_with! {
                open(path) as file, { let t = ::async_with::async_with! { lock() as l, begin(), {
                l.go() } }; file.read(t). await }
            }
        }
    "#]],
    );
}
