//! A crate of edition 2021: the edition of the one who writes the block does not matter. Nor is the expansion in the way
//! of one who wants to leave for the next edition.

#![deny(
    future_incompatible,
    boxed_slice_into_iter,
    deprecated_safe_2024,
    edition_2024_expr_fragment_specifier,
    if_let_rescope,
    impl_trait_overcaptures,
    never_type_fallback_flowing_into_unsafe,
    rust_2024_guarded_string_incompatible_syntax,
    rust_2024_incompatible_pat,
    rust_2024_prelude_collisions,
    tail_expr_drop_order
)]

#[cfg(test)]
#[path = "../../../it/hygiene.rs"]
mod hygiene;

use std::convert::Infallible;

use async_with::{AsyncContextManager, Cause};

/// A manager that lends the numbers it holds.
#[derive(Clone, Debug, Default)]
pub struct Numbers(pub Vec<u64>);

impl AsyncContextManager for Numbers {
    type Resource = Vec<u64>;
    type Error = Infallible;
    type Exit = ();

    async fn enter(&mut self) -> Result<Vec<u64>, Infallible> {
        Ok(std::mem::take(&mut self.0))
    }

    async fn exit(self, _: Vec<u64>, _: Cause) -> Result<(), Infallible> {
        Ok(())
    }
}

#[cfg(test)]
#[path = "../../../it/names.rs"]
mod names;

#[cfg(test)]
mod a_word_of_the_next_edition {
    use async_with::prelude::*;

    use super::Numbers;

    /// `gen` is a name here.
    #[tokio::test]
    async fn is_a_name() {
        let gen = Numbers(vec![1]);
        let sum = async_with! { gen as gen => { gen.iter().sum::<u64>() } };
        #[attr::async_with(Numbers(gen) as more)]
        async fn with_managers(gen: Vec<u64>) -> usize {
            more.len()
        }
        assert_eq!((sum, with_managers(vec![2, 3]).await), (1, 2));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::num::ParseIntError;

    use async_with::prelude::*;

    use super::Numbers;

    fn numbers() -> Numbers {
        Numbers(vec![1, 2, 3])
    }

    /// The block, with `?`.
    #[tokio::test]
    async fn the_block() {
        async fn parse(text: &str) -> Result<u64, ParseIntError> {
            let parsed = async_with! { numbers() as list, numbers() => {
                list.push(text.parse()?);
                list.iter().sum::<u64>()
            }};
            async_with!(numbers() as more, {
                more.push(parsed);
                Ok(more.len() as u64 + parsed)
            })
        }
        assert_eq!(parse("4").await, Ok(14));
        assert!(parse("four").await.is_err());
    }

    /// Jumps, with labels and values.
    #[tokio::test]
    async fn jumps() {
        let mut seen = Vec::new();
        let found = 'outer: loop {
            for number in 0..5 {
                async_with! { numbers() as list => {
                    if number == 1 {
                        continue;
                    }
                    if number == 3 {
                        break 'outer list.len();
                    }
                    seen.push(number);
                }}
            }
        };
        assert_eq!((found, seen), (3, vec![0, 2]));
    }

    /// Bodies that cannot end normally, whose type falls back to `()` in this edition and to `!` in the next.
    #[tokio::test]
    async fn diverging_bodies() {
        async fn leave(how: u8) -> Result<u64, ParseIntError> {
            let value = match how {
                0 => async_with! { numbers() => { return Ok(0) } },
                1 => async_with! { numbers() => { return "one".parse() } },
                _ => u64::from(how),
            };
            if how == 2 {
                async_with! { numbers(), numbers() => { return Ok(value); } };
            }
            for number in 0..3 {
                if number == how {
                    continue;
                }
                async_with! { numbers() => { break } };
            }
            async_with! { numbers() as list => { list.clear(); panic!("{value}") } }
        }
        assert_eq!(leave(0).await, Ok(0));
        assert!(leave(1).await.is_err());
        assert_eq!(leave(2).await, Ok(2));
        let panicked = tokio::spawn(leave(3)).await.expect_err("it panics");
        assert_eq!(
            panicked
                .into_panic()
                .downcast_ref::<String>()
                .map(String::as_str),
            Some("3")
        );
    }

    /// What the temporaries of a tail expression borrow.
    #[tokio::test]
    async fn temporaries_in_the_tail() {
        let cell = RefCell::new(numbers());
        let length = async_with! { cell.borrow().clone() as list => {
            cell.borrow_mut().0.append(list);
            cell.borrow().0.len()
        }};
        assert_eq!(length, 6);
        assert_eq!(cell.into_inner().0.len(), 6);
    }

    /// The attribute, with managers and bare.
    #[tokio::test]
    async fn the_attribute() {
        #[attr::async_with(Numbers(vec![start]) as list, numbers())]
        async fn with_managers(start: u64, mut more: Vec<u64>) -> usize {
            more.append(list);
            more.len()
        }
        #[attr::async_with]
        async fn bare(flag: bool) -> Option<u64> {
            #[with]
            let list = numbers();
            let last = #[with(numbers() as other)]
            {
                if flag {
                    return other.pop();
                }
                other.len() as u64
            };
            list.first().map(|first| first + last)
        }
        assert_eq!(with_managers(1, vec![2]).await, 2);
        assert_eq!((bare(true).await, bare(false).await), (Some(3), Some(4)));
    }

    /// In a task, where nothing is annotated.
    #[tokio::test]
    async fn a_spawned_block() {
        let task = tokio::spawn(async {
            async_with! { numbers() as list => { tokio::task::yield_now().await; list.len() } }
        });
        assert_eq!(task.await.expect("it does not panic"), 3);
    }
}
