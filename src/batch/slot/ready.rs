//! A slot whose batch is done: who gets what.

use super::{Body, Free, Ready, Slot, StageTimes};
use crate::avatar::onnx::FEATURE_LEN;
use crate::backend::BackendError;
use crate::batch::pool::PooledBuf;
use crate::batch::work::Work;

impl Slot<Ready> {
    /// Time the batch took, all items together, or why it failed.
    ///
    /// # Errors
    /// The backend's, for every item of the batch.
    pub fn outcome(&self) -> Result<StageTimes, &BackendError> {
        self.state.outcome.as_ref().copied()
    }

    /// The work of the batch.
    pub(crate) fn work(&self) -> &[Work] {
        &self.body.work
    }

    /// Items that are counted and that did not fail.
    pub(crate) fn seen(&self) -> usize {
        let failed = |index: usize| self.body.failed.iter().any(|(at, _)| *at == index);
        let seen = self.body.work.iter().enumerate();
        seen.filter(|(index, work)| !work.is_unseen() && !failed(*index)).count()
    }

    /// Gives each item of a batch of windows its feature.
    pub(crate) fn each_feature(&self, mut take: impl FnMut(&Work, &[f32])) {
        for (work, feature) in self.body.work.iter().zip(self.body.features.chunks_exact(FEATURE_LEN)) {
            take(work, feature);
        }
    }

    /// Gives each item of a frame batch its picture, by value, or why there is none.
    pub(crate) fn each_frame(&mut self, mut take: impl FnMut(&Work, Result<PooledBuf, &BackendError>)) {
        let Body { work, outputs, failed, .. } = &mut *self.body;
        for (index, (work, output)) in work.iter().zip(outputs.drain(..)).enumerate() {
            let failure = failed.iter().find(|(at, _)| *at == index);
            take(work, failure.map_or(Ok(output), |(_, error)| Err(error)));
        }
    }

    /// Why the first of the frames that failed alone did.
    pub(crate) fn first_failure(&self) -> Option<&BackendError> {
        self.body.failed.first().map(|(_, error)| error)
    }

    /// Empties the slot for the next batch.
    #[must_use]
    pub fn recycle(mut self) -> Slot<Free> {
        let body = &mut *self.body;
        body.work.clear();
        body.frames.clear();
        body.outputs.clear();
        body.failed.clear();
        body.avatar = None;
        self.with_state(Free(()))
    }
}
