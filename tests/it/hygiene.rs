//! SYN-9, FLO-3: names, labels and macros of the user's that look like those of the expansion, or like each other. In
//! each edition: the packages of older ones have this file as a module too.

// That they look alike is the point.
#![allow(
    clippy::needless_continue,
    clippy::never_loop,
    clippy::non_minimal_cfg,
    unused_labels
)]

use std::convert::Infallible;
use std::fmt::Write as _;

use async_with::{async_context_manager, async_with, nullcontext, suppress};

mod methods {
    use super::*;

    /// Has the names of methods of the library's, and takes any value.
    trait Any: Sized {
        fn give<A>(self, _: A) -> u8 {
            1
        }
        fn until<A>(self, _: A) -> Self {
            self
        }
        fn permit(self) -> u8 {
            2
        }
        fn enter(&mut self) -> u8 {
            3
        }
        fn lend(&mut self) -> u8 {
            4
        }
    }

    impl<T> Any for T {}

    #[async_context_manager]
    async fn lent(number: u8) -> Result<u8, Infallible> {
        let mut number = number + 0u8.give(()) + 0u8.until(()).permit();
        let _cause = yield_!(&mut number, interrupt = std::future::pending());
        Ok(())
    }

    /// Methods of the user's are found where the user calls them, and nowhere else.
    #[tokio::test]
    async fn any_value_has_them() {
        let sum =
            async_with! { lent(10) as number => { *number + number.lend() + number.enter() } };
        assert_eq!(sum, 20);
    }
}

mod parameters {
    use super::*;

    #[async_context_manager]
    async fn one_of(
        #[cfg(any())] gone: u8,
        #[cfg(all())] here: u8,
        #[cfg(all())] (first, _): (u8, u8),
    ) -> Result<u8, Infallible> {
        let (_number, _cause) = yield_!(here + first);
        Ok(())
    }

    /// GEN-4: a parameter is there under its `cfg` only.
    #[tokio::test]
    async fn under_a_condition() {
        let sum = async_with! { one_of(1, (2, 3)) as number => { *number } };
        assert_eq!(sum, 3);
    }

    #[async_context_manager]
    async fn below_attributes(early: bool) -> Result<u8, Infallible> {
        #[cfg(all())]
        yield_!(&mut 1);
        if early {
            return;
        }
        Ok(())
    }

    /// GEN-2: attributes above the yield are kept.
    #[tokio::test]
    async fn below_a_condition() {
        for &early in &[true, false] {
            let sum = async_with! { below_attributes(early) as number => { *number } };
            assert_eq!(sum, 1);
        }
    }

    #[async_context_manager]
    async fn returns(fail: u8) -> Result<u8, std::fmt::Error> {
        async_with! { suppress::<std::fmt::Error>() => {} else { return Err(std::fmt::Error) } };
        yield_!(match fail {
            0 => 1,
            _ => return Err(std::fmt::Error),
        });
    }

    /// GEN-2: a `return` in what is yielded, and one behind `else`, are the manager's.
    #[tokio::test]
    async fn a_return_in_the_resource() {
        let run = |fail| async move {
            async_with! { returns(fail) as number => { Ok(*number) } }
        };
        assert_eq!(run(0).await, Ok(1));
        assert_eq!(run(1).await, Err(std::fmt::Error));
    }
}

mod items {
    use super::*;

    #[async_context_manager]
    async fn lent(first: bool) -> Result<u8, Infallible> {
        async_with! { if first { nullcontext(1) } else { nullcontext(2) } as number => {
            yield_!(number);
        }}
    }

    /// SYN-2: an `else`, braces and commas of an item's own.
    #[tokio::test]
    async fn have_braces_and_branches() {
        let first =
            async_with! { if true { nullcontext(1) } else { nullcontext(2) } as n => { *n } };
        let second =
            async_with! { match 2 { 1 => nullcontext(1), _ => { nullcontext(2) } } as n => { *n } };
        let third = async_with! { { nullcontext(3) } as n, { nullcontext(*n) } as m => { *m } };
        let fourth = async_with! { lent(true) as n, lent(false) as m => { *n + *m + 1 } };
        assert_eq!([first, second, third, fourth], [1, 2, 3, 4]);
    }
}

mod labels {
    use super::*;

    /// A loop of the macro's around a jump of the caller's, both with the same label.
    macro_rules! once {
        ($jump:block) => {
            'a: loop {
                $jump
                #[allow(unreachable_code)]
                {
                    break 'a;
                }
            }
        };
    }

    /// The same in a block.
    macro_rules! once_with {
        ($jump:block) => {
            async_with! { nullcontext(()) => {
                'a: loop {
                    $jump
                    #[allow(unreachable_code)]
                    {
                        break 'a;
                    }
                }
            }}
        };
    }

    /// FLO-1: a label is that of the macro in which it was written.
    #[tokio::test]
    async fn of_a_macro_are_not_those_of_the_caller() {
        let mut rounds = Vec::new();
        'a: for round in 0..6 {
            async_with! { nullcontext(()) => {
                once!({
                    if round == 1 {
                        continue 'a;
                    }
                    if round == 4 {
                        break 'a;
                    }
                });
            }}
            once_with!({
                if round == 2 {
                    continue 'a;
                }
            });
            rounds.push(round);
        }
        assert_eq!(rounds, [0, 3]);
    }

    /// FLO-1: also with values, and as a macro's parameter.
    #[tokio::test]
    async fn with_values() {
        macro_rules! named {
            ($label:lifetime, $jump:block) => {
                $label: loop {
                    $jump
                }
            };
        }
        let caller = 'a: loop {
            once_with!({ break 'a String::from("caller") });
        };
        let macro_s: u8 = async_with! { nullcontext(()) => { named!('a, { break 'a 1 }) } };
        let own: u8 = async_with! { nullcontext(()) => { 'a: loop { break 'a 2 } } };
        let outer = 'a: loop {
            let inner: u8 = async_with! { nullcontext(()) => { 'a: loop { break 'a 3 } } };
            async_with! { nullcontext(()) => { break 'a inner + 1 } }
        };
        assert_eq!((caller.as_str(), macro_s, own, outer), ("caller", 1, 2, 4));
    }

    /// Two macros, each with a jump to a loop of its own around the other's.
    macro_rules! outer_loop {
        ($body:block) => {
            'a: loop {
                inner_loop!({ break 'a }, $body);
            }
        };
    }

    macro_rules! inner_loop {
        ($jump:block, $body:block) => {
            'a: loop {
                async_with! { nullcontext(()) => {
                    if $body {
                        $jump
                    }
                    break 'a;
                }}
            }
        };
    }

    /// FLO-1: two labels with one name are two targets.
    #[tokio::test]
    async fn two_with_one_name() {
        let mut rounds = 0;
        outer_loop!({
            rounds += 1;
            rounds == 3
        });
        assert_eq!(rounds, 3);
    }
}

mod conditions {
    use super::*;

    /// FLO-1: what is not there does not jump; what is, does.
    #[tokio::test]
    async fn of_jumps() {
        let value = async_with! { nullcontext(1) as number => {
            #[cfg(any())]
            {
                break;
            }
            #[cfg(any())]
            break 'nowhere 1;
            match *number {
                #[cfg(any())]
                2 => continue 'nowhere,
                _ => 3,
            }
        }};
        let mut rounds = 0;
        let found = 'found: loop {
            rounds += 1;
            async_with! { nullcontext(()) => {
                #[cfg(all())]
                if rounds < 3 {
                    continue;
                }
                #[cfg(any())]
                break;
                #[cfg(all())]
                break 'found rounds;
            }}
        };
        assert_eq!((value, found), (3, 3));
    }
}

mod macros {
    use super::*;

    /// Macros that make a loop of their arguments, under names of others.
    mod looping {
        macro_rules! each {
            ($item:ident, $body:block) => {
                for $item in 0..2 {
                    let _ = $item;
                    $body
                }
            };
        }
        pub(crate) use each as write;
        pub(crate) use each as vec;
    }

    /// FLO-3: a macro is not known by the last part of its path.
    #[tokio::test]
    async fn with_a_path_of_the_users() {
        let mut after = 0;
        for _ in 0..3 {
            async_with! { nullcontext(()) => {
                looping::write!(item, { break });
                looping::vec!(item, { continue });
                after += 1;
            }}
        }
        assert_eq!(after, 3);
    }

    macro_rules! format {
        ($($value:tt)*) => {
            $($value)*
        };
    }

    /// FLO-3: one of the user's that makes no loop is as good as the one that it has the name of.
    #[tokio::test]
    async fn of_the_users_with_a_known_name() {
        let mut after = 0;
        let value = loop {
            async_with! { nullcontext(()) => {
                if format!(if after < 2 { true } else { break after }) {
                    after += 1;
                }
            }}
        };
        assert_eq!(value, 2);
    }

    /// FLO-3: every macro that is known.
    #[tokio::test]
    #[allow(clippy::diverging_sub_expression, unreachable_code, unused_must_use)]
    async fn that_are_known() {
        async fn after(number: u8) -> u8 {
            let mut text = String::new();
            for round in 0..30 {
                async_with! { nullcontext(()) => {
                    if round < number {
                        continue;
                    }
                    match number {
                        0 => assert!(if round == 0 { break } else { true }),
                        1 => assert_eq!(1, if round == 1 { break } else { 1 }),
                        2 => assert_ne!(1, if round == 2 { break } else { 2 }),
                        3 => debug_assert!(if round == 3 { break } else { true }),
                        4 => debug_assert_eq!(1, if round == 4 { break } else { 1 }),
                        5 => debug_assert_ne!(1, if round == 5 { break } else { 2 }),
                        6 => dbg!(break),
                        7 => eprint!("{}", if round == 7 { break } else { 1 }),
                        8 => eprintln!("{}", if round == 8 { break } else { 1 }),
                        9 => text = std::format!("{}", if round == 9 { break } else { 1 }),
                        10 => text = std::fmt::format(format_args!("{}", if round == 10 { break } else { 1 })),
                        11 => text.push(if matches!(if round == 11 { break } else { 1 }, 1) { 'a' } else { 'b' }),
                        12 => panic!("{}", if round == 12 { break } else { 1 }),
                        13 => print!("{}", if round == 13 { break } else { 1 }),
                        14 => println!("{}", if round == 14 { break } else { 1 }),
                        15 => todo!("{}", if round == 15 { break } else { 1 }),
                        16 => unimplemented!("{}", if round == 16 { break } else { 1 }),
                        17 => unreachable!("{}", if round == 17 { break } else { 1 }),
                        18 => drop(vec![if round == 18 { break } else { 1 }]),
                        19 => drop(write!(text, "{}", if round == 19 { break } else { 1 })),
                        20 => drop(core::writeln!(text, "{}", if round == 20 { break } else { 1 })),
                        21 => async_with!{ nullcontext(()) => { if round == 21 { break } } },
                        _ => tokio::select! { () = std::future::ready(()) => if round > 21 { break } },
                    }
                }}
                return 99;
            }
            u8::from(!text.is_empty())
        }
        for number in 0..23 {
            assert_eq!(after(number).await, 0, "{number}");
        }
    }
}

mod ends {
    use super::*;

    /// FLO-1: behind a body that ends with a jump there is nothing, with a semicolon or without.
    #[tokio::test]
    async fn that_are_not_reached() {
        async fn returns(first: bool) -> u8 {
            if first {
                async_with! { nullcontext(()) => { return 1u8; } };
            } else {
                async_with! { nullcontext(()), nullcontext(()) => {
                    {}
                    return 2u8
                }};
            }
        }
        async fn continues(numbers: &[Option<u8>]) -> u8 {
            for number in numbers {
                #[allow(clippy::manual_let_else)] // The block at the end of a branch.
                let number = if let Some(number) = number {
                    number
                } else {
                    async_with! { nullcontext(()) => { continue; } };
                };
                return *number;
            }
            async_with! { nullcontext(()) => { return 0 } }
        }
        assert_eq!([returns(true).await, returns(false).await], [1, 2]);
        assert_eq!(continues(&[None, Some(3)]).await, 3);
        assert_eq!(continues(&[None]).await, 0);
    }

    /// SUP-2, FLO-1: unless one of the exits suppresses.
    #[tokio::test]
    async fn that_are_reached_after_a_suppression() {
        async fn outside() -> Result<u8, std::fmt::Error> {
            async_with! { suppress::<std::fmt::Error>(), nullcontext(()) => {
                return Err(std::fmt::Error);
            }};
            Ok(1)
        }
        async fn inside() -> Result<u8, std::fmt::Error> {
            async_with! { nullcontext(()), suppress::<std::fmt::Error>() => {
                return Err(std::fmt::Error);
            }}
            Ok(2)
        }
        assert_eq!((outside().await, inside().await), (Ok(1), Ok(2)));
    }
}
