//! What a generator makes of an avatar's pictures before it hears anything, kept: a quarter of its work, the same every time a picture is
//! drawn.

use super::models::{GeneratorModel, Loader};
use crate::avatar::onnx::split;
use crate::avatar::{Bundle, LoadedAvatar};
use crate::backend::BackendError;
use crate::backend::budget::Claim;
use crate::onnxruntime::halves::output_shapes;
use crate::onnxruntime::{Bank, BoundHalves, Halved, Item, Network, OnnxError, TensorSpec};
use crate::picture::{Surround, Unpacker};

/// A generator in halves, and what the first has made of each picture.
pub struct StillPart {
    halved: Halved,
    bank: Bank,
    item_bytes: u64,
    // Declared last: what the bank holds is given back once that has gone.
    taken: Claim,
}

/// One thread's buffers for them.
pub(super) struct BoundStillPart {
    halves: BoundHalves,
}

impl StillPart {
    /// Cuts the avatar's generator, `whole`, of this content in two, where there may be memory for what the first half makes, the network can be cut, and
    /// the halves together give the same bits as the whole.
    ///
    /// # Errors
    /// What ONNX Runtime refuses; the whole generator does without then.
    pub(super) fn of(
        loader: &Loader,
        bundle: &Bundle,
        (whole, content): (&GeneratorModel, &[u8]),
    ) -> Result<Option<Self>, BackendError> {
        let budget = &loader.still_budget;
        if budget.most() == 0 {
            return Ok(None);
        }
        let path = &bundle.generator.path;
        // As it will be run, so that both halves do what the whole does, and hand on what is in blocks of channels as it is.
        let content = Network::optimised(&loader.runtime, path, content)?;
        let Ok(Some(cut)) = split(&content, &bundle.generator.shape.picture.name) else {
            tracing::debug!("{}: no part of it depends on the picture alone", path.display());
            return Ok(None);
        };
        let load = |half: Result<Vec<u8>, _>| match half {
            Ok(half) => Network::load_optimised(&loader.runtime, path, &half, loader.threads).map(Some),
            // It has been read once before.
            Err(_) => Ok(None),
        };
        let Some(first) = load(cut.seeing())? else { return Ok(None) };
        let Some(shapes) = output_shapes(&first, whole.picture(), &cut.seams)? else { return Ok(None) };
        let Some(second) = load(cut.hearing(&shapes))? else { return Ok(None) };
        let seam = |(name, shape): (&&str, Vec<i64>)| TensorSpec { name: (*name).to_owned(), shape };
        let seams: Vec<_> = cut.seams.iter().zip(shapes).map(seam).collect();
        let halved = whole.halved([first, second], seams, cut.both_see);
        if !same_bits(whole, &halved)? {
            tracing::debug!("{}: its halves give other bits than the whole; it is not cut", path.display());
            return Ok(None);
        }
        let (ring_bytes, pictures) = (bundle.recipe.picture_input.geometry().ring_len(), bundle.frames.len());
        let item_bytes = Bank::item_bytes(&halved.seams, ring_bytes) as u64;
        // By all that there is, whatever others have taken of it: they may be on their way out, like this avatar itself as it was before.
        let items = budget.most().checked_div(item_bytes).unwrap_or(0).min(pictures as u64);
        if items == 0 {
            return Ok(None);
        }
        tracing::info!(
            "{}: what it makes of {items} of {pictures} pictures alone is kept once drawn, {:.1} MB each; there is room for {} now",
            path.display(),
            item_bytes as f64 / 1e6,
            (budget.left() / item_bytes).min(items),
        );
        let bank = Bank::new(&halved.seams, ring_bytes, usize::try_from(items).unwrap_or(pictures))?;
        Ok(Some(Self { halved, bank, item_bytes, taken: Claim::nothing(budget) }))
    }

    /// Pictures that are kept.
    pub(super) fn kept(&self) -> usize {
        self.bank.kept()
    }

    /// Pictures that are kept as soon as they are drawn, those that are being drawn included.
    pub(super) fn to_keep(&self) -> usize {
        // In this order one that begins or ends meanwhile is counted, twice at the worst.
        let room = self.taken.budget().left().checked_div(self.item_bytes).unwrap_or(0);
        let begun = self.bank.being_written();
        let missing = self.bank.room() - self.bank.kept();
        missing.min(begun.saturating_add(usize::try_from(room).unwrap_or(usize::MAX)))
    }

    pub(super) fn bind(&self) -> Result<BoundStillPart, OnnxError> {
        Ok(BoundStillPart { halves: BoundHalves::new(&self.halved)? })
    }
}

impl BoundStillPart {
    /// Draws picture `index` to the sound of `context`: the generator's picture and the ring of the crop around it. `None` when the whole
    /// network has to: there is no room for this picture, or another thread is making room.
    pub(super) fn draw<'a>(
        &'a mut self,
        part: &'a StillPart,
        (avatar, index): (&LoadedAvatar, usize),
        context: &[f32],
        crops: &mut Unpacker,
    ) -> Result<Option<(&'a [f32], Surround<'a>)>, BackendError> {
        let kept = match part.bank.item(index) {
            Item::Kept(kept) => {
                if part.halved.item_in_both {
                    avatar.picture_input().fill(avatar.crop(index, crops)?, self.halves.item_mut())?;
                }
                kept
            }
            Item::Blank(mut blank) => {
                let Ok(taken) = part.taken.budget().claim(part.item_bytes) else { return Ok(None) };
                let crop = avatar.crop(index, crops)?;
                avatar.picture_input().fill(crop, self.halves.item_mut())?;
                Surround::Crop(crop).take_ring(avatar.compositor().geometry(), blank.note_mut())?;
                let kept = self.halves.make(blank)?;
                part.taken.merge(taken);
                kept
            }
            Item::Elsewhere => return Ok(None),
        };
        self.halves.other_mut().copy_from_slice(context);
        Ok(Some((self.halves.go_on(kept)?, Surround::Ring(kept.note()))))
    }
}

/// Whether the halves make the same of some noise as the whole, to the bit.
fn same_bits(whole: &GeneratorModel, halved: &Halved) -> Result<bool, OnnxError> {
    let mut state = 1_u32;
    let mut noise = |to: &mut [f32]| {
        for value in to {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *value = (state >> 8) as f32 / (1 << 24) as f32;
        }
    };
    let mut bound = whole.bind()?;
    noise(bound.input_mut(GeneratorModel::PICTURE));
    noise(bound.input_mut(GeneratorModel::CONTEXT));
    bound.run()?;
    let mut halves = BoundHalves::new(halved)?;
    halves.item_mut().copy_from_slice(bound.input_mut(GeneratorModel::PICTURE));
    halves.other_mut().copy_from_slice(bound.input_mut(GeneratorModel::CONTEXT));
    let bank = Bank::new(&halved.seams, 0, 1)?;
    let Item::Blank(blank) = bank.item(0) else { return Ok(false) };
    let kept = halves.make(blank)?;
    let bits = |picture: &[f32]| picture.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    Ok(bits(halves.go_on(kept)?) == bits(bound.output(0)))
}
