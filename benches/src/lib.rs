//! Blocks whose cost is compared: what the macro makes of them, and what one would write by hand.
//!
//! Every block is written in three forms, for one, two, four and eight nested managers of either kind:
//!
//! - [`Form::Plain`] is enter, body, exit, one after another. An early return or a panic skips the exits.
//! - [`Form::Guarded`] is written by hand, with the guarantee that the macro gives. See [`guard`].
//! - [`Form::Block`] is `async_with!`.

use std::future::Future;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

pub mod guard;

/// What the managers and the bodies can fail with.
#[derive(Debug)]
pub struct Failure(pub u64);

/// Something that can fail, for `?` in the bodies. The optimizer does not know that it does not.
///
/// # Errors
///
/// When the value is one that no body uses.
pub fn check(value: u64) -> Result<u64, Failure> {
    if black_box(value) == u64::MAX {
        Err(Failure(value))
    } else {
        Ok(value)
    }
}

/// How often an enter and an exit suspend.
pub trait Pace: Send + 'static {
    /// Suspends, or does not.
    fn step() -> impl Future<Output = ()> + Send;
}

/// Never suspends.
pub enum Ready {}

impl Pace for Ready {
    fn step() -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// Suspends once.
pub enum Yielding {}

impl Pace for Yielding {
    fn step() -> impl Future<Output = ()> + Send {
        Yield { yielded: false }
    }
}

struct Yield {
    yielded: bool,
}

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.yielded, true) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

/// Which form of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Without any guarantee.
    Plain,
    /// By hand, with the guarantee.
    Guarded,
    /// The macro.
    Block,
}

/// Which kind of manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `ScopedAsyncContextManager`.
    Scoped,
    /// `AsyncContextManager`.
    Surviving,
}

/// The forms, in the order of the columns.
pub const FORMS: [Form; 3] = [Form::Plain, Form::Guarded, Form::Block];
/// How many managers are nested.
pub const LEVELS: [usize; 4] = [1, 2, 4, 8];

/// One block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// The kind of its managers.
    pub kind: Kind,
    /// Whether each enter and each exit suspends once. They never do, otherwise.
    pub yields: bool,
    /// How many managers it has.
    pub levels: usize,
    /// How it is written.
    pub form: Form,
}

/// All blocks.
pub fn blocks() -> impl Iterator<Item = Block> {
    let kinds = [Kind::Scoped, Kind::Surviving];
    let kinds = kinds
        .into_iter()
        .flat_map(|kind| [false, true].map(|yields| (kind, yields)));
    kinds.flat_map(|(kind, yields)| {
        LEVELS.into_iter().flat_map(move |levels| {
            FORMS.map(|form| Block {
                kind,
                yields,
                levels,
                form,
            })
        })
    })
}

impl Block {
    /// Passes the block's future on to the visitor.
    ///
    /// # Panics
    ///
    /// When there is no block with so many levels.
    pub fn visit<V: Visitor>(self, visitor: V) -> V::Output {
        let Self {
            kind,
            yields,
            levels,
            form,
        } = self;
        match (kind, yields) {
            (Kind::Scoped, false) => scoped::visit::<Ready, V>(form, levels, visitor),
            (Kind::Scoped, true) => scoped::visit::<Yielding, V>(form, levels, visitor),
            (Kind::Surviving, false) => surviving::visit::<Ready, V>(form, levels, visitor),
            (Kind::Surviving, true) => surviving::visit::<Yielding, V>(form, levels, visitor),
        }
    }
}

/// What is done with a block's future, whose type has no name.
pub trait Visitor {
    /// What comes of it.
    type Output;

    /// Gets the function that makes the future.
    fn visit<F: Future<Output = Result<u64, Failure>>>(self, make: impl Fn() -> F) -> Self::Output;
}

/// Runs a block so many times.
pub struct Repeat(pub usize);

impl Visitor for Repeat {
    type Output = ();

    #[inline(never)]
    fn visit<F: Future<Output = Result<u64, Failure>>>(self, make: impl Fn() -> F) {
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..self.0 {
            let mut future = pin!(make());
            let result = loop {
                if let Poll::Ready(result) = future.as_mut().poll(&mut cx) {
                    break result;
                }
            };
            assert!(black_box(result).is_ok(), "nothing fails in a measurement");
        }
    }
}

/// The size of a block's future.
pub struct Size;

impl Visitor for Size {
    type Output = usize;

    fn visit<F: Future<Output = Result<u64, Failure>>>(self, make: impl Fn() -> F) -> usize {
        size_of_val(&make())
    }
}

/// Enter, body, exit.
macro_rules! plain {
    ($body:block) => { $body };
    ($body:block $resource:ident = $manager:expr, $($rest:tt)*) => {{
        let mut manager = $manager;
        let mut resource = manager.enter().await?;
        let value = {
            let $resource = &mut resource;
            plain!($body $($rest)*)
        };
        manager.exit(resource, Cause::Completed).await?;
        value
    }};
}

/// The three forms of the blocks of one kind. `guarded!` of the module is one level by hand.
macro_rules! blocks {
    ($manager:ident: $(
        $levels:literal => $plain:ident $guarded:ident $block:ident [$($resource:ident = $number:literal),+] $sum:expr;
    )+) => {
        $(
            async fn $plain<P: Pace>() -> Result<u64, Failure> {
                Ok(plain!({ check($sum)? + 1 } $($resource = $manager::<P>::new($number),)+))
            }

            async fn $guarded<P: Pace>() -> Result<u64, Failure> {
                guarded!({ Ok::<_, Failure>(check($sum)? + 1) } $($resource = $manager::<P>::new($number),)+)
            }

            async fn $block<P: Pace>() -> Result<u64, Failure> {
                Ok(async_with! { $($manager::<P>::new($number) as $resource),+ => { check($sum)? + 1 } })
            }
        )+

        pub(crate) fn visit<P: Pace, V: Visitor>(form: Form, levels: usize, visitor: V) -> V::Output {
            match (form, levels) {
                $(
                    (Form::Plain, $levels) => visitor.visit($plain::<P>),
                    (Form::Guarded, $levels) => visitor.visit($guarded::<P>),
                    (Form::Block, $levels) => visitor.visit($block::<P>),
                )+
                _ => panic!("no block has {levels} levels"),
            }
        }
    };
    ($manager:ident) => {
        blocks! { $manager:
            1 => plain_1 guarded_1 block_1 [a = 1] *a;
            2 => plain_2 guarded_2 block_2 [a = 1, b = 2] *a + *b;
            4 => plain_4 guarded_4 block_4 [a = 1, b = 2, c = 3, d = 4] *a + *b + *c + *d;
            8 => plain_8 guarded_8 block_8
                [a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8]
                *a + *b + *c + *d + *e + *f + *g + *h;
        }
    };
}

mod scoped;
mod surviving;
