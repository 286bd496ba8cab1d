//! Where features meet: in each program, each construct does what nested blocks do.
//!
//! A program is an outer block, an environment, one construct or two inside of each other, and a body. It ends by itself, or
//! is hit at a point: while an enter, the body, an exit, or a block in one of these waits, it is dropped, or interrupted from
//! further out. `judge.rs` runs it a second time with nested blocks in place of its constructs, and compares events, outcome
//! and reports; where a construct is documented to differ, it says how and why.
//!
//! Each row prints how many of its cells hold, and some of those that differ: `nested` is what is expected, before the
//! documented differences, and `here` what happened. In a program, `~a` is a scoped manager, `a:Token` one that interrupts,
//! and `a!ExitFails` one that fails. `ASYNC_WITH_SHOWN` sets how many are shown of each kind of difference:
//! `ASYNC_WITH_SHOWN=9 cargo test -p async-with-tests --test matrix -- --nocapture close::`

mod constructs;
mod judge;
mod managers;
mod rows;
mod run;

use constructs::Construct;

/// A test for each construct and family of programs.
macro_rules! rows {
    ($($name:ident: $construct:ident;)+) => {
        $(mod $name {
            use super::{Construct, rows};

            /// STK-1, GEN-6, CAN-6: in every environment, with managers of every kind, however it ends.
            #[test]
            fn alone() -> Result<(), String> {
                rows::row(Construct::$construct, rows::alone_cells, "alone")
            }

            /// CAN-6: what interrupts stands in the construct.
            #[test]
            fn from_within() -> Result<(), String> {
                rows::row(Construct::$construct, rows::from_within_cells, "from within")
            }

            /// STK-1, GEN-6: another construct inside.
            #[test]
            fn pairs() -> Result<(), String> {
                rows::row(Construct::$construct, rows::pairs_cells, "pairs")
            }

            /// The same on several threads.
            #[test]
            fn threads() -> Result<(), String> {
                rows::row(Construct::$construct, rows::threads_cells, "threads")
            }
        })+

        #[test]
        fn there_are_thousands_of_cells() {
            let constructs = [$(Construct::$construct),+];
            assert_eq!(constructs, Construct::ALL);
            let kinds = [rows::alone_cells, rows::from_within_cells, rows::pairs_cells, rows::threads_cells];
            let of = |construct| kinds.map(|cells| cells(construct).len()).iter().sum::<usize>();
            let cells: usize = constructs.map(of).iter().sum();
            println!("{cells} cells");
            assert!(cells > 10_000, "only {cells} cells");
        }
    };
}

rows! {
    items: Items;
    boxed: Boxed;
    in_box: InBox;
    named: Named;
    optional: Optional;
    either: Either;
    mapped: Mapped;
    hooked: Hooked;
    within: Within;
    finish_enter: FinishEnter;
    released: Released;
    generators: Generators;
    named_generators: NamedGenerators;
    around_yield: AroundYield;
    around_yield_named: AroundYieldNamed;
    around_yield_in_stack: AroundYieldInStack;
    stack: Stack;
    suppressing_stack: SuppressingStack;
    popped_into: PoppedInto;
    into_manager: IntoManager;
    close: Close;
    close_in_block: CloseInBlock;
    owned: Owned;
    join: Join;
    released_before: ReleasedBefore;
    owned_before: OwnedBefore;
    closed_before: ClosedBefore;
}
