//! One thread's worth of CPU: bound buffers for each network it has met, and scratch for the pixels.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::models::{GeneratorModel, Table};
use crate::avatar::LoadedAvatar;
use crate::backend::{BackendError, FrameFormat, Lane, ModelId};
use crate::batch::policy::BatchKey;
use crate::batch::slot::StageTimes;
use crate::batch::{Filled, InFlight, Ready, Slot};
use crate::onnxruntime::BoundNetwork;
use crate::picture::{CompositeScratch, JpegEncoder, JpegSettings, Quality, ViewMut};

/// Buffers for one network, kept while it is loaded.
struct Bound {
    id: ModelId,
    network: BoundNetwork,
}

pub(super) struct CpuLane {
    table: Arc<Table>,
    epoch: u64,
    encoders: Vec<Bound>,
    generators: Vec<Bound>,
    composite: CompositeScratch,
    /// The frame being composited, BGR.
    frame: Vec<u8>,
    jpeg: Vec<(Quality, JpegEncoder)>,
}

impl CpuLane {
    pub(super) fn new(table: Arc<Table>) -> Self {
        Self {
            epoch: table.epoch(),
            table,
            encoders: Vec::new(),
            generators: Vec::new(),
            composite: CompositeScratch::new(),
            frame: Vec::new(),
            jpeg: Vec::new(),
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
        let table = &self.table;
        let bound =
            bound_for(&mut self.encoders, id, || Ok(table.find_encoder(id).ok_or(BackendError::Unloaded)?.bind()?))?;
        let start = Instant::now();
        for index in 0..slot.len() {
            bound.input_mut(0).copy_from_slice(slot.staged(index));
            bound.run()?;
            slot.feature_mut(index).copy_from_slice(bound.output(0));
        }
        Ok(StageTimes { network: start.elapsed(), composite: Duration::ZERO })
    }

    fn render(&mut self, id: ModelId, slot: &mut Slot<InFlight>) -> Result<StageTimes, BackendError> {
        let Some(avatar) = slot.avatar().map(Arc::clone) else { return Err(BackendError::Unloaded) };
        let table = &self.table;
        let bound = bound_for(&mut self.generators, id, || {
            Ok(table.find_generator(id).ok_or(BackendError::Unloaded)?.bind()?)
        })?;
        self.composite.fit(avatar.compositor());
        if self.frame.len() < avatar.bgr_bytes() {
            self.frame.resize(avatar.bgr_bytes(), 0);
        }
        let mut times = StageTimes::default();
        for index in 0..slot.len() {
            let start = Instant::now();
            stage_inputs(bound, &avatar, slot, index)?;
            bound.run()?;
            let generated = Instant::now();
            times.network += generated - start;
            let drawn =
                draw(&avatar, slot.frame(index).avatar_frame, bound.output(0), &mut self.composite, &mut self.frame)?;
            finish(&mut self.jpeg, &avatar, drawn, slot, index)?;
            times.composite += generated.elapsed();
        }
        Ok(times)
    }
}

impl Lane for CpuLane {
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

/// The lane's buffers for network `id`, made when it is first met.
fn bound_for(
    known: &mut Vec<Bound>,
    id: ModelId,
    bind: impl FnOnce() -> Result<BoundNetwork, BackendError>,
) -> Result<&mut BoundNetwork, BackendError> {
    let at = match known.iter().position(|bound| bound.id == id) {
        Some(at) => at,
        None => {
            known.push(Bound { id, network: bind()? });
            known.len() - 1
        }
    };
    Ok(&mut known[at].network)
}

fn stage_inputs(
    bound: &mut BoundNetwork,
    avatar: &LoadedAvatar,
    slot: &Slot<InFlight>,
    index: usize,
) -> Result<(), BackendError> {
    let job = slot.frame(index);
    let picture = bound.input_mut(GeneratorModel::PICTURE);
    match &job.picture {
        Some(client) => picture.copy_from_slice(client.as_slice()),
        None => avatar.picture_input().fill(avatar.crop(job.avatar_frame), picture)?,
    }
    bound.input_mut(GeneratorModel::CONTEXT).copy_from_slice(slot.staged(index));
    Ok(())
}

/// Draws the generator's picture into a copy of the avatar's frame.
fn draw<'f>(
    avatar: &LoadedAvatar,
    avatar_frame: usize,
    generated: &[f32],
    scratch: &mut CompositeScratch,
    frame: &'f mut [u8],
) -> Result<ViewMut<'f>, BackendError> {
    let source = avatar.frame(avatar_frame);
    let pixels = &mut frame[..avatar.bgr_bytes()];
    pixels.copy_from_slice(source.data());
    let mut view = ViewMut::packed(source.width_px(), source.height_px(), pixels)?;
    let (crop, area) = (avatar.crop(avatar_frame), avatar.face_box(avatar_frame));
    avatar.compositor().paste(generated, crop, area, view.reborrow(), scratch)?;
    Ok(view)
}

/// Makes of the frame what its session asked for.
fn finish(
    encoders: &mut Vec<(Quality, JpegEncoder)>,
    avatar: &LoadedAvatar,
    drawn: ViewMut<'_>,
    slot: &mut Slot<InFlight>,
    index: usize,
) -> Result<(), BackendError> {
    match slot.frame(index).format {
        FrameFormat::Jpeg(quality) => {
            let encoder = encoder_for(encoders, quality)?;
            slot.output_mut(index).fill(|out| encoder.encode(drawn.as_view(), out))?;
        }
        FrameFormat::Bgr => {
            let view = drawn.as_view();
            slot.output_mut(index).fill(|out| {
                let bytes = avatar.bgr_bytes();
                out[..bytes].copy_from_slice(&view.data()[..bytes]);
                Ok::<_, BackendError>(bytes)
            })?;
        }
    }
    Ok(())
}

fn encoder_for(encoders: &mut Vec<(Quality, JpegEncoder)>, quality: Quality) -> Result<&mut JpegEncoder, BackendError> {
    let at = match encoders.iter().position(|(known, _)| *known == quality) {
        Some(at) => at,
        None => {
            let settings = JpegSettings { quality, ..JpegSettings::default() };
            encoders.push((quality, JpegEncoder::new(settings)?));
            encoders.len() - 1
        }
    };
    Ok(&mut encoders[at].1)
}
