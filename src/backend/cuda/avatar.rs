//! What the GPU keeps of an avatar: the crops, the strips around the boxes, and what each box is mixed from. About half a
//! megabyte a frame of 1280x720; whole frames stay on the host, as templates, unless nvJPEG encodes them.

use std::collections::HashMap;
use std::sync::Arc;

use super::kernels::params::{FrameAddresses, FrameParams, Geometry, Tap};
use crate::avatar::LoadedAvatar;
use crate::backend::BackendError;
use crate::backend::budget::{Budget, Claim};
use crate::cuda::{DeviceBuf, Plain, Stream};
use crate::picture::template::packed_len;
use crate::picture::{CHANNELS, Rect, Unpacker, ViewMut};

/// Addresses of crops and strips are multiples of this, so that they are read in whole words.
const ALIGN: usize = 16;

// SAFETY: eight 16-bit integers, without padding.
unsafe impl Plain for Tap {}

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

/// Of avatars whose frames the GPU pastes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strips {
    /// They are whole frames, for nvJPEG; else what is spliced on the host.
    pub whole: bool,
    /// Bytes from one frame's planes to the next's, enough for the largest.
    pub stride: usize,
    /// The largest width and the largest height.
    pub largest_px: (usize, usize),
}

impl DeviceAvatar {
    /// Uploads what is needed of `avatar` in the order of `loader`, whole frames with `whole`, and waits until it is there. Lanes that
    /// work meanwhile are not held up.
    ///
    /// # Errors
    /// [`BackendError::DeviceFull`] beyond `budget`, [`BackendError::Cuda`] when the GPU itself has no room.
    pub fn upload(
        loader: &Arc<Stream>,
        budget: &Arc<Budget>,
        avatar: &LoadedAvatar,
        whole: bool,
    ) -> Result<Self, BackendError> {
        let places: Vec<Place> = (0..avatar.frame_count()).map(|index| Place::of(avatar, index, whole)).collect();
        let crop_len = avatar.compositor().geometry().crop_len().next_multiple_of(ALIGN);
        let (taps, tap_starts) = taps_of(avatar)?;
        let pixels_len: usize = places.iter().map(|place| crop_len + place.strip_len()).sum();
        let needed = (pixels_len + size_of_val(&*taps)) as u64;
        let full = |used| BackendError::DeviceFull { needed, used, most: budget.most() };
        let claim = budget.claim(needed).map_err(full)?;
        let pixels = DeviceBuf::on_stream(loader, pixels_len)?;
        let tables = DeviceBuf::on_stream(loader, size_of_val(&*taps))?;
        tables.write(0, &taps, loader)?;
        let mut unpacker = Unpacker::new();
        let (mut at, mut strip, mut frames) = (0, Vec::new(), Vec::with_capacity(places.len()));
        for (index, place) in places.iter().enumerate() {
            pixels.write(at, avatar.crop(index, &mut unpacker)?, loader)?;
            place.fetch(avatar, index, &mut strip)?;
            pixels.write(at + crop_len, &strip, loader)?;
            let area = avatar.face_box(index);
            let (columns, rows) = tap_starts[&(area.width_px(), area.height_px())];
            let addresses = FrameAddresses {
                crop: pixels.ptr().offset(at).0,
                strip: pixels.ptr().offset(at + crop_len).0,
                columns: tables.ptr().offset(columns * size_of::<Tap>()).0,
                rows: tables.ptr().offset(rows * size_of::<Tap>()).0,
            };
            frames.push(FrameParams::new(addresses, place.size_px, place.hole, 0));
            at += crop_len + place.strip_len();
        }
        loader.synchronize()?;
        Ok(Self {
            geometry: Geometry::from(avatar.picture_input()),
            frames,
            strips: strips_of(&places),
            _pixels: pixels,
            _taps: tables,
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
    pub fn frame(&self, index: usize, out: usize) -> FrameParams {
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

/// What of a frame is on the GPU around its box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    kind: Kind,
    size_px: (usize, usize),
    /// The box in it.
    hole: Rect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nothing,
    Strip,
    Frame,
}

impl Place {
    fn of(avatar: &LoadedAvatar, index: usize, whole: bool) -> Self {
        if whole {
            return Self { kind: Kind::Frame, size_px: avatar.size_px(), hole: avatar.face_box(index) };
        }
        match avatar.strip_layout(index) {
            Some(layout) => Self { kind: Kind::Strip, size_px: layout.strip_px(), hole: layout.hole() },
            None => Self { kind: Kind::Nothing, size_px: (0, 0), hole: Rect::new(0, 0, 0, 0) },
        }
    }

    fn strip_len(&self) -> usize {
        (self.size_px.0 * self.size_px.1 * CHANNELS).next_multiple_of(ALIGN)
    }

    /// Its pixels into `out`; those of the box do not matter.
    fn fetch(&self, avatar: &LoadedAvatar, index: usize, out: &mut Vec<u8>) -> Result<(), BackendError> {
        let (width, height) = self.size_px;
        out.clear();
        match (self.kind, avatar.templates()) {
            (Kind::Frame, _) => out.extend_from_slice(avatar.pixels(index)?.data()),
            (Kind::Strip, Some(set)) => {
                out.resize(width * height * CHANNELS, 0);
                let template = set.template(index).ok_or(BackendError::Unloaded)?;
                template.lay_margin(&mut ViewMut::packed(width, height, out)?)?;
            }
            _ => {}
        }
        Ok(())
    }
}

fn strips_of(places: &[Place]) -> Option<Strips> {
    let kind = places.first()?.kind;
    let sizes = || places.iter().map(|place| place.size_px);
    (kind != Kind::Nothing).then_some(())?;
    let stride = sizes().map(packed_len).max()?.next_multiple_of(256);
    let largest_px = (sizes().map(|px| px.0).max()?, sizes().map(|px| px.1).max()?);
    Some(Strips { whole: kind == Kind::Frame, stride, largest_px })
}
