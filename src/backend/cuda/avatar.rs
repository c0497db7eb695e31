//! What the GPU keeps of an avatar: the crops, the strips around the boxes, and what each box is mixed from. About half a
//! megabyte a frame of 1280x720; whole frames stay on the host, as templates.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::kernels::params::{FrameAddresses, FrameParams, Geometry, Tap};
use crate::avatar::LoadedAvatar;
use crate::avatar::frame_store::Pictures;
use crate::backend::BackendError;
use crate::cuda::{Context, DeviceBuf, Plain};
use crate::picture::template::{StripLayout, TemplateSet, packed_len};
use crate::picture::{CHANNELS, Rect, ViewMut};

/// Addresses of crops and strips are multiples of this, so that they are read in whole words.
const ALIGN: usize = 16;

// SAFETY: eight 16-bit integers, without padding.
unsafe impl Plain for Tap {}

/// Bytes of avatars on one GPU, against a bound.
#[derive(Debug)]
pub struct Budget {
    most: u64,
    used: AtomicU64,
}

/// An avatar's part of the budget, given back when it drops.
#[derive(Debug)]
struct Claim {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Budget {
    /// Room for `most` bytes.
    #[must_use]
    pub fn new(most: u64) -> Arc<Self> {
        Arc::new(Self { most, used: AtomicU64::new(0) })
    }

    /// Bytes in use.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    fn claim(self: &Arc<Self>, bytes: u64) -> Result<Claim, BackendError> {
        let take = |used: u64| used.checked_add(bytes).filter(|&used| used <= self.most);
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .map_err(|used| BackendError::DeviceFull { needed: bytes, used, most: self.most })?;
        Ok(Claim { budget: Arc::clone(self), bytes })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// An avatar's pictures on the GPU. Batches in flight hold it, so that an unloaded avatar's memory goes after the last.
#[derive(Debug)]
pub struct DeviceAvatar {
    geometry: Geometry,
    frames: Vec<FrameParams>,
    strips: Option<Strips>,
    _pixels: DeviceBuf,
    _taps: DeviceBuf,
    _claim: Claim,
}

/// Of avatars whose frames are spliced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strips {
    /// Bytes from one frame's planes to the next's, enough for the largest.
    pub stride: usize,
    /// The largest width and the largest height.
    pub largest_px: (usize, usize),
}

impl DeviceAvatar {
    /// Uploads what is needed of `avatar`.
    ///
    /// # Errors
    /// [`BackendError::DeviceFull`] beyond `budget`, [`BackendError::Cuda`] when the GPU itself has no room.
    pub fn upload(context: &Arc<Context>, budget: &Arc<Budget>, avatar: &LoadedAvatar) -> Result<Self, BackendError> {
        let set = match avatar.pictures() {
            Pictures::Templates { set, .. } => Some(set),
            Pictures::Pixels(_) => None,
        };
        let count = avatar.frame_count();
        let crop_len = avatar.compositor().geometry().crop_len().next_multiple_of(ALIGN);
        let (taps, tap_starts) = taps_of(avatar)?;
        let mut pixels = Vec::new();
        let mut places = Vec::with_capacity(count);
        for index in 0..count {
            let crop_at = pixels.len();
            pixels.extend_from_slice(avatar.crop(index));
            pixels.resize(crop_at + crop_len, 0);
            let strip_at = pixels.len();
            if let Some(set) = set {
                append_strip(set, index, &mut pixels)?;
                pixels.resize(pixels.len().next_multiple_of(ALIGN), 0);
            }
            places.push((crop_at, strip_at));
        }
        let bytes = (pixels.len() + size_of_val(&*taps)) as u64;
        let claim = budget.claim(bytes)?;
        let pixels = DeviceBuf::from_slice(context, &pixels)?;
        let taps = DeviceBuf::from_slice(context, &taps)?;
        let frame = |(index, &(crop_at, strip_at)): (usize, &(usize, usize))| {
            let area = avatar.face_box(index);
            let (columns, rows) = tap_starts[&(area.width_px(), area.height_px())];
            let at = FrameAddresses {
                crop: pixels.ptr().offset(crop_at).0,
                strip: pixels.ptr().offset(strip_at).0,
                columns: taps.ptr().offset(columns * size_of::<Tap>()).0,
                rows: taps.ptr().offset(rows * size_of::<Tap>()).0,
            };
            let layout = set.and_then(|set| set.layouts().get(index));
            let (strip_px, hole) = layout.map_or(((0, 0), Rect::new(0, 0, 0, 0)), |l| (l.strip_px(), l.hole()));
            FrameParams::new(at, strip_px, hole, 0)
        };
        Ok(Self {
            geometry: Geometry::from(avatar.picture_input()),
            frames: places.iter().enumerate().map(frame).collect(),
            strips: set.and_then(|set| strips_of(set.layouts())),
            _pixels: pixels,
            _taps: taps,
            _claim: claim,
        })
    }

    /// What all frames share.
    #[must_use]
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// What the kernels are told of picture `index`, to put its planes at byte `out`.
    #[must_use]
    pub fn frame(&self, index: usize, out: u32) -> FrameParams {
        self.frames[index].with_out(out)
    }

    /// How large its strips are; none when its frames are not spliced.
    #[must_use]
    pub fn strips(&self) -> Option<Strips> {
        self.strips
    }
}

/// The tables of every size among the avatar's boxes, and for each size where its columns and rows start.
type TapStarts = HashMap<(usize, usize), (usize, usize)>;

fn taps_of(avatar: &LoadedAvatar) -> Result<(Vec<Tap>, TapStarts), BackendError> {
    let (mut taps, mut starts) = (Vec::new(), HashMap::new());
    for index in 0..avatar.frame_count() {
        let area = avatar.face_box(index);
        let size = (area.width_px(), area.height_px());
        if starts.contains_key(&size) {
            continue;
        }
        let own = avatar.compositor().taps(size)?;
        let columns = taps.len();
        taps.extend(own.columns.into_iter().map(Tap::from));
        let rows = taps.len();
        taps.extend(own.rows.into_iter().map(Tap::from));
        starts.insert(size, (columns, rows));
    }
    Ok((taps, starts))
}

/// Appends the strip of frame `index`, black where the box is.
fn append_strip(set: &TemplateSet, index: usize, pixels: &mut Vec<u8>) -> Result<(), BackendError> {
    let Some(template) = set.template(index) else { return Err(BackendError::Unloaded) };
    let (width, height) = template.layout().strip_px();
    let start = pixels.len();
    pixels.resize(start + width * height * CHANNELS, 0);
    template.lay_margin(&mut ViewMut::packed(width, height, &mut pixels[start..])?)?;
    Ok(())
}

fn strips_of(layouts: &[StripLayout]) -> Option<Strips> {
    let sizes = || layouts.iter().map(StripLayout::strip_px);
    let stride = sizes().map(packed_len).max()?.next_multiple_of(256);
    Some(Strips { stride, largest_px: (sizes().map(|px| px.0).max()?, sizes().map(|px| px.1).max()?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_kept_to_the_byte_and_given_back() {
        let budget = Budget::new(100);
        let first = budget.claim(60).unwrap();
        let error = budget.claim(41).unwrap_err();
        assert!(matches!(error, BackendError::DeviceFull { needed: 41, used: 60, most: 100 }), "{error}");
        let second = budget.claim(40).unwrap();
        drop(first);
        assert_eq!(budget.used(), 40);
        drop(second);
        assert_eq!(budget.used(), 0);
    }
}
