//! What templates an avatar needs: settled before any frame is encoded.

use super::interval::choose_interval;
use super::layout::{LayoutError, StripLayout};
use crate::picture::jpeg::{JpegSettings, Quality};
use crate::picture::rect::Rect;

/// Frame size, JPEG settings and the layout of every frame's box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplatePlan {
    frame_px: (usize, usize),
    settings: JpegSettings,
    layouts: Vec<StripLayout>,
}

impl TemplatePlan {
    /// The plan with the best interval for these boxes, one per avatar frame; `None` where splicing does not pay (see
    /// [`choose_interval`]) and frames must be encoded whole.
    pub fn choose(frame_px: (usize, usize), boxes: &[Rect], quality: Quality) -> Option<Self> {
        let restart_interval_mcus = choose_interval(frame_px, boxes)?;
        Self::new(frame_px, boxes, JpegSettings { quality, restart_interval_mcus }).ok()
    }

    /// The plan with a given interval.
    ///
    /// # Errors
    /// [`LayoutError`] when a box reaches outside the frame or the interval does not divide a row.
    pub fn new(frame_px: (usize, usize), boxes: &[Rect], settings: JpegSettings) -> Result<Self, LayoutError> {
        let layout = |area: &Rect| StripLayout::new(frame_px, *area, settings.restart_interval_mcus);
        let layouts = boxes.iter().map(layout).collect::<Result<_, _>>()?;
        Ok(Self { frame_px, settings, layouts })
    }

    /// The plan of some frames of another plan, with other settings but the same interval.
    pub(super) fn from_layouts(frame_px: (usize, usize), settings: JpegSettings, layouts: Vec<StripLayout>) -> Self {
        Self { frame_px, settings, layouts }
    }

    /// Width and height of every frame.
    pub fn frame_px(&self) -> (usize, usize) {
        self.frame_px
    }

    /// Quality and restart interval.
    pub fn settings(&self) -> JpegSettings {
        self.settings
    }

    /// One layout per avatar frame.
    pub fn layouts(&self) -> &[StripLayout] {
        &self.layouts
    }
}
