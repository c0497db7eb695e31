//! What templates an avatar needs: settled before any frame is encoded.

use super::interval::intervals;
use super::layout::{LayoutError, StripLayout};
use crate::picture::image::Image;
use crate::picture::jpeg::{JpegEncoder, JpegError, JpegSettings, Quality};
use crate::picture::rect::Rect;

/// Bytes that restart markers may add to a frame, in thousandths.
const MAX_GROWTH_PERMILLE: usize = 15;

/// Frame size, JPEG settings and the layout of every frame's box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplatePlan {
    frame_px: (usize, usize),
    settings: JpegSettings,
    layouts: Vec<StripLayout>,
}

impl TemplatePlan {
    /// The plan whose segments under these boxes, one per avatar frame, are the smallest; `None` where splicing does not
    /// pay (see [`super::choose_interval`]) and frames must be encoded whole.
    pub fn choose(frame_px: (usize, usize), boxes: &[Rect], quality: Quality) -> Option<Self> {
        Self::candidates(frame_px, boxes, quality).into_iter().next()
    }

    /// Every plan that pays, the one with the smallest segments under the boxes first.
    pub fn candidates(frame_px: (usize, usize), boxes: &[Rect], quality: Quality) -> Vec<Self> {
        let plan =
            |restart_interval_mcus| Self::new(frame_px, boxes, JpegSettings { quality, restart_interval_mcus }).ok();
        intervals(frame_px, boxes).into_iter().filter_map(plan).collect()
    }

    /// The first of `candidates` whose markers add at most 1.5 % to these frames, or the one that adds least. Smooth drawings
    /// need longer segments than photographs, whose macroblocks have more bytes to share a marker's cost.
    ///
    /// # Errors
    /// [`JpegError`] when a frame cannot be encoded.
    pub fn within_growth(candidates: Vec<Self>, samples: &[Image]) -> Result<Option<Self>, JpegError> {
        let Some(first) = candidates.first() else { return Ok(None) };
        let plain = encoded_len(JpegSettings { restart_interval_mcus: 0, ..first.settings }, samples)?;
        let mut least: Option<(usize, Self)> = None;
        for candidate in candidates {
            let marked = encoded_len(candidate.settings, samples)?;
            if marked.saturating_sub(plain) * 1000 <= plain * MAX_GROWTH_PERMILLE {
                return Ok(Some(candidate));
            }
            if least.as_ref().is_none_or(|(len, _)| marked < *len) {
                least = Some((marked, candidate));
            }
        }
        Ok(least.map(|(_, candidate)| candidate))
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

/// Bytes of all `frames` together.
fn encoded_len(settings: JpegSettings, frames: &[Image]) -> Result<usize, JpegError> {
    let mut encoder = JpegEncoder::new(settings)?;
    let mut jpeg = Vec::new();
    let mut total = 0;
    for frame in frames {
        encoder.encode_to_vec(frame.view(), &mut jpeg)?;
        total += jpeg.len();
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(noise: usize) -> Image {
        let pixel = |i: usize| (128 + i / 3 % 640 / 8 + (i.wrapping_mul(2_654_435_761) >> 20) % (noise + 1)) as u8;
        Image::from_bgr(640, 64, (0..640 * 64 * 3).map(pixel).collect()).unwrap()
    }

    #[test]
    fn smooth_frames_get_longer_segments() {
        let candidates = || TemplatePlan::candidates((640, 64), &[Rect::new(10, 10, 60, 40)], Quality::DEFAULT);
        let interval = |noise| {
            let plan = TemplatePlan::within_growth(candidates(), &[frame(noise)]).unwrap().unwrap();
            plan.settings().restart_interval_mcus
        };
        assert_eq!(interval(90), 8, "rough: the shortest segments under the box");
        assert!(interval(6) > 8, "smooth: fewer markers");
        assert!(TemplatePlan::within_growth(Vec::new(), &[frame(9)]).unwrap().is_none());
    }
}
