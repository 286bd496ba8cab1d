//! What is compiled for its lints also does what it says.

use std::future::Future;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use tokio::sync;

use crate::attribute::Service;
use crate::managers::{Counter, Fallible, Open, Problem};
use crate::{attribute, bare, block, fragments, jumps, tasks};

#[tokio::test]
async fn blocks_have_their_values() {
    let mut sum = 0;
    block::unit_tail(&mut sum).await;
    let mut sums = vec![sum];
    block::unit_tail_value(&mut sums).await;
    assert_eq!(sums, [2, 2]);
    assert_eq!(block::statement().await, 0);
    assert_eq!(block::tail().await, 2);
    assert_eq!(block::in_let().await, 0);
    assert_eq!(block::in_expressions(true).await, None);
    assert_eq!(block::in_expressions(false).await, None);
    assert_eq!(block::several_items().await, Ok(0));
    assert_eq!(block::parenthesized_items().await, 0);
    assert_eq!(block::expressions_as_items(1, 'a', true).await, 0);
    assert_eq!(block::nested().await, Ok(0));
    assert_eq!(block::generic(Fallible).await, Ok(0));
    assert_eq!(block::locals(String::from("text"), vec![1]).await, 0);
    assert_eq!(block::locks(&Mutex::default()).await, 0);
    assert_eq!(block::guards(&sync::Mutex::new(1)).await, 0);
}

#[tokio::test]
async fn blocks_are_left() {
    assert_eq!(block::question_marks(None).await, Err(Problem));
    assert_eq!(block::question_marks(Some(Open(1))).await, Ok(0));
    assert_eq!(
        (block::returns(true).await, block::returns(false).await),
        (0, 0)
    );
    for number in 0..6 {
        let left = tokio::spawn(block::diverges_for_nothing(number)).await;
        assert_eq!(left.ok(), None, "{number}");
    }
    assert!(tokio::spawn(block::diverges(true)).await.is_err());
    assert!(tokio::spawn(block::diverges(false)).await.is_err());
    assert_eq!(block::loops().await, 0);
    assert_eq!(block::otherwise().await, Ok(0));
}

#[tokio::test]
async fn jumps_arrive() {
    assert_eq!(jumps::unlabeled(9).await, 0);
    assert_eq!(jumps::labeled(9).await, 0);
    assert_eq!(jumps::last().await, 0);
    assert_eq!(jumps::only(9).await, 0);
    assert_eq!(jumps::through_blocks().await, Ok(0));
    assert_eq!(jumps::in_macros(&[1, 2, 3, 4]).await, 0);
    assert_eq!(jumps::inside().await, 0);
}

#[tokio::test]
async fn attributed_functions_have_their_values() {
    assert_eq!(attribute::value().await, 2);
    attribute::unit().await;
    attribute::empty().await;
    attribute::suppresses(false).await;
    let parameters = attribute::parameters(1, vec![1], (2, 3), Counter::default(), 4, "", 0);
    assert_eq!(parameters.await, Err(Problem));
    assert_eq!(attribute::block_inside(9).await, 0);
    assert_eq!(attribute::generic(&[1, 2, 3], &4).await, &3);
    let mut server = attribute::Server::associated().await.owned().await;
    assert_eq!(server.shared().await, 0);
    assert_eq!(server.mutable().await, 0);
    assert_eq!(server.handle(5).await, Ok(0));
    server.nothing().await;
    assert_eq!(server.requests(), 0);
}

#[tokio::test]
async fn bare_functions_have_their_values() {
    assert_eq!((bare::nothing().await, bare::block().await), (1, 2));
    assert_eq!(
        (bare::lets(true).await, bare::lets(false).await),
        (Err(Problem), Ok(0))
    );
    assert_eq!(bare::lets_in_blocks(4).await, 0);
    assert_eq!(
        (bare::blocks(0).await, bare::blocks(9).await),
        (Ok(0), Ok(0))
    );
    let mut server = bare::Server::default();
    assert_eq!(
        (
            server.handle().await,
            server.block().await,
            server.requests()
        ),
        (1, 2, 1)
    );
    assert_eq!(bare::inner::function().await, 2);
}

#[tokio::test]
async fn fragments_become_blocks() {
    assert_eq!(fragments::expressions().await, 0);
    assert_eq!(fragments::blocks().await, Ok(0));
    assert_eq!(fragments::tokens().await, 0);
    assert_eq!(fragments::jumps(3).await, 0);
    assert_eq!(fragments::statements().await, 0);
    assert_eq!(
        (fragments::defined(0).await, fragments::defined(3).await),
        (0, 5)
    );
}

#[tokio::test]
async fn tasks_end() {
    assert_eq!(tasks::spawned(1).await.ok(), Some(0));
    assert_eq!(tasks::closures().await, 0);
    assert_eq!(tasks::recursive(3).await, 0);
    assert_eq!(tasks::selected().await, 0);
}

#[test]
fn functions_without_a_runtime_make_one() {
    assert_eq!(tasks::blocking(), Ok(1));
    assert_eq!(tasks::above(), Ok(1));
    assert_eq!(tasks::below(), Ok(1));
    assert_eq!(tasks::bare(), 2);
}

/// Whether a future is pending for a hundred polls.
fn is_endless(future: impl Future) -> bool {
    let mut future = Box::pin(future);
    let mut context = Context::from_waker(Waker::noop());
    (0..100).all(|_| future.as_mut().poll(&mut context) == Poll::Pending)
}
