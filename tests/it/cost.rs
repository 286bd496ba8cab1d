//! TYP-2, ORD-6: what a block costs in allocations, suspensions and size.

use std::cell::Cell;
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use allocation_counter::measure;
use async_with::{
    AsyncContextManager, Cause, ScopedAsyncContextManager, async_context_manager, async_with,
};
use async_with_tests::{Boom, pend};

/// A manager that is pending so often in enter and in exit, and that allocates nothing.
struct Scoped<'a> {
    enter: usize,
    exit: usize,
    exits: &'a Cell<u64>,
}

impl ScopedAsyncContextManager for Scoped<'_> {
    type Resource = u64;
    type Error = Boom;
    type Exit = ();

    async fn enter(&mut self) -> Result<u64, Boom> {
        pend(self.enter).await;
        Ok(1)
    }

    async fn exit(self, resource: u64, _: Cause) -> Result<(), Boom> {
        pend(self.exit).await;
        self.exits.set(self.exits.get() + resource);
        Ok(())
    }
}

/// The same, with an exit that survives cancellation.
struct Surviving {
    enter: usize,
    exit: usize,
}

impl AsyncContextManager for Surviving {
    type Resource = u64;
    type Error = Boom;
    type Exit = ();

    async fn enter(&mut self) -> Result<u64, Boom> {
        pend(self.enter).await;
        Ok(1)
    }

    async fn exit(self, _: u64, _: Cause) -> Result<(), Boom> {
        pend(self.exit).await;
        Ok(())
    }
}

/// A manager that is never pending.
fn ready() -> Surviving {
    Surviving { enter: 0, exit: 0 }
}

/// Counts the polls until the future is ready.
fn polls<F: Future>(future: F) -> (usize, F::Output) {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    let mut polls = 1;
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(output) => return (polls, output),
            Poll::Pending => polls += 1,
        }
    }
}

/// Counts the allocations while a future runs. It runs once before, for what a thread sets up but once.
fn allocations<F: Future<Output: Send>>(make: impl Fn() -> F) -> u64 {
    drop(polls(make()));
    let counted = measure(|| drop(polls(make())));
    assert_eq!(counted.count_current, 0, "what was allocated was freed");
    counted.count_total
}

async fn scoped(pending: usize, good: bool) -> Result<u64, Boom> {
    let exits = Cell::new(0);
    let scoped = || Scoped {
        enter: pending,
        exit: pending,
        exits: &exits,
    };
    async_with! { scoped() as a, scoped() as b, scoped() => {
        pend(pending).await;
        if good { *a += *b } else { Err(Boom("body"))? }
    }}
    Ok(exits.get())
}

async fn surviving(pending: usize, good: bool) -> Result<u64, Boom> {
    let surviving = || Surviving {
        enter: pending,
        exit: pending,
    };
    Ok(
        async_with! { surviving() as a, surviving() as b, surviving() => {
            pend(pending).await;
            if good { *a += *b } else { Err(Boom("body"))? }
            *a
        }},
    )
}

#[test]
fn the_counter_counts() {
    let counted = allocations(|| async { black_box(Box::new(1)) });
    assert_eq!(counted, 1);
}

/// TYP-2.
#[test]
fn a_block_of_scoped_managers_allocates_nothing() {
    for pending in 0..3 {
        assert_eq!(polls(scoped(pending, true)).1, Ok(4));
        assert_eq!(allocations(|| scoped(pending, true)), 0);
        assert_eq!(polls(scoped(pending, false)).1, Err(Boom("body")));
        assert_eq!(allocations(|| scoped(pending, false)), 0);
    }
}

/// TYP-2.
#[test]
fn a_block_of_surviving_managers_allocates_at_most_once_per_exit() {
    for pending in 0..3 {
        assert_eq!(polls(surviving(pending, true)).1, Ok(2));
        assert!(allocations(|| surviving(pending, true)) <= 3);
        assert_eq!(polls(surviving(pending, false)).1, Err(Boom("body")));
        assert!(allocations(|| surviving(pending, false)) <= 3);
    }
}

/// TYP-2: so it is inside the block of a generator that does not interrupt.
#[test]
fn a_block_inside_that_of_a_generator_allocates_nothing() {
    #[async_context_manager]
    async fn owned() -> Result<(), Boom> {
        yield_!();
    }
    #[async_context_manager]
    async fn borrowed(exits: &Cell<u64>) -> Result<(), Boom> {
        yield_!();
        exits.set(exits.get() + 1);
    }
    async fn in_owned(has_block: bool) -> Result<u64, Boom> {
        async_with! { owned() => { if has_block { scoped(1, true).await } else { Ok(0) } } }
    }
    async fn in_borrowed(has_block: bool) -> Result<u64, Boom> {
        let exits = Cell::new(0);
        async_with! { borrowed(&exits) => {
            if has_block { scoped(1, true).await } else { Ok(0) }
        }}
    }
    assert_eq!(polls(in_owned(true)).1, Ok(4));
    let alone = allocations(|| in_owned(false));
    assert_eq!(allocations(|| in_owned(true)), alone);
    assert_eq!(polls(in_borrowed(true)).1, Ok(4));
    let alone = allocations(|| in_borrowed(false));
    assert_eq!(allocations(|| in_borrowed(true)), alone);
}

/// TYP-2: neither do jumps and loops allocate.
#[test]
fn a_block_that_is_left_by_a_jump_allocates_nothing() {
    async fn jumps() -> Result<u64, Boom> {
        let exits = Cell::new(0);
        for turn in 0..4 {
            let scoped = Scoped {
                enter: 0,
                exit: 1,
                exits: &exits,
            };
            async_with! { scoped => {
                match turn {
                    0 => continue,
                    2 => break,
                    _ => {}
                }
            }}
        }
        Ok(exits.get())
    }
    assert_eq!(polls(jumps()).1, Ok(3));
    assert_eq!(allocations(jumps), 0);
}

/// ORD-6.
#[test]
fn a_block_over_what_is_ready_is_ready_at_its_first_poll() {
    assert_eq!(polls(scoped(0, true)), (1, Ok(4)));
    assert_eq!(polls(scoped(0, false)), (1, Err(Boom("body"))));
    assert_eq!(polls(surviving(0, true)), (1, Ok(2)));
    assert_eq!(polls(surviving(0, false)), (1, Err(Boom("body"))));
}

/// ORD-6: three enters, a body and three exits.
#[test]
fn a_block_suspends_exactly_as_often_as_what_is_in_it() {
    for pending in 1..4 {
        for good in [true, false] {
            assert_eq!(polls(scoped(pending, good)).0, 1 + 7 * pending);
            assert_eq!(polls(surviving(pending, good)).0, 1 + 7 * pending);
        }
    }
}

/// ORD-6: every suspension of every step counts once, and no other.
#[test]
fn each_step_suspends_by_itself() {
    async fn block(steps: [usize; 5], exits: &Cell<u64>) -> Result<(), Boom> {
        let [outer_enter, inner_enter, body, inner_exit, outer_exit] = steps;
        let outer = Surviving {
            enter: outer_enter,
            exit: outer_exit,
        };
        let inner = Scoped {
            enter: inner_enter,
            exit: inner_exit,
            exits,
        };
        async_with! { outer, inner => { pend(body).await } };
        Ok(())
    }
    for code in 0..3_usize.pow(5) {
        let steps = [0, 1, 2, 3, 4].map(|step| code / 3_usize.pow(step) % 3);
        let exits = Cell::new(0);
        let (polls, result) = polls(block(steps, &exits));
        assert_eq!(result, Ok(()));
        assert_eq!(polls, 1 + steps.iter().sum::<usize>(), "{steps:?}");
        assert_eq!(exits.get(), 1);
    }
}

/// A level costs as much as the level before: nothing in a block holds anything twice.
///
/// The body uses the innermost resource only, because each level between a resource and its use keeps a reference.
#[test]
fn the_size_of_a_block_is_linear_in_its_levels() {
    macro_rules! sizes {
        ($manager:expr) => {
            sizes!(@with $manager, [] [1 2 3 4 5 6 7 8])
        };
        (@with $manager:expr, [$($done:tt)*] [$next:tt $($rest:tt)*] $($size:expr),*) => {
            sizes!(@with $manager, [$($done)* $next] [$($rest)*] $($size,)* {
                let block = async {
                    async_with! { $(sizes!(@one $done $manager),)* $manager as last => {
                        pend(1).await;
                        *last += 1;
                    }}
                    Ok::<_, Boom>(())
                };
                size_of_val(&block)
            })
        };
        (@with $manager:expr, [$($done:tt)*] [] $($size:expr),*) => { [$($size),*] };
        (@one $number:tt $manager:expr) => { $manager };
    }
    let exits = Cell::new(0);
    let scoped: [usize; 8] = sizes!(Scoped {
        enter: 0,
        exit: 0,
        exits: &exits
    });
    let surviving: [usize; 8] = sizes!(ready());
    for sizes in [scoped, surviving] {
        let more = sizes.windows(2).map(|pair| pair[1].abs_diff(pair[0]));
        let (least, most) = (more.clone().min().unwrap(), more.max().unwrap());
        assert!(least > 0, "{sizes:?}");
        assert!(most - least <= 16, "{sizes:?}");
    }
}
