//! What the figures should be, as ratios of one run.

use std::fmt::{self, Display, Formatter};

use crate::count;
use crate::table::{Managers, Pair, Table};

/// Time per level, as a multiple of the same by hand.
const TIME: f64 = 1.2;
/// Bytes per level on top of the same by hand.
const SIZE: f64 = 64.0;
/// Compile time, as a multiple of the same by hand.
const COMPILE_TIME: f64 = 1.5;

/// The aims that this run can speak of.
#[derive(Default)]
pub(crate) struct Aims(Vec<Aim>);

struct Aim {
    what: String,
    measured: f64,
    at_most: f64,
    unit: &'static str,
}

impl Aims {
    /// Of the blocks with the same managers, the worst counts.
    pub(crate) fn size(&mut self, table: &Table) {
        self.worst("size", table, SIZE, "bytes per level more", |pair| {
            (pair.macro_made - pair.by_hand) / count(pair.block.levels)
        });
    }

    /// Of the blocks with the same managers, the worst counts.
    pub(crate) fn time(&mut self, table: &Table) {
        self.worst("time per level", table, TIME, "x by hand", |pair| {
            pair.macro_made / pair.by_hand
        });
    }

    pub(crate) fn compile_time(&mut self, what: &str, ratio: f64) {
        self.0.push(Aim {
            what: format!("compile time: {what}"),
            measured: ratio,
            at_most: COMPILE_TIME,
            unit: "x by hand",
        });
    }

    fn worst(
        &mut self,
        what: &str,
        table: &Table,
        at_most: f64,
        unit: &'static str,
        measure: impl Fn(&Pair) -> f64,
    ) {
        for pair in table.pairs() {
            let what = format!("{what}: {}", Managers(pair.block));
            let measured = measure(&pair);
            match self.0.iter_mut().find(|aim| aim.what == what) {
                Some(aim) => aim.measured = aim.measured.max(measured),
                None => self.0.push(Aim {
                    what,
                    measured,
                    at_most,
                    unit,
                }),
            }
        }
    }
}

impl Display for Aims {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "aims")?;
        for Aim {
            what,
            measured,
            at_most,
            unit,
        } in &self.0
        {
            let met = if measured <= at_most {
                "met"
            } else {
                "NOT MET"
            };
            writeln!(
                f,
                "{what:<40}{measured:>8.2} {unit} (at most {at_most}): {met}"
            )?;
        }
        Ok(())
    }
}
