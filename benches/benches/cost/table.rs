//! Figures of all blocks, side by side.

use std::fmt::{self, Display, Formatter};

use async_with_benches::{Block, Form, Kind, LEVELS, blocks};

/// One figure for each block that was measured.
pub(crate) struct Table {
    title: &'static str,
    figures: Vec<(Block, f64)>,
}

impl Table {
    /// Asks for the figure of every block.
    pub(crate) fn new(title: &'static str, mut figure: impl FnMut(Block) -> f64) -> Self {
        Self::of(title, blocks().map(|block| (block, figure(block))))
    }

    /// Figures that are there already.
    pub(crate) fn of(title: &'static str, figures: impl IntoIterator<Item = (Block, f64)>) -> Self {
        Self {
            title,
            figures: figures.into_iter().collect(),
        }
    }

    /// What the macro and what the same by hand costs, for each block.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = Pair> {
        self.figures.iter().filter_map(|&(block, macro_made)| {
            let guarded = Block {
                form: Form::Guarded,
                ..block
            };
            (block.form == Form::Block).then_some(())?;
            Some(Pair {
                block,
                macro_made,
                by_hand: self.figure(guarded)?,
            })
        })
    }

    fn figure(&self, block: Block) -> Option<f64> {
        let (_, figure) = self.figures.iter().find(|(other, _)| *other == block)?;
        Some(*figure)
    }
}

/// Two figures to compare.
pub(crate) struct Pair {
    pub(crate) block: Block,
    pub(crate) macro_made: f64,
    pub(crate) by_hand: f64,
}

/// Which managers a block has, in words.
pub(crate) struct Managers(pub(crate) Block);

impl Display for Managers {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let kind = match self.0.kind {
            Kind::Scoped => "scoped",
            Kind::Surviving => "surviving",
        };
        let pace = if self.0.yields { "yielding" } else { "ready" };
        write!(f, "{kind}, {pace}")
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        writeln!(
            f,
            "{:<22}{:>8}{:>12}{:>12}{:>12}{:>9}{:>14}",
            "managers",
            "levels",
            "no guarantee",
            "by hand",
            "async_with!",
            "ratio",
            "more per level"
        )?;
        for pair in self.pairs() {
            let Pair {
                block,
                macro_made,
                by_hand,
            } = pair;
            let plain = Block {
                form: Form::Plain,
                ..block
            };
            let name = if block.levels == LEVELS[0] {
                Managers(block).to_string()
            } else {
                String::new()
            };
            let plain = self.figure(plain).unwrap_or(f64::NAN);
            let more = (macro_made - by_hand) / super::count(block.levels);
            let ratio = macro_made / by_hand;
            writeln!(
                f,
                "{name:<22}{:>8}{plain:>12.0}{by_hand:>12.0}{macro_made:>12.0}{ratio:>9.2}{more:>14.1}",
                block.levels
            )?;
        }
        writeln!(f)
    }
}
