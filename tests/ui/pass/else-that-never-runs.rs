//! One of the managers suppresses, or may.

use std::time::Duration;

use async_with::{
    AsyncContextManager, Elapsed, ExitVerdict, async_with, move_on_after, nullcontext, timeout,
};

async fn receive() -> Result<u64, Elapsed> {
    let limit = Duration::from_secs(1);
    let inner = async_with! { nullcontext(7) as number, timeout(limit), move_on_after(limit) => { *number } else { 0 } };
    let outer = async_with! { move_on_after(limit), nullcontext(7) as number, timeout(limit) => { *number } else { 0 } };
    Ok(inner + outer)
}

async fn generic<M, V: ExitVerdict>(manager: M) -> Result<u64, Elapsed>
where
    M: AsyncContextManager<Error = Elapsed, Exit = V>,
{
    async_with! { manager, nullcontext(7) as number => { Ok(*number) } else { Ok(0) } }
}
