//! The ways in which an operation may run, and which is taken where nothing was measured.

use super::block_tiles;
use super::lower::Choice;
use super::program::{Conv, Op};
use super::tiles::{fitting, usual};

/// Columns of a picture from which on an inverted residual usually runs as one kernel.
const LEAST_WIDTH: usize = 40;

impl Op {
    /// How it runs over `batch` items on a GPU of so many multiprocessors, where nothing was measured; `can` says what runs there.
    #[must_use]
    pub fn usual_choice(&self, batch: usize, multiprocessors: usize, can: impl Fn(Choice) -> bool) -> Choice {
        let tile = |conv: &Conv| usual(batch * conv.to.pixels(), conv.to.channels, multiprocessors);
        match self {
            Self::Conv(op) => Choice::Conv(tile(op)),
            Self::Block(op) => {
                // The kernel that takes it whole cuts pictures 16 columns wide: small ones would be mostly padding.
                let large = op.project.to.width >= LEAST_WIDTH;
                let whole = block_tiles::fitting(op).map(Choice::Whole).filter(|&choice| large && can(choice));
                whole.last().unwrap_or_else(|| Choice::Apart(tile(&op.expand), tile(&op.project)))
            }
            _ => Choice::Plain,
        }
    }

    /// All the ways in which it may run.
    #[must_use]
    pub fn choices(&self) -> Vec<Choice> {
        match self {
            Self::Conv(op) => fitting(op.to.channels).map(Choice::Conv).collect(),
            Self::Block(op) => {
                let lasts = || fitting(op.project.to.channels);
                let apart = fitting(op.expand.to.channels)
                    .flat_map(|first| lasts().map(move |last| Choice::Apart(first, last)));
                block_tiles::fitting(op).map(Choice::Whole).chain(apart).collect()
            }
            _ => vec![Choice::Plain],
        }
    }
}
