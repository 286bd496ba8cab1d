//! The block, wherever an expression can stand.

use std::sync::{Mutex, PoisonError};

use async_with::prelude::*;
use tokio::sync;

use crate::managers::{Borrowing, Counter, Fallible, Locking, Open, Problem, Suppressing};

/// As a statement, with and without a semicolon, and with each of the delimiters.
pub async fn statement() -> u64 {
    let mut sum = 0;
    async_with! { Open(1) as counter => {
        sum += counter.next();
    } }
    async_with! { Open(2) as counter => { sum += counter.next(); } };
    async_with!(Open(3) as counter, {
        sum += counter.next();
    });
    async_with![Open(4) as counter => { sum += counter.next() }];
    async_with! { Open(5) => {} }
    sum
}

/// As the tail.
pub async fn tail() -> u64 {
    async_with! { Open(1) as counter => { counter.next() } }
}

/// As the tail, whose value is `()`.
pub async fn unit_tail(sum: &mut u64) {
    async_with! { Open(1) as counter => { *sum += counter.next(); } }
}

/// As the tail, whose value is `()` and not followed by a semicolon.
pub async fn unit_tail_value(sums: &mut Vec<u64>) {
    async_with! { Open(1) as counter => { sums.push(counter.next()) } }
}

/// In a `let`, with a type and without, and with a destructuring pattern.
pub async fn in_let() -> u64 {
    let a = async_with! { Open(1) as counter => { counter.next() } };
    let b: u64 = async_with! { Open(1) as counter => { counter.names.len().try_into().unwrap_or_default() } };
    let (one, two) = async_with! { Open(1) as counter => { (counter.next(), counter.next()) } };
    let Some(three) = async_with!(Open(1) as counter, { Some(counter.next()) }) else {
        return 0;
    };
    a + b + one + two + three
}

/// As an argument, an operand, a condition, a match's scrutinee and arm, a receiver, and the value of `return`.
pub async fn in_expressions(flag: bool) -> Option<u64> {
    let maximum = u64::max(
        async_with! { Open(1) as counter => { counter.next() } },
        async_with! { Open(2) as counter => { counter.next() } } + 1,
    );
    if async_with! { Open(1) as counter => { counter.next() == 2 } } && flag {
        return async_with! { Open(3) as counter => { counter.next().checked_add(maximum) } };
    }
    match async_with! { Open(1) as counter => { counter.next() } } {
        2 => async_with! { Open(1) as counter => { Some(counter.next()) } },
        _ => async_with!(Open(1), { None }).or(Some(maximum)),
    }
}

/// Several items, with every pattern.
///
/// # Errors
///
/// With the managers.
pub async fn several_items() -> Result<u64, Problem> {
    let mut sum = 1;
    let mut other = Counter::default();
    let value = async_with! {
        Open(1),
        Fallible as _,
        Open(2) as counter,
        Open(counter.next()) as mut third,
        Borrowing(&mut sum) as (before, inner),
        Open(4) as Counter { count, .. },
        Open(5) as whole @ Counter { .. } => {
            *count += inner.next();
            third.count += *before;
            third = &mut other;
            third.count += *count + whole.fetch().await?;
            counter.next() + third.count
        }
    };
    Ok(value + sum)
}

/// Resources that nobody uses, as their names say.
pub async fn unused_resources() -> u64 {
    async_with! { Open(1) as _counter => {} }
    async_with!(Open(2) as mut _counter, Open(3) as Counter { count: _count, .. }, {
        async_with! { (Open(4) as _whole @ Counter { .. }, Open(5) as counter) => { counter.next() } }
    })
}

/// Items in parentheses, with trailing commas, on lines of their own.
pub async fn parenthesized_items() -> u64 {
    let one = async_with! { (Open(1) as a, Open(2) as b) => { a.next() + b.next() } };
    let two = async_with! {
        (
            Open(1) as a,
            Open(2) as b,
        ) => {
            a.next() + b.next()
        }
    };
    let three = async_with! { (Open(1) as a) => { a.next() } };
    let four = async_with! { (Open(1)), { 1 } };
    let five = async_with!((Open(1) as a, Open(2) as b), { a.next() + b.next() });
    one + two + three + four + five
}

/// Items whose expressions need parentheses, or look as if they did.
pub async fn expressions_as_items(small: u32, wide: char, flag: bool) -> u64 {
    let mut sum = 0;
    async_with! { Open(u64::from(small)) as a => { sum += a.next(); } }
    async_with! { Open((wide as u32).into()) as a => { sum += a.next(); } }
    async_with! { (if flag { Open(1) } else { Open(2) }) as a => { sum += a.next(); } }
    async_with! { if flag { Open(1) } else { Open(2) } as a => { sum += a.next(); } }
    async_with! { { Open(1) } as a => { sum += a.next(); } }
    async_with! { { let start = wide; Open(start.into()) } as a => { sum += a.next(); } }
    async_with! { match small { 0 => Open(1), _ => Open(2) } as a => { sum += a.next(); } }
    async_with! { Option::map_or::<Open, _>(wide.to_digit(10), Open(1), |n: u32| Open(n.into())) as a, <Open as Clone>::clone(&Open(2)) as b => { sum += a.next() + b.next(); } }
    sum
}

/// With `?`, on the item, in the body, and on the whole.
///
/// # Errors
///
/// With the body.
pub async fn question_marks(open: Option<Open>) -> Result<u64, Problem> {
    let whole = async_with! { open.ok_or(Problem)? as counter => { counter.fetch().await } }?;
    let inside = async_with! { Fallible as counter, Open(whole) => { counter.fetch().await? } };
    async_with! { Fallible as counter => {
        let _: u64 = counter.fetch().await?;
    } }
    async_with! { Fallible as counter => {
        if inside == whole {
            counter.fail()
        } else {
            Ok(inside)
        }
    } }
}

/// With `return`, as a statement, last, and in a branch.
pub async fn returns(flag: bool) -> u64 {
    async_with! { Open(1) as counter => {
        if flag {
            return counter.next();
        }
    } }
    async_with! { Open(1) as counter, Open(2) => {
        match counter.next() {
            0 => return 0,
            n if n > 100 => return n,
            _ => {}
        }
    } }
    async_with! { Open(1) as counter => { return counter.next(); } }
}

/// A body that cannot end normally.
///
/// # Panics
///
/// Always.
pub async fn diverges(flag: bool) -> u64 {
    if flag {
        async_with! { Open(1) => { panic!("as asked") } }
    }
    async_with! { Open(1) => { unreachable!() } }
}

/// Bodies that cannot end normally, whose value nobody asks for.
pub async fn diverges_for_nothing(number: u64) -> u64 {
    if number == 1 {
        async_with! { Open(1) => { return 1; } };
    }
    if number == 2 {
        async_with! { Open(1), Open(2) => { return 2 } };
    }
    let value = match number {
        3 => async_with! { Open(1) => { return 3 } },
        4 => async_with! { Open(1) => { panic!("as asked") } },
        _ => number,
    };
    let Some(value) = value.checked_add(1) else {
        async_with! { Open(1) => { return 5; } }
    };
    value
}

/// In a function that never returns.
pub async fn never() -> ! {
    async_with! { Open(1) as counter => {
        loop {
            let _ = counter.fetch().await;
        }
    } }
}

/// In a loop that never ends.
pub async fn never_in_a_loop() -> ! {
    loop {
        async_with! { Open(1) as counter => {
            let _ = counter.fetch().await;
        } }
    }
}

/// A body that loops.
pub async fn loops() -> u64 {
    async_with! { Open(1) as counter => {
        loop {
            if counter.next() > 10 {
                break counter.count;
            }
        }
    } }
}

/// `else`, in each position, and a block that needs none.
///
/// # Errors
///
/// With the managers.
pub async fn otherwise() -> Result<u64, Problem> {
    async_with! { Suppressing as counter => {
        let _: u64 = counter.fail()?;
    } }
    async_with! { Suppressing as counter => { let _: u64 = counter.fail()?; } else {} }
    let a = async_with! { Suppressing as counter => { counter.fail()? } else { 1 } };
    let b =
        async_with! { Fallible, Suppressing as counter, Open(1) => { counter.fail()? } else { 2 } };
    let c = async_with! { Suppressing as counter => {
        counter.fail()?
    } else {
        let mut three = a;
        three += b;
        three
    }};
    if c == 0 {
        async_with! { Suppressing as counter => { let _: u64 = counter.fail()?; } else { return Ok(4) } }
    }
    async_with! { Suppressing as counter => { counter.fail() } else { Ok(c) } }
}

/// Blocks in blocks.
///
/// # Errors
///
/// With the managers.
pub async fn nested() -> Result<u64, Problem> {
    async_with! { Open(1) as outer => {
        let one = async_with! { Fallible as inner => {
            async_with! { Suppressing as innermost => {
                let _: u64 = innermost.fetch().await?;
                outer.next() + inner.next()
            } else { 0 } }
        } };
        async_with! { Open(one) => {
            if one == 0 {
                return Err(Problem);
            }
        } }
        Ok(async_with! { Open(2) as inner => { inner.next() } } + one)
    } }
}

/// For any manager.
///
/// # Errors
///
/// With the manager.
pub async fn generic<M>(manager: M) -> Result<u64, M::Error>
where
    M: AsyncContextManager<Resource = Counter> + Sync,
    M::Exit: Sync,
{
    let _ = async_with! { Open(1) as counter => { counter.next() } };
    Ok(async_with! { manager as counter => { counter.count } else { 7 } })
}

/// Every local of the function is used after the block, or in it only.
pub async fn locals(text: String, mut numbers: Vec<u64>) -> usize {
    let prefix = String::from("count");
    let mut lines = Vec::new();
    async_with! { Open(1) as counter => {
        numbers.push(counter.next());
        for number in &numbers {
            lines.push(format!("{prefix} {number}"));
        }
        drop(text);
    } }
    lines.len() + numbers.len()
}

/// Locks: in an item, in the body, and in the body's value.
pub async fn locks(mutex: &Mutex<Vec<u64>>) -> usize {
    let lock = || mutex.lock().unwrap_or_else(PoisonError::into_inner);
    async_with! { Open(lock().len() as u64) as counter => {
        lock().push(counter.next());
    } }
    async_with! { Open(1) as counter => {
        let mut numbers = lock();
        numbers.push(counter.next());
        numbers.push(counter.next());
    } }
    let length = async_with! { Open(1) => { lock().len() } };
    length + lock().len()
}

/// A resource, and a value, that are the guard of a lock.
pub async fn guards(mutex: &sync::Mutex<u64>) -> u64 {
    let value = async_with! { Locking(mutex) as guard => {
        **guard += 1;
        match **guard {
            0 => return 0,
            number => number,
        }
    } };
    let guard = async_with! { Open(1) => { mutex.lock().await } };
    value + *guard
}
