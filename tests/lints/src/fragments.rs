//! Blocks that a user's own macros write.

use async_with::async_with;

use crate::managers::{Open, Problem, Suppressing};

macro_rules! with_expr {
    ($manager:expr, $name:ident, $value:expr) => {
        async_with! { $manager as $name => { $value } }
    };
}

macro_rules! with_block {
    ($manager:expr, $name:pat, $body:block) => {
        async_with! { $manager as $name => $body }
    };
    ($manager:expr, $name:pat, $body:block, $otherwise:block) => {
        async_with! { $manager as $name => $body else $otherwise }
    };
}

macro_rules! with_inner_block {
    ($manager:expr, $name:ident, $body:block) => {
        async_with! { $manager as $name => { $body } }
    };
}

macro_rules! with_tokens {
    ($($manager:expr => $name:ident),+ $(,)? ; $($body:tt)*) => {
        async_with! { $($manager as $name),+ => { $($body)* } }
    };
}

macro_rules! with_statements {
    ($manager:expr, $name:ident, [$($local:pat = $value:expr),+], $tail:expr) => {
        async_with! { $manager as $name => { $(let $local: u64 = $value;)+ $tail } }
    };
}

macro_rules! with_label {
    ($label:lifetime, $manager:expr, $name:ident, $condition:expr, $value:expr) => {
        async_with! { $manager as $name => {
            if $condition {
                break $label $value;
            }
        } }
    };
}

macro_rules! in_a_loop {
    ($manager:expr, $name:ident, $jump:expr, $rest:block) => {
        loop {
            async_with! { $manager as $name => {
                $jump;
                $rest
                break;
            } }
        }
    };
}

macro_rules! define {
    ($(#[$attribute:meta])* $name:ident, $manager:expr) => {
        $(#[$attribute])*
        pub async fn $name(start: u64) -> u64 {
            async_with! { $manager as counter => {
                if start == 0 {
                    return 0;
                }
                counter.next() + start
            } }
        }
    };
}

macro_rules! in_a_loop_of_its_own {
    ($manager:expr, $name:ident, $body:block) => {
        async_with! { $manager as $name => {
            'round: loop {
                $body
                if $name.next() > 3 {
                    break 'round;
                }
            }
        } }
    };
}

/// An expression as the manager, and one as the body.
pub async fn expressions() -> u64 {
    with_expr!(Open(1), counter, counter.next()) + with_expr!({ Open(2) }, counter, counter.next())
}

/// A block as the body.
///
/// # Errors
///
/// With the body.
pub async fn blocks() -> Result<u64, Problem> {
    let a = with_block!(Open(1), counter, { counter.next() });
    let b = with_block!(Suppressing, counter, { counter.fail()? }, { 5 });
    let c = with_inner_block!(Open(1), counter, { counter.fetch().await? });
    with_block!(Open(1), _, {});
    Ok(a + b + c)
}

/// Any tokens as the body, with a jump among them.
pub async fn tokens() -> u64 {
    let mut sum = 0;
    for number in 0..4 {
        with_tokens! { Open(number) => a, Open(1) => b;
            if a.next() == 3 {
                break;
            }
            sum += a.count + b.next();
        }
    }
    sum
}

/// Jumps, with labels and values, from the fragments and from the macro.
pub async fn jumps(limit: u64) -> u64 {
    let mut sum = 0;
    in_a_loop!(
        Open(sum),
        counter,
        if counter.next() < limit {
            sum += 1;
            continue;
        },
        {
            sum += counter.count;
        }
    );
    let found = 'outer: loop {
        for number in 0..limit {
            with_label!('outer, Open(number), counter, counter.next() > sum, counter.count);
            with_block!(Open(number), counter, {
                if counter.next() == 2 {
                    continue;
                }
                sum += 1;
            });
        }
        if sum > limit {
            break sum;
        }
    };
    found + sum
}

/// Labels that a macro and its caller have in common, and a block that is all of a body and jumps.
pub async fn namesakes(limit: u64) -> u64 {
    let mut sum = 0;
    'round: for number in 0..limit {
        in_a_loop_of_its_own!(Open(number), counter, {
            sum += counter.next();
            if sum > limit {
                break 'round;
            }
        });
        in_a_loop_of_its_own!(Open(number), counter, {
            if counter.next() == sum {
                continue 'round;
            }
        });
    }
    sum += 'round: loop {
        in_a_loop_of_its_own!(Open(sum), counter, {
            if counter.count > 1 {
                break 'round counter.count;
            }
        });
    };
    loop {
        with_inner_block!(Open(sum), counter, {
            if sum > limit {
                break counter.next();
            }
        });
        sum += 1;
    }
}

/// Statements in the body.
pub async fn statements() -> u64 {
    with_statements!(
        Open(1),
        counter,
        [a = counter.next(), b = counter.next()],
        a + b
    )
}

define! {
    /// A function that a macro writes.
    defined, Open(1)
}
