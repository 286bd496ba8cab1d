//! Jumps out of a block.

use async_with::async_with;

use crate::managers::{Fallible, Open, Problem, Suppressing};

/// `break` and `continue`, as statements, last, and in branches.
pub async fn unlabeled(limit: u64) -> u64 {
    let mut sum = 0;
    for number in 0..limit {
        async_with! { Open(number) as counter => {
            if counter.next() % 2 == 0 {
                continue;
            }
            sum += counter.count;
            if sum > 10 {
                break;
            }
        } }
    }
    while sum < 100 {
        async_with! { Open(sum) as counter, Open(1) => {
            sum = counter.next() * 2;
            if sum > 50 {
                break;
            }
        } }
    }
    loop {
        async_with! { Open(sum) as counter => {
            sum += counter.next();
            match sum {
                0..200 => continue,
                _ => break,
            }
        } }
    }
    sum
}

/// With labels and values.
pub async fn labeled(limit: u64) -> u64 {
    let mut rounds = 0;
    let found = 'outer: loop {
        'inner: for number in 0..limit {
            async_with! { Open(number) as counter => {
                rounds += 1;
                match counter.next() {
                    1 => continue 'inner,
                    3 => continue 'outer,
                    4 => break 'inner,
                    5 => break 'outer counter.count,
                    n if n == rounds => break 'outer n,
                    _ => {}
                }
            } }
        }
        if rounds > 5 {
            break rounds;
        }
    };
    let value = 'block: {
        async_with! { Open(found) as counter => {
            if counter.next() > 2 {
                break 'block counter.count;
            }
        } }
        0
    };
    value + found
}

/// With values that may be failures.
///
/// # Errors
///
/// When the first count is one.
pub async fn failing(limit: u64) -> Result<u64, Problem> {
    'all: loop {
        let found: Option<u64> = loop {
            async_with! { Open(limit) as counter, Open(1) as inner => {
                match counter.next() {
                    1 => break 'all Err(Problem),
                    2 => break 'all Ok(inner.next()),
                    3 => break None,
                    number => break Some(number),
                }
            } }
        };
        if let Some(found) = found {
            break Ok(found);
        }
    }
}

/// As the last thing of a body.
pub async fn last() -> u64 {
    let mut rounds = 0_u64;
    let value = loop {
        rounds += 1;
        if rounds > 1 {
            async_with! { Open(1) as counter => { break counter.next(); } }
        }
    };
    loop {
        let Some(next) = rounds.checked_sub(1) else {
            async_with! { Open(value) as counter => {
                let _ = counter.next();
                break;
            } };
        };
        rounds = next;
    }
    value
}

/// As all of a body.
pub async fn only(limit: u64) -> u64 {
    for number in 0..limit {
        if number == 1 {
            async_with! { Open(1) => { continue } }
        }
        let value = match number {
            2 => async_with! { Open(2) => { continue } },
            3 => async_with! { Open(3) => { break } },
            other => other,
        };
        if value == limit {
            return value;
        }
    }
    limit
}

/// Through two blocks, with `else`, and beside `?` and `return`.
///
/// # Errors
///
/// With the managers.
pub async fn through_blocks() -> Result<u64, Problem> {
    let mut tries = 0;
    loop {
        tries += 1;
        async_with! { Fallible as outer => {
            let value = async_with! { Suppressing as inner => {
                if tries == 1 {
                    continue;
                }
                if tries == 2 {
                    let _: u64 = inner.fail()?;
                }
                if tries == 3 {
                    break;
                }
                outer.fetch().await?
            } else {
                continue
            } };
            if value > 100 {
                return Ok(value);
            }
        } }
    }
    Ok(tries)
}

/// In the macros that the expansion looks into.
pub async fn in_macros(numbers: &[u64]) -> u64 {
    let mut last = 0;
    for &number in numbers {
        async_with! { Open(number) as counter => {
            last = counter.next();
            let text = format!("{}", if last == 2 { continue } else { last });
            assert_eq!(text, last.to_string());
            tokio::select! {
                biased;
                () = std::future::ready(()) => {
                    if last > 3 {
                        break;
                    }
                }
            }
        } }
    }
    last
}

/// Jumps that stay in the body.
pub async fn inside() -> u64 {
    async_with! { Open(1) as counter => {
        'outer: for _ in 0..3 {
            loop {
                if counter.next() > 4 {
                    break 'outer;
                }
                if counter.count > 2 {
                    break;
                }
            }
        }
        counter.count
    } }
}

/// What is there under a condition only, and jumps or does not.
pub async fn conditional(limit: u64) -> u64 {
    let value = async_with! { Open(limit) as counter => {
        #[cfg(any())]
        {
            break 'nowhere 1;
        }
        match counter.next() {
            #[cfg(any())]
            1 => continue,
            number => number,
        }
    } };
    let mut rounds = 0;
    'found: loop {
        async_with! { Open(value) as counter => {
            rounds += counter.next();
            #[cfg(not(any()))]
            if rounds > limit {
                break 'found rounds;
            }
        } }
    }
}

/// In the arguments of macros, and of blocks inside of them.
pub async fn in_known_macros(limit: u64) -> u64 {
    let mut names = Vec::new();
    for number in 0..limit {
        async_with! { Open(number) as counter => {
            assert!(if counter.next() > 9 { break } else { true });
            names.push(format!("{}", if number == 1 { continue } else { number }));
            tokio::select! {
                count = counter.fetch() => if count.is_err() { break },
                () = std::future::pending() => break,
            }
            async_with! { Open(number) as inner => {
                if inner.next() == 3 {
                    continue;
                }
                names.extend(vec![if inner.count == 5 { break } else { String::new() }]);
            } }
        } }
    }
    names.len() as u64
}
