//! One thread's worth of CPU: bound buffers for each network it has met, and scratch for the pixels.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::models::{GeneratorModel, Table};
use super::still::BoundStillPart;
use crate::avatar::LoadedAvatar;
use crate::backend::draw::{Easel, Patcher, Source};
use crate::backend::{BackendError, Lane, ModelId};
use crate::batch::policy::BatchKey;
use crate::batch::slot::StageTimes;
use crate::batch::{Filled, InFlight, Ready, Slot};
use crate::onnxruntime::{BoundNetwork, small_blocks};
use crate::picture::{Surround, Unpacker};

/// Buffers for one encoder, kept while it is loaded.
struct BoundEncoder {
    id: ModelId,
    network: BoundNetwork,
}

/// Buffers for one avatar's generator and strips, kept while it is loaded.
struct BoundGenerator {
    id: ModelId,
    network: BoundNetwork,
    /// The generator itself, with what it keeps of its pictures, and buffers for that.
    still: Option<(Arc<GeneratorModel>, BoundStillPart)>,
    patcher: Patcher,
}

impl BoundGenerator {
    fn new(id: ModelId, model: Arc<GeneratorModel>) -> Result<Self, BackendError> {
        let network = model.bind()?;
        let still = model.still.as_ref().map(|part| part.bind()).transpose()?;
        Ok(Self { id, network, still: still.map(|bound| (model, bound)), patcher: Patcher::default() })
    }
}

/// The generator's buffers, and those for what it keeps of pictures.
type Networks<'a> = (&'a mut BoundNetwork, &'a mut Option<(Arc<GeneratorModel>, BoundStillPart)>);

/// The generated picture of frame `index` and what surrounds it, by what is kept of the avatar's picture or by the whole network.
fn generate<'a>(
    (network, still): Networks<'a>,
    (avatar, crops): (&'a LoadedAvatar, &'a mut Unpacker),
    slot: &Slot<InFlight>,
    index: usize,
) -> Result<Source<'a>, BackendError> {
    let job = slot.frame(index);
    if let Some((model, bound)) = still
        && let Some(part) = &model.still
        && job.picture.is_none()
        && let Some((picture, surround)) = bound.draw(part, (avatar, job.avatar_frame), slot.staged(index), crops)?
    {
        return Ok(Source::Generated { picture, surround });
    }
    let crop = avatar.crop(job.avatar_frame, crops)?;
    stage_inputs(network, (avatar, crop), slot, index)?;
    network.run()?;
    Ok(Source::Generated { picture: network.output(0), surround: Surround::Crop(crop) })
}

pub(super) struct CpuLane {
    table: Arc<Table>,
    epoch: u64,
    encoders: Vec<BoundEncoder>,
    generators: Vec<BoundGenerator>,
    easel: Easel,
    crops: Unpacker,
}

impl CpuLane {
    pub(super) fn new(table: Arc<Table>) -> Self {
        let epoch = table.epoch();
        Self {
            table,
            epoch,
            encoders: Vec::new(),
            generators: Vec::new(),
            easel: Easel::default(),
            crops: Unpacker::new(),
        }
    }

    /// Lets go of networks that were unloaded since the last batch.
    fn forget_unloaded(&mut self) {
        let epoch = self.table.epoch();
        if self.epoch != epoch {
            self.epoch = epoch;
            self.encoders.retain(|bound| self.table.find_encoder(bound.id).is_some());
            self.generators.retain(|bound| self.table.find_generator(bound.id).is_some());
        }
    }

    fn encode(&mut self, id: ModelId, slot: &mut Slot<InFlight>) -> Result<StageTimes, BackendError> {
        let at = match self.encoders.iter().position(|bound| bound.id == id) {
            Some(at) => at,
            None => {
                let network = self.table.find_encoder(id).ok_or(BackendError::Unloaded)?.bind()?;
                self.encoders.push(BoundEncoder { id, network });
                self.encoders.len() - 1
            }
        };
        let network = &mut self.encoders[at].network;
        let start = Instant::now();
        for index in 0..slot.len() {
            network.input_mut(0).copy_from_slice(slot.staged(index));
            network.run()?;
            slot.feature_mut(index).copy_from_slice(network.output(0));
        }
        Ok(StageTimes { network: start.elapsed(), composite: Duration::ZERO })
    }

    fn render(&mut self, id: ModelId, slot: &mut Slot<InFlight>) -> Result<StageTimes, BackendError> {
        let Some(avatar) = slot.avatar().map(Arc::clone) else { return Err(BackendError::Unloaded) };
        let at = match self.generators.iter().position(|bound| bound.id == id) {
            Some(at) => at,
            None => {
                let model = self.table.find_generator(id).ok_or(BackendError::Unloaded)?;
                self.easel.fit(&avatar);
                self.generators.push(BoundGenerator::new(id, model)?);
                self.generators.len() - 1
            }
        };
        let mut times = StageTimes::default();
        for index in 0..slot.len() {
            match self.draw((at, &avatar), slot, index) {
                Ok(took) => {
                    times.network += took.network;
                    times.composite += took.composite;
                }
                Err(error) => slot.fail_frame(index, error),
            }
        }
        Ok(times)
    }

    fn draw(
        &mut self,
        (at, avatar): (usize, &LoadedAvatar),
        slot: &mut Slot<InFlight>,
        index: usize,
    ) -> Result<StageTimes, BackendError> {
        let BoundGenerator { network, still, patcher, .. } = &mut self.generators[at];
        let start = Instant::now();
        let (avatar_frame, format) = (slot.frame(index).avatar_frame, slot.frame(index).format);
        let source = generate((network, still), (avatar, &mut self.crops), slot, index)?;
        let network = start.elapsed();
        self.easel.draw(avatar, patcher, avatar_frame, source, (format, slot.output_mut(index)))?;
        Ok(StageTimes { network, composite: start.elapsed() - network })
    }
}

impl Lane for CpuLane {
    fn rest(&mut self) {
        self.forget_unloaded();
        small_blocks::trim_after_network();
    }

    fn submit(&mut self, slot: Slot<Filled>) -> Slot<InFlight> {
        self.forget_unloaded();
        slot.launch()
    }

    fn complete(&mut self, mut slot: Slot<InFlight>) -> Slot<Ready> {
        let outcome = match slot.key() {
            BatchKey::Encode(id) => self.encode(id, &mut slot),
            BatchKey::Render(id) => self.render(id, &mut slot),
        };
        slot.land(outcome)
    }
}

fn stage_inputs(
    network: &mut BoundNetwork,
    (avatar, crop): (&LoadedAvatar, &[u8]),
    slot: &Slot<InFlight>,
    index: usize,
) -> Result<(), BackendError> {
    let job = slot.frame(index);
    let picture = network.input_mut(GeneratorModel::PICTURE);
    match &job.picture {
        Some(client) => picture.copy_from_slice(client.as_slice()),
        None => avatar.picture_input().fill(crop, picture)?,
    }
    network.input_mut(GeneratorModel::CONTEXT).copy_from_slice(slot.staged(index));
    Ok(())
}
