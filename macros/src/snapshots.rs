//! What the macros expand to, to be read: one idea per test.
//!
//! A plain name stands for `$crate`. The expansion of the block is shown whole once; the other tests show how theirs
//! differs from that one. `UPDATE_EXPECT=1 cargo test -p async-with-macros` accepts what has changed.

// They are written by `expect-test`.
#![allow(clippy::needless_raw_string_hashes)]

use expect_test::{Expect, expect};
use proc_macro2::TokenStream;
use quote::quote;
use syn::punctuated::Punctuated;
use syn::visit_mut::{self, VisitMut};
use syn::{Expr, File, Macro, Stmt, Token, parse_quote};

/// The simplest block. Find what the user wrote: `open(path)`, `file`, and the two statements of the body.
///
/// Look at the order: the manager is opened, entered, lent to the body (an `async` block that returns what the function
/// returns), and exited; then the `match` at the end carries control on. `if false { .. }` tells rustc the types of the
/// function's return and of the block's value before it sees the body.
#[test]
fn one_item() {
    expect![[r#"
        async fn function() {
            {
                let __returns_5b3372 = async_with::expansion::Ty::new();
                #[allow(unreachable_code, clippy::diverging_sub_expression)]
                if false {
                    return async_with::expansion::Ty::value(&__returns_5b3372);
                }
                let __value_type_5b3372 = async_with::expansion::Ty::new();
                if false {
                    async_with::expansion::Ty::value(&__value_type_5b3372)
                } else {
                    match {
                        let mut __scope_5b3372 = {
                            use async_with::expansion::open::*;
                            let __opener_5b3372 = async_with::expansion::Opener::new(open(path));
                            (&&&&&__opener_5b3372).__async_with_open().open(__opener_5b3372)
                        };
                        let __raise_5b3372 = async_with::expansion::Scope::raises(&__scope_5b3372, 0, &(__returns_5b3372));
                        match async_with::expansion::EnterBy::enter(&mut __scope_5b3372, async_with::expansion::ScopedAsyncContextManager::enter).await {
                            async_with::expansion::Ok(()) => {}
                            async_with::expansion::Err(__error_5b3372) => {
                                #[allow(unreachable_code, clippy::diverging_sub_expression)]
                                return __raise_5b3372(__error_5b3372);
                            }
                        }
                        let mut __value_5b3372 = async_with::expansion::None;
                        let __ended_5b3372 = async_with::expansion::Ended::new();
                        let __stopped_5b3372 = {
                            let (__lent_5b3372, __parts_5b3372, __interrupt_5b3372) = async_with::expansion::LendBy::lend(&mut (__scope_5b3372), async_with::expansion::ScopedAsyncContextManager::interrupt);
                            let (__returns_5b3372, __value_type_5b3372) = (async_with::expansion::Ty::twin(&__returns_5b3372), async_with::expansion::Ty::twin(&__value_type_5b3372));
                            async_with::expansion::drive(__parts_5b3372, __interrupt_5b3372, &__ended_5b3372, async {
                                let __returns_5b3372 = __returns_5b3372;
                                #[allow(unreachable_code, clippy::diverging_sub_expression)]
                                if false {
                                    return async_with::expansion::Ty::value(&__returns_5b3372);
                                }
                                let __value_type_5b3372 = __value_type_5b3372;
                                let __lent_5b3372 = __lent_5b3372;
                                #[allow(clippy::no_effect_underscore_binding)]
                                let file = (__lent_5b3372);
                                let __end_5b3372 = async_with::expansion::finish(async_with::expansion::Ty::twin(&__value_type_5b3372), if false {
                                    async_with::expansion::Ty::value(&__value_type_5b3372)
                                } else {
                                    let text = file.read().await;
                                    text.len()
                                }, &mut __value_5b3372, &__ended_5b3372);
                                #[allow(unreachable_code, clippy::diverging_sub_expression)]
                                __end_5b3372.await
                            }).await
                        };
                        (async_with::expansion::ConcludeBy::conclude(async_with::expansion::settle((__scope_5b3372), (__stopped_5b3372), (__value_5b3372), (), &(__ended_5b3372), async_with::expansion::tie(0, 0.0, 0), async_with::expansion::tie(0, 0.0, 0)), async_with::expansion::ScopedAsyncContextManager::exit), __raise_5b3372)
                    } {
                        (__conclude_5b3372, __raise_5b3372) => {
                            match __conclude_5b3372.await {
                                async_with::expansion::Concluded::Value(__value_5b3372) => {
                                    __value_5b3372
                                }
                                async_with::expansion::Concluded::Left(__left_5b3372) => {
                                    #[allow(unreachable_code, clippy::diverging_sub_expression)]
                                    return __left_5b3372;
                                }
                                async_with::expansion::Concluded::Raised(__error_5b3372) => {
                                    #[allow(unreachable_code, clippy::diverging_sub_expression)]
                                    return __raise_5b3372(__error_5b3372);
                                }
                                async_with::expansion::Concluded::Skipped(__skipped_5b3372) => {
                                    async_with::expansion::skip(&(__value_type_5b3372), (__skipped_5b3372), async_with::expansion::no_jump)
                                }
                                async_with::expansion::Concluded::Jump(__jumped_5b3372, _) => {
                                    let _ = __jumped_5b3372;
                                    async_with::expansion::no_jump()
                                }
                            }
                        }
                    }
                }
            }
        }
    "#]].assert_eq(&block(&one()));
}

/// The second item's level takes the place of the first one's body, and is made in the same way (rule ORD-3).
///
/// Look at where `lock(file)` is opened: `file` is bound there, and may be used (rule ORD-1). Its pattern is missing, and
/// `_` stands for it.
#[test]
fn two_items() {
    let two = quote!(open(path) as file, lock(file) => {
        let text = file.read().await;
        text.len()
    });
    let expected = expect![[r#"
          ..
          let file = (__lent_5b3372);
        + let __end_5b3372 = async_with::expansion::finish(async_with::expansion::Ty::twin(&__value_type_5b3372), match {
        +     let mut __scope_5b3372 = {
        +         use async_with::expansion::open::*;
        +         let __opener_5b3372 = async_with::expansion::Opener::new(lock(file));
        +         (&&&&&__opener_5b3372).__async_with_open().open(__opener_5b3372)
        +     };
        +     let __raise_5b3372 = async_with::expansion::Scope::raises(&__scope_5b3372, 0, &(__returns_5b3372));
        +     match async_with::expansion::EnterBy::enter(&mut __scope_5b3372, async_with::expansion::ScopedAsyncContextManager::enter).await {
        +         async_with::expansion::Ok(()) => {}
        +         async_with::expansion::Err(__error_5b3372) => {
        +             #[allow(unreachable_code, clippy::diverging_sub_expression)]
        +             return __raise_5b3372(__error_5b3372);
        +         }
        +     }
        +     let mut __value_5b3372 = async_with::expansion::None;
        +     let __ended_5b3372 = async_with::expansion::Ended::new();
        +     let __stopped_5b3372 = {
        +         let (__lent_5b3372, __parts_5b3372, __interrupt_5b3372) = async_with::expansion::LendBy::lend(&mut (__scope_5b3372), async_with::expansion::ScopedAsyncContextManager::interrupt);
        +         let (__returns_5b3372, __value_type_5b3372) = (async_with::expansion::Ty::twin(&__returns_5b3372), async_with::expansion::Ty::twin(&__value_type_5b3372));
        +         async_with::expansion::drive(__parts_5b3372, __interrupt_5b3372, &__ended_5b3372, async {
        +             let __returns_5b3372 = __returns_5b3372;
        +             #[allow(unreachable_code, clippy::diverging_sub_expression)]
        +             if false {
        +                 return async_with::expansion::Ty::value(&__returns_5b3372);
        +             }
        +             let __value_type_5b3372 = __value_type_5b3372;
        +             let __lent_5b3372 = __lent_5b3372;
        +             let _ = __lent_5b3372;
                      let __end_5b3372 = async_with::expansion::finish(async_with::expansion::Ty::twin(&__value_type_5b3372), if false {
          ..
                          }).await
        +             };
        +             (async_with::expansion::ConcludeBy::conclude(async_with::expansion::settle((__scope_5b3372), (__stopped_5b3372), (__value_5b3372), (), &(__ended_5b3372), async_with::expansion::tie(0, 0.0, 0), async_with::expansion::tie(0, 0.0, 0)), async_with::expansion::ScopedAsyncContextManager::exit), __raise_5b3372)
        +         } {
        +             (__conclude_5b3372, __raise_5b3372) => {
        +                 match __conclude_5b3372.await {
        +                     async_with::expansion::Concluded::Value(__value_5b3372) => {
        +                         __value_5b3372
        +                     }
        +                     async_with::expansion::Concluded::Left(__left_5b3372) => {
        +                         #[allow(unreachable_code, clippy::diverging_sub_expression)]
        +                         return __left_5b3372;
        +                     }
        +                     async_with::expansion::Concluded::Raised(__error_5b3372) => {
        +                         #[allow(unreachable_code, clippy::diverging_sub_expression)]
        +                         return __raise_5b3372(__error_5b3372);
        +                     }
        +                     async_with::expansion::Concluded::Skipped(__skipped_5b3372) => {
        +                         async_with::expansion::skip(&(__value_type_5b3372), (__skipped_5b3372), async_with::expansion::no_jump)
        +                     }
        +                     async_with::expansion::Concluded::Jump(__jumped_5b3372, _) => {
        +                         let _ = __jumped_5b3372;
        +                         async_with::expansion::no_jump()
        +                     }
        +                 }
        +             }
        +         }, &mut __value_5b3372, &__ended_5b3372);
        +         __end_5b3372.await
        +     }).await
          };
          ..
    "#]];
    show_difference(&two, &expected);
}

/// A body with `?` and `return` is not touched: it stands in a function of its own, as it were, which returns the same.
#[test]
fn question_mark() {
    let body = quote!(open(path) as file => {
        if file.is_empty() {
            return Ok(0);
        }
        let text = file.read().await?;
        text.len()
    });
    let expected = expect![[r#"
          ..
          } else {
        -     let text = file.read().await;
        +     if file.is_empty() {
        +         return Ok(0);
        +     }
        +     let text = file.read().await?;
              text.len()
          ..
    "#]];
    show_difference(&body, &expected);
}

/// A jump that leaves the body ends it with a number, by way of a labeled block, and is made again after the exit.
///
/// Look at the last lines: there is the jump that the user wrote, in the function that the user wrote.
#[test]
fn jump() {
    let jump = quote!(open(path) as file => {
        let text = file.read().await;
        if text.is_empty() {
            continue;
        }
        text.len()
    });
    let expected = expect![[r#"
          ..
          let file = (__lent_5b3372);
        + '__async_with_jump_0: {
              let __end_5b3372 = async_with::expansion::finish(async_with::expansion::Ty::twin(&__value_type_5b3372), if false {
          ..
          let text = file.read().await;
        + if text.is_empty() {
        +     break '__async_with_jump_0;
        + }
          text.len()
          ..
                  #[allow(unreachable_code, clippy::diverging_sub_expression)]
        -     __end_5b3372.await
        +         return __end_5b3372.await;
        +     }
        +     #[allow(unreachable_code)]
        +     return async_with::expansion::jump(&__ended_5b3372, 0u32).await;
          }).await
          ..
          async_with::expansion::Concluded::Jump(__jumped_5b3372, _) => {
        -     let _ = __jumped_5b3372;
        -     async_with::expansion::no_jump()
        +     match __jumped_5b3372 {
        +         0u32 => {
        +             #[allow(clippy::needless_continue)] continue;
        +         }
        +         _ => async_with::expansion::no_jump(),
        +     }
          }
          ..
    "#]];
    show_difference(&jump, &expected);
}

/// The value of a jump is evaluated in the body (rule FLO-5), and waits in a variable of its own until the exit is over.
///
/// Look at the dead `break` in the beginning: from it rustc knows the value's type. `carried` takes the value to the exit,
/// with the question whether it is a failure (rule FLO-4).
#[test]
fn jump_with_value() {
    let jump = quote!(open(path) as file => {
        let text = file.read().await;
        for line in text.lines() {
            if line.is_empty() {
                break;
            }
            if line == "found" {
                break 'outer line.len();
            }
        }
        text.len()
    });
    let expected = expect![[r#"
          ..
          } else {
        +     let __jump_type_0_5b3372 = async_with::expansion::Ty::new();
        +     if false {
        +         break 'outer async_with::expansion::Ty::value(&__jump_type_0_5b3372);
        +     }
        +     let mut __jump_value_0_5b3372 = async_with::expansion::None;
              match {
          ..
          #[allow(clippy::no_effect_underscore_binding)]
        - let file = (__lent_5b3372);
        + let file = (__lent_5b3372); {
        +     __jump_value_0_5b3372 = async_with::expansion::Some(async_with::expansion::Ty::same(&__jump_type_0_5b3372, '__async_with_jump_0: {
                  let __end_5b3372 = async_with::expansion::finish(async_with::expansion::Ty::twin(&__value_type_5b3372), if false {
          ..
          let text = file.read().await;
        + for line in text.lines() {
        +     if line.is_empty() {
        +         break;
        +     }
        +     if line == "found" {
        +         break '__async_with_jump_0 line.len();
        +     }
        + }
          text.len()
          ..
                              #[allow(unreachable_code, clippy::diverging_sub_expression)]
        -             __end_5b3372.await
        +                     return __end_5b3372.await;
        +                 }));
        +             }
        +             #[allow(unreachable_code)]
        +             return async_with::expansion::jump(&__ended_5b3372, 0u32).await;
                  }).await
              };
        -     (async_with::expansion::ConcludeBy::conclude(async_with::expansion::settle((__scope_5b3372), (__stopped_5b3372), (__value_5b3372), (), &(__ended_5b3372), async_with::expansion::tie(0, 0.0, 0), async_with::expansion::tie(0, 0.0, 0)), async_with::expansion::ScopedAsyncContextManager::exit), __raise_5b3372)
        +     (async_with::expansion::ConcludeBy::conclude(async_with::expansion::settle((__scope_5b3372), (__stopped_5b3372), (__value_5b3372), async_with::expansion::carried(async_with::expansion::take(&mut __jump_value_0_5b3372), (), async_with::expansion::tie(0, 0.0, 0)), &(__ended_5b3372), async_with::expansion::tie(0, 0.0, 0), async_with::expansion::tie(0, 0.0, 0)), async_with::expansion::ScopedAsyncContextManager::exit), __raise_5b3372)
          } {
          ..
          }
        - async_with::expansion::Concluded::Jump(__jumped_5b3372, _) => {
        -     let _ = __jumped_5b3372;
        -     async_with::expansion::no_jump()
        + async_with::expansion::Concluded::Jump(__jumped_5b3372, __carried_5b3372) => {
        +     __jump_value_0_5b3372 = __carried_5b3372.value;
        +     match __jumped_5b3372 {
        +         0u32 => {
        +             break 'outer async_with::expansion::payload(__jump_value_0_5b3372);
        +         }
        +         _ => async_with::expansion::no_jump(),
        +     }
          }
          ..
    "#]];
    show_difference(&jump, &expected);
}

/// With `else`, the block's value is an `Option` first, which is `None` when a failure was suppressed (rule SYN-5).
#[test]
fn otherwise() {
    let otherwise = quote!(open(path) as file => {
        let text = file.read().await;
        text.len()
    } else {
        0
    });
    let expected = expect![[r#"
          ..
          } else {
        -     match {
        +     let __skip_0_5b3372 = async_with::expansion::Ty::new();
        +     async_with::expansion::else_runs(&(&__skip_0_5b3372, ()), (0, ()));
        +     match match {
                  let mut __scope_5b3372 = {
          ..
          async_with::expansion::Concluded::Value(__value_5b3372) => {
        -     __value_5b3372
        +     async_with::expansion::Some(__value_5b3372)
          }
          ..
          async_with::expansion::Concluded::Skipped(__skipped_5b3372) => {
        -     async_with::expansion::skip(&(__value_type_5b3372), (__skipped_5b3372), async_with::expansion::no_jump)
        +     async_with::expansion::Ty::is(&__skip_0_5b3372, &__skipped_5b3372);
        +     async_with::expansion::None
          }
          async_with::expansion::Concluded::Jump(__jumped_5b3372, _) => {
        -     let _ = __jumped_5b3372;
        -     async_with::expansion::no_jump()
        +     match __jumped_5b3372 {
        +         0u32 => async_with::expansion::None,
        +         _ => async_with::expansion::no_jump(),
        +     }
          }
          ..
              }
        + } {
        +     async_with::expansion::Some(__value_5b3372) => __value_5b3372,
        +     async_with::expansion::None => 0,
          }
          ..
    "#]];
    show_difference(&otherwise, &expected);
}

/// Between levels, `else` has a number as jumps have: the inner block passes both on, and the outer one carries them out.
#[test]
fn otherwise_and_jump() {
    let otherwise = quote!(lock(), open(path) as file => {
        if file.is_empty() {
            break;
        }
        file.read().await
    } else {
        String::new()
    });
    let arms =
        |line: &&str| line.contains("__jump") || line.contains("u32") || line.contains("Skipped");
    let expansion = block(&otherwise);
    let lines: Vec<&str> = expansion.lines().map(str::trim).filter(arms).collect();
    expect![[r#"
        return async_with::expansion::jump(&__ended_b55174, 0u32).await;
        async_with::expansion::Concluded::Skipped(__skipped_b55174) => {
        return async_with::expansion::jump(&__ended_b55174, 1u32).await;
        async_with::expansion::Concluded::Jump(__jumped_b55174, _) => {
        return async_with::expansion::jump(&__ended_b55174, __jumped_b55174).await;
        async_with::expansion::Concluded::Skipped(__skipped_b55174) => {
        async_with::expansion::Concluded::Jump(__jumped_b55174, _) => {
        match __jumped_b55174 {
        0u32 => break,
        1u32 => async_with::expansion::None,"#]]
    .assert_eq(&lines.join("\n"));
}

/// A body of type `!` has no value that could be left, which rustc would warn of: it is seen from the `loop`.
#[test]
fn endless() {
    let endless = quote!(open(path) as file => {
        loop {
            file.read().await?;
        }
    });
    show_difference(
        &endless,
        &expect![[r#"
              ..
              let file = (__lent_5b3372);
            + #[allow(unreachable_code)]
              let __end_5b3372 = async_with::expansion::finish(async_with::expansion::Ty::twin(&__value_type_5b3372), if false {
              ..
              } else {
            -     let text = file.read().await;
            -     text.len()
            +     loop {
            +         file.read().await?;
            +     }
              }, &mut __value_5b3372, &__ended_5b3372);
              ..
        "#]],
    );
}

/// The attribute makes the whole body a block.
///
/// Look at the parameters: `path`, which the item mentions, is borrowed by the body, the others are moved into it
/// (rule TYP-1).
#[test]
fn attribute_with_items() {
    let arguments = quote!(open(path) as file);
    let function = quote! {
        pub async fn append(&self, path: &Path, mut text: String, (line, _): (u8, u8)) -> io::Result<usize> {
            text.push('\n');
            file.write(path, line, text).await
        }
    };
    expect![[r#"
        pub async fn append(&self, path: &Path, text: String, (line, _): (u8, u8)) -> io::Result<usize> {
            ::async_with::async_with!(open(path) as file, {
                #[allow(unused_imports)]
                use ::async_with::block::*;
                let mut text = text;
                let line = line;
                text.push('\n');
                file.write(path, line, text).await
            })
        }
    "#]].assert_eq(&attribute(arguments, function));
}

/// Bare, the attribute only turns on the forms inside: after `#[with] let`, the rest is the body of a block.
#[test]
fn with_let() {
    let function = quote! {
        async fn copy(from: &Path) -> io::Result<usize> {
            let to = from.with_extension("copy");
            #[with]
            let source = open(from);
            let text = source.read().await?;
            #[with]
            let target = create(to);
            target.write(text).await
        }
    };
    expect![[r#"
        async fn copy(from: &Path) -> io::Result<usize> {
            #[allow(unused_imports)]
            use ::async_with::block::*;
            let to = from.with_extension("copy");
            ::async_with::async_with!(open(from) as source, {
                let text = source.read().await?;
                ::async_with::async_with!(create(to) as target, { target.write(text).await })
            })
        }
    "#]]
    .assert_eq(&attribute(TokenStream::new(), function));
}

/// A block with `#[with(..)]` is that block, wherever it stands.
#[test]
fn with_block() {
    let function = quote! {
        async fn copy(from: &Path) -> io::Result<usize> {
            let text = #[with(open(from) as source)]
            {
                source.read().await?
            };
            #[with(create(from) as target, lock())]
            {
                target.write(text).await
            }
        }
    };
    expect![[r#"
        async fn copy(from: &Path) -> io::Result<usize> {
            #[allow(unused_imports)]
            use ::async_with::block::*;
            let text = ::async_with::async_with!(open(from) as source, { source.read().await? });
            ::async_with::async_with!(create(from) as target, lock(), { target.write(text).await })
        }
    "#]]
    .assert_eq(&attribute(TokenStream::new(), function));
}

/// The associated types of a manager: those that the signatures write out, and those that an alias hides.
#[test]
fn class_style_manager() {
    let item = parse_quote! {
        impl AsyncContextManager for Lease {
            async fn enter(&mut self) -> io::Result<Connection> {
                self.pool.get().await
            }

            async fn exit(self, connection: Connection, cause: Cause) -> io::Result<()> {
                connection.close().await
            }
        }
    };
    let expansion = crate::sugar::expand(TokenStream::new(), item);
    let expansion = expansion.to_string().replace(":: async_with", "async_with");
    expect![[r#"
        impl AsyncContextManager for Lease {
            async fn enter(&mut self) -> io::Result<Connection> {
                self.pool.get().await
            }
            async fn exit(self, connection: Connection, cause: Cause) -> io::Result<()> {
                connection.close().await
            }
            type Resource = Connection;
            type Error = <io::Result<Connection> as async_with::expansion::ResultParts>::Error;
            type Exit = <io::Result<()> as async_with::expansion::ResultParts>::Value;
        }
    "#]]
    .assert_eq(&pretty(&syn::parse_str(&expansion).expect("it is Rust")));
}

/// A function that yields is a manager: the code in front of the yield enters, the code behind it exits.
///
/// Look at `path`: it is in the future from the beginning, as it would be in an async function.
#[test]
fn generator() {
    let function = parse_quote! {
        async fn open(mut path: PathBuf) -> io::Result<File> {
            path.set_extension("txt");
            let mut file = File::open(path).await?;
            let cause = yield_!(&mut file);
            if cause.is_clean() {
                return file.sync_all().await;
            }
            file.close().await
        }
    };
    let expansion = crate::generator::expand(TokenStream::new(), function);
    let expansion = crate::soup::inside(expansion).to_string();
    let expansion = expansion.replace(":: async_with ::", "async_with ::");
    expect![[r#"
        fn open(path: PathBuf) -> async_with::expansion::Generated<
        <io::Result<File> as async_with::expansion::ResultParts>::Value,
        <io::Result<File> as async_with::expansion::ResultParts>::Error,
        (),
        > {
            let __async_with_types_8a80c9 = async_with::expansion::Ty::<
            (<io::Result<File> as async_with::expansion::ResultParts>::Value, <io::Result<File> as async_with::expansion::ResultParts>::Error),
            >::new();
            let __async_with_body_8a80c9 = async_with::expansion::body(&__async_with_types_8a80c9, move |__async_with_yielder_8a80c9| async move {
                let __async_with_return_8a80c9 = async_with::expansion::Ty::<
                async_with::expansion::Result<
                (),
                <io::Result<File> as async_with::expansion::ResultParts>::Error,
                >,
                >::new();
                if false {
                    return async_with::expansion::Ty::value(&__async_with_return_8a80c9);
                }
                #[allow(clippy::no_effect_underscore_binding, clippy::used_underscore_binding)]
                #[allow(unused_variables, unused_mut)]
                let mut path = path;
                #[allow(unreachable_code, clippy::diverging_sub_expression, clippy::let_unit_value)] {
                    let __async_with_tail_8a80c9 = '__async_with_place_0: {
                        path.set_extension("txt");
                        let mut file = File::open(path).await?;
                        let cause = {
                            #[allow(unused_imports)]
                            use async_with::yield_ as _;
                            async_with::expansion::Permit::give(unsafe {
                                if false {
                                    break '__async_with_place_0 async_with::expansion::no_jump();
                                }
                                async_with::expansion::Yielder::permit(&__async_with_yielder_8a80c9)
                            }, &mut file).await
                        };
                        if cause.is_clean() {
                            return async_with::expansion::ended(0, &__async_with_return_8a80c9, file.sync_all().await);
                        }
                        file.close().await
                    };
                    async_with::expansion::ended(0, &__async_with_return_8a80c9, __async_with_tail_8a80c9)
                }
            });
            unsafe { async_with::expansion::surviving(__async_with_body_8a80c9) }
        }
    "#]].assert_eq(&pretty(&syn::parse_str(&expansion).expect("it is Rust")));
}

fn one() -> TokenStream {
    quote!(open(path) as file => {
        let text = file.read().await;
        text.len()
    })
}

/// The expansion of a block, in a function.
fn block(input: &TokenStream) -> String {
    let expansion = crate::expand::block(quote!(async_with #input));
    pretty(&parse_quote!(async fn function() { #expansion }))
}

/// The expansion of the attribute. It writes `async_with! { .. }`, which is shown with parentheses to be formatted.
fn attribute(arguments: TokenStream, item: TokenStream) -> String {
    struct Calls;
    impl Calls {
        fn call(invocation: &Macro) -> Option<Expr> {
            let parse = Punctuated::<Expr, Token![,]>::parse_terminated;
            let arguments = invocation.parse_body_with(parse).ok()?;
            let path = &invocation.path;
            Some(parse_quote!(#path(#arguments)))
        }
    }
    impl VisitMut for Calls {
        fn visit_expr_mut(&mut self, expr: &mut Expr) {
            if let Expr::Macro(invocation) = expr
                && let Some(call) = Self::call(&invocation.mac)
            {
                *expr = call;
            }
            visit_mut::visit_expr_mut(self, expr);
        }

        fn visit_stmt_mut(&mut self, statement: &mut Stmt) {
            if let Stmt::Macro(invocation) = statement
                && let Some(call) = Self::call(&invocation.mac)
            {
                *statement = Stmt::Expr(call, invocation.semi_token.take());
            }
            visit_mut::visit_stmt_mut(self, statement);
        }
    }
    let expansion = crate::attribute::expand(arguments, item);
    let mut file: File = parse_quote!(#expansion);
    Calls.visit_file_mut(&mut file);
    pretty(&file).replace("::async_with::async_with(", "::async_with::async_with!(")
}

/// Formats a file. A line ends only where a statement or a block does, however deep it stands, so that expansions can be
/// compared by the line.
fn pretty(file: &File) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut open = Vec::new();
    for wrapped in prettyplease::unparse(file).lines() {
        let line = wrapped.trim();
        let closes = line.starts_with([')', ']']);
        let in_braces = open.last().is_none_or(|delimiter| *delimiter == '{');
        match lines.last_mut() {
            Some(last)
                if !in_braces || line.starts_with('.') || line == "{" && !last.ends_with('{') =>
            {
                if closes && last.ends_with(',') {
                    last.pop();
                }
                if !closes && !line.starts_with('.') && !last.ends_with(['(', '[']) {
                    last.push(' ');
                }
                last.push_str(line);
            }
            _ => {
                let braces = open.iter().filter(|delimiter| **delimiter == '{').count();
                let depth = braces - usize::from(line.starts_with('}'));
                lines.push("    ".repeat(depth) + line);
            }
        }
        for delimiter in line.chars() {
            match delimiter {
                '(' | '[' | '{' => open.push(delimiter),
                ')' | ']' | '}' => drop(open.pop()),
                _ => {}
            }
        }
    }
    lines.join("\n") + "\n"
}

/// Compares what is new in the expansion of a block, next to that of [`one_item`].
fn show_difference(input: &TokenStream, expected: &Expect) {
    expected.assert_eq(&difference(&block(&one()), &block(input)));
}

/// The lines that go (`-`) and come (`+`), with one line around them. Lines that are only indented stay.
fn difference(before: &str, after: &str) -> String {
    let before: Vec<&str> = before.lines().collect();
    let after: Vec<&str> = after.lines().collect();
    let same = |i: usize, j: usize| {
        let (old, new): (&str, &str) = (before[i], after[j]);
        // One closing brace is like another, unless it stands elsewhere.
        let is_brace = !old.contains(char::is_alphabetic);
        old == new || !is_brace && old.trim() == new.trim()
    };
    // How many lines the rests of both have in common.
    let mut common = vec![vec![0; after.len() + 1]; before.len() + 1];
    for i in (0..before.len()).rev() {
        for j in (0..after.len()).rev() {
            common[i][j] = if same(i, j) {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut lines = Vec::new();
    while i < before.len() || j < after.len() {
        if i < before.len() && j < after.len() && same(i, j) {
            lines.push((' ', after[j]));
            (i, j) = (i + 1, j + 1);
        } else if j == after.len() || i < before.len() && common[i + 1][j] >= common[i][j + 1] {
            lines.push(('-', before[i]));
            i += 1;
        } else {
            lines.push(('+', after[j]));
            j += 1;
        }
    }
    let unchanged = |at: usize| {
        let around = &lines[at.saturating_sub(1)..lines.len().min(at + 2)];
        around.iter().all(|(sign, _)| *sign == ' ')
    };
    let mut text = String::new();
    let mut at = 0;
    while at < lines.len() {
        let from = at;
        at = (at..lines.len())
            .find(|at| unchanged(*at) != unchanged(from))
            .unwrap_or(lines.len());
        if unchanged(from) {
            text.push_str("  ..\n");
            continue;
        }
        let indentation = |line: &str| line.len() - line.trim_start().len();
        let part = &lines[from..at];
        let least = part
            .iter()
            .map(|(_, line)| indentation(line))
            .min()
            .unwrap_or(0);
        text.extend(
            part.iter()
                .map(|(sign, line)| format!("{sign} {}\n", &line[least..])),
        );
    }
    text
}
