//! What is compiled for its lints also does what it says.

use std::sync::Mutex;
use std::task::{Context, Waker};

use tokio::sync;

use crate::attribute::Service;
use crate::managers::{Counter, Fallible, Open, Problem};
use crate::{attribute, bare, block, fragments, generators, jumps, tasks};

#[tokio::test]
async fn blocks_have_their_values() {
    let mut sum = 0;
    block::unit_tail(&mut sum).await;
    let mut sums = vec![sum];
    block::unit_tail_value(&mut sums).await;
    assert_eq!(sums, [2, 2]);
    assert_eq!(block::statement().await, 2 + 3 + 4 + 5);
    assert_eq!(block::tail().await, 2);
    assert_eq!(block::in_let().await, 9);
    assert_eq!(block::in_expressions(true).await, Some(8));
    assert_eq!(block::in_expressions(false).await, Some(2));
    assert_eq!(block::several_items().await, Ok(15 + 2));
    assert_eq!(block::unused_resources().await, 6);
    assert_eq!(block::parenthesized_items().await, 18);
    assert_eq!(block::expressions_as_items(1, 'a', true).await, 212);
    assert_eq!(block::nested().await, Ok(6));
    assert_eq!(block::generic(Fallible).await, Ok(0));
    assert_eq!(block::locals(String::new(), vec![1]).await, 4);
    assert_eq!(block::locks(&Mutex::default()).await, 6);
    assert_eq!(block::guards(&sync::Mutex::new(1)).await, 4);
}

#[tokio::test]
async fn blocks_are_left() {
    assert_eq!(block::question_marks(None).await, Err(Problem));
    assert_eq!(block::question_marks(Some(Open(1))).await, Ok(1));
    assert_eq!(block::returns(true).await, 2);
    assert_eq!(block::returns(false).await, 2);
    assert_eq!(block::loops().await, 11);
    assert_eq!(block::otherwise().await, Ok(3));
}

#[tokio::test]
async fn bodies_diverge() {
    let expected = [Some(1), Some(1), Some(2), Some(3), None, Some(6)];
    for (number, expected) in (0..).zip(expected) {
        let value = tokio::spawn(block::diverges_for_nothing(number)).await;
        assert_eq!(value.ok(), expected, "{number}");
    }
    assert!(tokio::spawn(block::diverges(true)).await.is_err());
    assert!(tokio::spawn(block::diverges(false)).await.is_err());
    assert!(tokio::spawn(attribute::never_panics()).await.is_err());
}

#[test]
fn functions_that_never_return_do_not() {
    fn is_endless<F: Future>(future: F) -> bool {
        let mut future = Box::pin(future);
        let mut context = Context::from_waker(Waker::noop());
        (0..100).all(|_| future.as_mut().poll(&mut context).is_pending())
    }
    // They suspend in `yield_now`, which outside of a runtime only wakes.
    assert!(is_endless(block::never()));
    assert!(is_endless(block::never_in_a_loop()));
    assert!(is_endless(attribute::never()));
    assert!(is_endless(attribute::never_calls()));
}

#[tokio::test]
async fn jumps_arrive() {
    assert_eq!(jumps::unlabeled(9).await, 283);
    assert_eq!(jumps::labeled(9).await, 3 + 2);
    assert_eq!(jumps::last().await, 2);
    assert_eq!(jumps::only(9).await, 9);
    assert_eq!(jumps::through_blocks().await, Ok(3));
    assert_eq!(jumps::in_macros(&[1, 2, 3, 4]).await, 4);
    assert_eq!(jumps::inside().await, 5);
}

#[tokio::test]
async fn attributed_functions_have_their_values() {
    assert_eq!(attribute::value().await, 2);
    attribute::unit().await;
    attribute::empty().await;
    attribute::suppresses(true).await;
    attribute::suppresses(false).await;
    let parameters = attribute::parameters(1, vec![1], (2, 3), Counter::default(), 4, "", 0);
    assert_eq!(parameters.await, Err(Problem));
    let named = Counter {
        count: 4,
        names: vec![String::new()],
    };
    let parameters = attribute::parameters(1, vec![1], (2, 3), named, 5, "", 0);
    assert_eq!(parameters.await, Ok(3 + 9 + 8));
    assert_eq!(attribute::block_inside(9).await, 8);
    assert_eq!(attribute::generic(&[1, 2, 3], &4).await, &3);
    let mut server = attribute::Server::associated().await.owned().await;
    assert_eq!(server.shared().await, 5 + 4);
    assert_eq!(server.mutable().await, 1 + 4);
    assert_eq!(server.handle(5).await, Ok(1 + 10));
    server.nothing().await;
    assert_eq!(server.requests(), 10);
}

#[tokio::test]
async fn bare_functions_have_their_values() {
    assert_eq!(bare::nothing().await, 1);
    assert_eq!(bare::block().await, 2);
    assert_eq!(bare::lets(true).await, Err(Problem));
    assert_eq!(bare::lets(false).await, Ok(7));
    assert_eq!(bare::lets_in_blocks(4).await, 9);
    assert_eq!(bare::blocks(0).await, Ok(6));
    assert_eq!(bare::blocks(9).await, Ok(9));
    let mut server = bare::Server::default();
    assert_eq!(server.handle().await, 1);
    assert_eq!(server.block().await, 2);
    assert_eq!(server.requests(), 1);
    assert_eq!(bare::inner::function().await, 2);
}

#[tokio::test]
async fn fragments_become_blocks() {
    assert_eq!(fragments::expressions().await, 5);
    assert_eq!(fragments::blocks().await, Ok(9));
    assert_eq!(fragments::tokens().await, 7);
    assert_eq!(fragments::jumps(3).await, 14);
    assert_eq!(fragments::statements().await, 5);
    assert_eq!(fragments::defined(0).await, 0);
    assert_eq!(fragments::defined(3).await, 2 + 3);
}

#[tokio::test]
async fn tasks_end() {
    assert_eq!(tasks::spawned(1).await.ok(), Some(4));
    assert_eq!(tasks::closures().await, 2 + 3);
    assert_eq!(tasks::recursive(3).await, 1 + 2 + 3 + 4);
    assert_eq!(tasks::selected().await, 6);
}

#[test]
fn functions_without_a_runtime_make_one() {
    assert_eq!(tasks::blocking(), Ok(1));
    assert_eq!(tasks::above(), Ok(1));
    assert_eq!(tasks::below(), Ok(1));
    assert_eq!(tasks::bare(), 2);
}

#[tokio::test]
async fn generators_lend_what_they_say() {
    assert_eq!(generators::enter(10).await, Ok(11 + 12 + 11 + 1 + 5));
    assert_eq!(generators::enter(100).await, Ok(0));
}
