//! The constructs in which managers stand around a body. Plain nested blocks are what all others have to be like.

use std::collections::VecDeque;
use std::fmt::{Debug, Formatter};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_with::prelude::*;
use async_with::{AsyncContextManagerExt, Either, ScopedAsyncContextManagerExt, join, releasable};

use crate::managers::{Failure, InFrame, Kind, Managed, Run, Surviving};

pub(crate) type Program = Pin<Box<dyn Future<Output = Result<u8, Failure>> + Send>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Construct {
    /// Nested blocks: the oracle.
    Nested,
    /// Nested blocks with a body that cannot fail, as far as they see: the oracle of `close`.
    Captured,
    /// Nested blocks that end before the body: the oracle of what is released early.
    Before,
    /// One block with several items.
    Items,
    Boxed,
    InBox,
    Named,
    Optional,
    Either,
    Mapped,
    Hooked,
    Within,
    FinishEnter,
    /// `releasable`, and released when the body is done.
    Released,
    /// Each manager is a generator.
    Generators,
    /// The same, with an adaptor.
    NamedGenerators,
    /// One generator, which has the blocks around its yield.
    AroundYield,
    /// The same, with an adaptor.
    AroundYieldNamed,
    /// The same, in a stack.
    AroundYieldInStack,
    Stack,
    SuppressingStack,
    /// Moved with `pop_all` to the stack of a block inside.
    PoppedInto,
    /// A stack that is filled before its block.
    IntoManager,
    /// A stack outside of a block.
    Close,
    /// The stack of a block, closed in its body.
    CloseInBlock,
    /// Each with a handle, and released when the body is done.
    Owned,
    Join,
    /// `releasable`, and released before the body.
    ReleasedBefore,
    /// Each with a handle, and released before the body.
    OwnedBefore,
    /// The stack of a block, closed before the body.
    ClosedBefore,
}

use Construct as C;

impl Construct {
    pub(crate) const ALL: [Construct; 27] = [
        C::Items,
        C::Boxed,
        C::InBox,
        C::Named,
        C::Optional,
        C::Either,
        C::Mapped,
        C::Hooked,
        C::Within,
        C::FinishEnter,
        C::Released,
        C::Generators,
        C::NamedGenerators,
        C::AroundYield,
        C::AroundYieldNamed,
        C::AroundYieldInStack,
        C::Stack,
        C::SuppressingStack,
        C::PoppedInto,
        C::IntoManager,
        C::Close,
        C::CloseInBlock,
        C::Owned,
        C::Join,
        C::ReleasedBefore,
        C::OwnedBefore,
        C::ClosedBefore,
    ];

    /// Whether it takes scoped managers, by themselves or beside surviving ones.
    pub(crate) fn takes(self, kinds: &[Kind]) -> bool {
        let all = |kind| kinds.iter().all(|other| *other == kind);
        match self {
            C::Nested
            | C::Before
            | C::InBox
            | C::Named
            | C::Optional
            | C::Either
            | C::Mapped
            | C::Hooked
            | C::Within
            | C::Generators
            | C::NamedGenerators => true,
            C::Items | C::AroundYield | C::AroundYieldNamed => {
                all(Kind::Surviving) || all(Kind::Scoped)
            }
            C::Join => all(Kind::Surviving) && kinds.len() > 1,
            _ => all(Kind::Surviving),
        }
    }

    /// Its managers are exited before the body.
    pub(crate) fn ends_before(self) -> bool {
        matches!(self, C::ReleasedBefore | C::OwnedBefore | C::ClosedBefore)
    }

    /// An adaptor that hands all on to its manager.
    pub(crate) fn hands_on(self) -> bool {
        matches!(
            self,
            C::Boxed
                | C::InBox
                | C::Named
                | C::Optional
                | C::Either
                | C::Mapped
                | C::Hooked
                | C::Within
        )
    }

    /// Puts the managers around the body.
    pub(crate) fn around(self, managers: Vec<Managed>, body: Program, run: &Arc<Run>) -> Program {
        let managers: VecDeque<_> = managers.into();
        match self {
            C::Nested => one_by_one(managers, body, |m, b| Box::pin(nested_one(m, b))),
            C::Captured => Box::pin(captured(managers.into(), body, Arc::clone(run))),
            C::Before => Box::pin(before(managers, body)),
            C::Items => items(managers, body),
            C::Boxed => one_by_one(managers, body, |m, b| Box::pin(boxed(m, b))),
            C::InBox => one_by_one(managers, body, |m, b| Box::pin(in_box(m, b))),
            C::Named => one_by_one(managers, body, |m, b| Box::pin(named(m, b))),
            C::Optional => one_by_one(managers, body, |m, b| Box::pin(optional(m, b))),
            C::Either => one_by_one(managers, body, |m, b| Box::pin(either(m, b))),
            C::Mapped => one_by_one(managers, body, |m, b| Box::pin(mapped(m, b))),
            C::Hooked => one_by_one(managers, body, |m, b| Box::pin(hooked(m, b))),
            C::Within => one_by_one(managers, body, |m, b| Box::pin(within(m, b))),
            C::FinishEnter => one_by_one(managers, body, |m, b| Box::pin(finish_enter(m, b))),
            C::Released => one_by_one(managers, body, |m, b| Box::pin(released(m, b))),
            C::Generators => one_by_one(managers, body, |m, b| Box::pin(generators(m, b))),
            C::NamedGenerators => {
                one_by_one(managers, body, |m, b| Box::pin(named_generators(m, b)))
            }
            C::AroundYield => around_yield(managers, body),
            C::AroundYieldNamed => around_yield_named(managers, body),
            C::AroundYieldInStack => Box::pin(around_yield_in_stack(managers, body)),
            C::Stack => Box::pin(stack(managers, body)),
            C::SuppressingStack => Box::pin(suppressing_stack(managers, body)),
            C::PoppedInto => Box::pin(popped_into(managers, body)),
            C::IntoManager => Box::pin(into_manager(managers, body)),
            C::Close => Box::pin(close(managers, body, Arc::clone(run))),
            C::CloseInBlock => Box::pin(close_in_block(managers, body)),
            C::Owned => Box::pin(owned(managers, body)),
            C::Join => joined(managers, body),
            C::ReleasedBefore => Box::pin(released_before(managers, body)),
            C::OwnedBefore => Box::pin(owned_before(managers, body)),
            C::ClosedBefore => Box::pin(closed_before(managers, body)),
        }
    }
}

/// Nested blocks.
pub(crate) fn nested(managers: Vec<Managed>, body: Program) -> Program {
    let managers = managers.into();
    one_by_one(managers, body, |m, b| Box::pin(nested_one(m, b)))
}

/// A block for each manager, the last one innermost.
fn one_by_one(
    mut managers: VecDeque<Managed>,
    mut body: Program,
    block: impl Fn(Managed, Program) -> Program,
) -> Program {
    while let Some(manager) = managers.pop_back() {
        body = block(manager, body);
    }
    body
}

/// A block of one manager, with something around that.
macro_rules! blocks {
    ($($name:ident: $manager:ident => $surviving:expr, $scoped:expr;)+) => {
        $(async fn $name(manager: Managed, body: Program) -> Result<u8, Failure> {
            match manager.item.kind {
                Kind::Surviving => {
                    let $manager = Surviving(manager);
                    async_with! { $surviving => { body.await } }
                }
                Kind::Scoped => {
                    let $manager = InFrame(manager);
                    async_with! { $scoped => { body.await } }
                }
            }
        })+
    };
}

const LONG: Duration = Duration::from_secs(100_000);

struct Other(Failure);

// Reports show it as they show what it was made of.
impl Debug for Other {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Other> for Failure {
    fn from(other: Other) -> Self {
        other.0
    }
}

blocks! {
    nested_one: m => m, m;
    in_box: m => Box::new(m), Box::new(m);
    named: m => { let name = m.0.item.name; m.named(name) }, {
        let name = m.0.item.name;
        ScopedAsyncContextManagerExt::named(m, name)
    };
    optional: m => Some(m), Some(m);
    either: m => if m.0.item.name == "a" { Either::<Surviving, Surviving>::Left(m) } else { Either::Right(m) },
        if m.0.item.name == "a" { Either::<InFrame, InFrame>::Left(m) } else { Either::Right(m) };
    mapped: m => m.map(|()| 1).map_err(Other), ScopedAsyncContextManagerExt::map_err(m, Other);
    hooked: m => m.on_enter(|()| {}).on_exit(|(), _| {}), ScopedAsyncContextManagerExt::on_exit(m, |(), _| {});
    within: m => m.exit_within(LONG), ScopedAsyncContextManagerExt::exit_within(m, LONG);
    generators: m => generator(m.0), scoped_generator(m.0);
    named_generators: m => { let name = m.0.item.name; generator(m.0).named(name) }, {
        let name = m.0.item.name;
        ScopedAsyncContextManagerExt::named(scoped_generator(m.0), name)
    };
}

/// A scoped one is not `Send`.
async fn boxed(manager: Managed, body: Program) -> Result<u8, Failure> {
    async_with! { Surviving(manager).boxed() => { body.await } }
}

async fn finish_enter(manager: Managed, body: Program) -> Result<u8, Failure> {
    async_with! { Surviving(manager).finish_enter() => { body.await } }
}

async fn released(manager: Managed, body: Program) -> Result<u8, Failure> {
    async_with! { releasable(Surviving(manager)) as held => {
        let value = body.await?;
        held.release(Cause::Completed).await?;
        Ok(value)
    }}
}

async fn released_before(mut managers: VecDeque<Managed>, body: Program) -> Result<u8, Failure> {
    let mut next = || managers.pop_front().map(Surviving);
    let (a, b, c) = (next().expect("one at least"), next(), next());
    async_with! { releasable(a) as a, releasable(b) as b, releasable(c) as c => {
        c.release(Cause::Completed).await?;
        b.release(Cause::Completed).await?;
        a.release(Cause::Completed).await?;
        body.await
    }}
}

async fn before(managers: VecDeque<Managed>, body: Program) -> Result<u8, Failure> {
    nested(managers.into(), Box::pin(async { Ok(0) })).await?;
    body.await
}

/// The body's failure is put aside until the blocks have ended.
async fn captured(managers: Vec<Managed>, body: Program, run: Arc<Run>) -> Result<u8, Failure> {
    let failed = Arc::new(Mutex::new(None));
    let put = Arc::clone(&failed);
    let body = Box::pin(async move {
        body.await.or_else(|failure| {
            *put.lock().expect("nothing panics here") = Some(failure);
            Ok(0)
        })
    });
    let ended = nested(managers, body).await;
    let failed = failed.lock().expect("nothing panics here").take();
    first_of(failed, ended, &run)
}

fn first_of(failed: Option<Failure>, ended: Result<u8, Failure>, run: &Run) -> Result<u8, Failure> {
    match (failed, ended) {
        (None, ended) => ended,
        (Some(failure), ended) => {
            ended.err().into_iter().for_each(|later| run.lose(later));
            Err(failure)
        }
    }
}

macro_rules! items {
    ($($name:ident: $Kind:ident $($m:ident)+;)+) => {
        $(#[allow(clippy::many_single_char_names)]
        async fn $name($($m: Managed,)+ body: Program) -> Result<u8, Failure> {
            async_with! { $($Kind($m)),+ => { body.await } }
        })+
    };
}

items! {
    items_1: Surviving a;
    items_2: Surviving a b;
    items_3: Surviving a b c;
    scoped_items_1: InFrame a;
    scoped_items_2: InFrame a b;
    scoped_items_3: InFrame a b c;
}

/// Calls the function for so many managers of their kind.
macro_rules! by_number {
    ($managers:expr, $body:expr; $s1:expr, $s2:expr, $s3:expr; $f1:expr, $f2:expr, $f3:expr) => {{
        let (mut managers, body) = ($managers, $body);
        let kind = managers[0].item.kind;
        let number = managers.len();
        let mut next = || managers.pop_front().expect("as many as there are");
        match (kind, number) {
            (Kind::Surviving, 1) => Box::pin($s1(next(), body)) as Program,
            (Kind::Surviving, 2) => Box::pin($s2(next(), next(), body)),
            (Kind::Surviving, _) => Box::pin($s3(next(), next(), next(), body)),
            (Kind::Scoped, 1) => Box::pin($f1(next(), body)),
            (Kind::Scoped, 2) => Box::pin($f2(next(), next(), body)),
            (Kind::Scoped, _) => Box::pin($f3(next(), next(), next(), body)),
        }
    }};
}

fn items(managers: VecDeque<Managed>, body: Program) -> Program {
    by_number!(managers, body; items_1, items_2, items_3; scoped_items_1, scoped_items_2, scoped_items_3)
}

#[async_context_manager]
async fn generator(mut manager: Managed) -> Result<(), Failure> {
    manager.enter().await?;
    let interrupt = manager.interruption().fires();
    let ((), cause) = yield_!((), interrupt = interrupt);
    manager.exit(cause).await
}

/// Writes that it was dropped at the yield, as a scoped manager does.
struct AtYield(Option<Managed>);

impl Drop for AtYield {
    fn drop(&mut self) {
        self.0.iter().for_each(Managed::abandon);
    }
}

#[async_context_manager(scoped)]
async fn scoped_generator(mut manager: Managed) -> Result<(), Failure> {
    manager.enter().await?;
    let interrupt = manager.interruption().fires();
    let mut waiting = AtYield(Some(manager));
    let ((), cause) = yield_!((), interrupt = interrupt);
    let manager = waiting.0.take().expect("it was not dropped");
    manager.exit(cause).await
}

macro_rules! around {
    ($($name:ident: $Kind:ident ($($scoped:tt)*) $($m:ident)+;)+) => {
        $(#[async_context_manager($($scoped)*)]
        async fn $name($($m: Managed),+) -> Result<(), Failure> {
            async_with! { $($Kind($m)),+ => {
                let ((), _cause) = yield_!();
            }}
        })+
    };
}

around! {
    surviving_1: Surviving () a;
    surviving_2: Surviving () a b;
    surviving_3: Surviving () a b c;
    scoped_1: InFrame (scoped) a;
    scoped_2: InFrame (scoped) a b;
    scoped_3: InFrame (scoped) a b c;
}

/// A generator, as it is and in something else.
macro_rules! around_block {
    ($($name:ident $named:ident: $generator:ident $named_as:path; $($m:ident)+;)+) => {
        $(async fn $name($($m: Managed,)+ body: Program) -> Result<u8, Failure> {
            async_with! { $generator($($m),+) => { body.await } }
        }

        async fn $named($($m: Managed,)+ body: Program) -> Result<u8, Failure> {
            async_with! { $named_as($generator($($m),+), "generator") => { body.await } }
        })+
    };
}

around_block! {
    around_1 named_1: surviving_1 AsyncContextManagerExt::named; a;
    around_2 named_2: surviving_2 AsyncContextManagerExt::named; a b;
    around_3 named_3: surviving_3 AsyncContextManagerExt::named; a b c;
    around_scoped_1 named_scoped_1: scoped_1 ScopedAsyncContextManagerExt::named; a;
    around_scoped_2 named_scoped_2: scoped_2 ScopedAsyncContextManagerExt::named; a b;
    around_scoped_3 named_scoped_3: scoped_3 ScopedAsyncContextManagerExt::named; a b c;
}

fn around_yield(managers: VecDeque<Managed>, body: Program) -> Program {
    by_number!(
        managers, body; around_1, around_2, around_3; around_scoped_1, around_scoped_2, around_scoped_3
    )
}

fn around_yield_named(managers: VecDeque<Managed>, body: Program) -> Program {
    by_number!(
        managers, body;
        named_1, named_2, named_3;
        named_scoped_1, named_scoped_2, named_scoped_3
    )
}

async fn around_yield_in_stack(
    mut managers: VecDeque<Managed>,
    body: Program,
) -> Result<u8, Failure> {
    let number = managers.len();
    let mut next = || managers.pop_front().expect("as many as there are");
    let (a, b, c) = (
        next(),
        (number > 1).then(&mut next),
        (number > 2).then(&mut next),
    );
    async_with! { AsyncExitStack::<Failure>::new() as stack => {
        match (b, c) {
            (None, _) => drop(stack.enter(surviving_1(a)).await?),
            (Some(b), None) => drop(stack.enter(surviving_2(a, b)).await?),
            (Some(b), Some(c)) => drop(stack.enter(surviving_3(a, b, c)).await?),
        }
        body.await
    }}
}

async fn stack(managers: VecDeque<Managed>, body: Program) -> Result<u8, Failure> {
    async_with! { AsyncExitStack::<Failure>::new() as stack => {
        for manager in managers {
            stack.enter(Surviving(manager)).await?;
        }
        body.await
    }}
}

async fn suppressing_stack(managers: VecDeque<Managed>, body: Program) -> Result<u8, Failure> {
    async_with! { AsyncExitStack::<Failure, Verdict>::suppressing() as stack => {
        for manager in managers {
            stack.enter(Surviving(manager)).await?;
        }
        body.await
    } else {
        // Nobody does.
        unreachable!("it is suppressed")
    }}
}

async fn popped_into(managers: VecDeque<Managed>, body: Program) -> Result<u8, Failure> {
    async_with! { AsyncExitStack::<Failure>::new() as stack => {
        for manager in managers {
            stack.enter(Surviving(manager)).await?;
        }
        async_with! { stack.pop_all() => { body.await } }
    }}
}

async fn into_manager(managers: VecDeque<Managed>, body: Program) -> Result<u8, Failure> {
    let stack = AsyncExitStack::<Failure>::new();
    for manager in managers {
        stack.enter(Surviving(manager)).await?;
    }
    let manager = stack
        .into_manager()
        .map_err(|error| error.into_inner().expect("nobody moves on"));
    async_with! { manager => { body.await } }
}

async fn close(managers: VecDeque<Managed>, body: Program, run: Arc<Run>) -> Result<u8, Failure> {
    let mut stack = AsyncExitStack::<Failure>::new();
    for manager in managers {
        stack.enter(Surviving(manager)).await?;
    }
    let (failed, value) = match body.await {
        Ok(value) => (None, value),
        Err(failure) => (Some(failure), 0),
    };
    let closed = stack.close().await;
    first_of(failed, closed.map(|()| value), &run)
}

async fn close_in_block(managers: VecDeque<Managed>, body: Program) -> Result<u8, Failure> {
    async_with! { AsyncExitStack::<Failure>::new() as stack => {
        for manager in managers {
            stack.enter(Surviving(manager)).await?;
        }
        let value = body.await?;
        stack.close().await?;
        Ok(value)
    }}
}

async fn owned(managers: VecDeque<Managed>, body: Program) -> Result<u8, Failure> {
    async_with! { AsyncExitStack::<Failure>::new() as stack => {
        let mut handles = Vec::new();
        for manager in managers {
            handles.push(stack.enter_owned(Surviving(manager)).await?);
        }
        let value = body.await?;
        while let Some(handle) = handles.pop() {
            handle.release().await?;
        }
        Ok(value)
    }}
}

async fn owned_before(managers: VecDeque<Managed>, body: Program) -> Result<u8, Failure> {
    async_with! { AsyncExitStack::<Failure>::new() as stack => {
        let mut handles = Vec::new();
        for manager in managers {
            handles.push(stack.enter_owned(Surviving(manager)).await?);
        }
        while let Some(handle) = handles.pop() {
            handle.release().await?;
        }
        body.await
    }}
}

async fn closed_before(managers: VecDeque<Managed>, body: Program) -> Result<u8, Failure> {
    async_with! { AsyncExitStack::<Failure>::new() as stack => {
        for manager in managers {
            stack.enter(Surviving(manager)).await?;
        }
        stack.close().await?;
        body.await
    }}
}

async fn joined_2(a: Managed, b: Managed, body: Program) -> Result<u8, Failure> {
    async_with! { join((Surviving(a), Surviving(b))) => { body.await } }
}

async fn joined_3(a: Managed, b: Managed, c: Managed, body: Program) -> Result<u8, Failure> {
    async_with! { join((Surviving(a), Surviving(b), Surviving(c))) => { body.await } }
}

fn joined(mut managers: VecDeque<Managed>, body: Program) -> Program {
    let number = managers.len();
    let mut next = || managers.pop_front().expect("two or three");
    if number == 2 {
        Box::pin(joined_2(next(), next(), body))
    } else {
        Box::pin(joined_3(next(), next(), next(), body))
    }
}
