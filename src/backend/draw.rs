//! From the generator's picture, or the strip that a GPU made of it, to what the session asked for: a spliced JPEG, a whole one, or
//! pixels.

use crate::avatar::LoadedAvatar;
use crate::avatar::frame_store::Pictures;
use crate::backend::{BackendError, FrameFormat};
use crate::batch::PooledBuf;
use crate::picture::template::{
    PatchEncoder, PatchError, SpliceError, StripCompositor, StripLayout, Template, TemplateSet, splice, splice_segments,
};
use crate::picture::{CompositeScratch, JpegEncoder, JpegSettings, Quality, Surround, Unpacker, ViewMut, YuvPlanes};

/// One thread's scratch for the pixels of every avatar it has met.
#[derive(Default)]
pub(super) struct Easel {
    strip: StripCompositor,
    composite: CompositeScratch,
    /// A whole frame being composited, BGR.
    frame: Vec<u8>,
    jpeg: Option<JpegEncoder>,
    crops: Unpacker,
}

/// What a frame is drawn from.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// The generator's picture, `[3, size, size]`, and what surrounds it.
    Generated { picture: &'a [f32], surround: Surround<'a> },
    /// The strip with that picture in it, where [`takes_planes`] says so.
    Planes(YuvPlanes<'a>),
}

/// Whether picture `index` of `avatar` can be drawn as `format` from the planes of its strip: it needs no other pixels.
pub(super) fn takes_planes(avatar: &LoadedAvatar, index: usize, format: FrameFormat) -> bool {
    format.quality().is_some() && avatar.strip_layout(index).is_some_and(StripLayout::planes_are_exact)
}

/// The encoder for one avatar's strips, once one was asked for. It serves every quality: what clients ask for costs no memory.
#[derive(Default)]
pub(super) struct Patcher(Option<PatchEncoder>);

impl Easel {
    /// Makes room for an avatar's frames, so that drawing them allocates nothing.
    pub(super) fn fit(&mut self, avatar: &LoadedAvatar) {
        match avatar.templates() {
            Some(set) => self.strip.fit(set, avatar.compositor()),
            None => self.fit_whole(avatar),
        }
    }

    fn fit_whole(&mut self, avatar: &LoadedAvatar) {
        self.composite.fit(avatar.compositor());
        if self.frame.len() < avatar.bgr_bytes() {
            self.frame.resize(avatar.bgr_bytes(), 0);
        }
    }

    /// Draws `source` on picture `index` and writes it to `out` as `format`.
    ///
    /// # Errors
    /// [`BackendError`]; planes where they do not do are [`PatchError::Planes`].
    pub(super) fn draw(
        &mut self,
        avatar: &LoadedAvatar,
        patcher: &mut Patcher,
        index: usize,
        source: Source<'_>,
        (format, out): (FrameFormat, &mut PooledBuf),
    ) -> Result<(), BackendError> {
        let pixels = || match source {
            Source::Generated { picture, surround } => Ok((picture, surround)),
            Source::Planes(_) => Err(BackendError::Patch(PatchError::Planes)),
        };
        match (format.quality(), avatar.pictures()) {
            (Some(quality), Pictures::Templates { set, on_demand }) => {
                let patcher = patcher.at(set, quality)?;
                // Of a patch alone no background is sent, and the pixels that surround the face are the same at any quality.
                if quality == set.settings().quality || matches!(format, FrameFormat::PatchJpeg(_)) {
                    let template = set.template(index).ok_or(BackendError::Unloaded)?;
                    return self.patch(avatar, &template, patcher, source, (format, out));
                }
                let decode = || avatar.pixels(index).map(std::borrow::Cow::into_owned);
                let own = on_demand.get_or_build(set, index, quality, decode).map_err(Box::new)?;
                let own = own.ok_or(BackendError::Unloaded)?;
                let template = own.template(0).ok_or(BackendError::Unloaded)?;
                out.make_room(own.max_frame_len());
                self.patch(avatar, &template, patcher, source, (format, out))
            }
            (Some(_), Pictures::Pixels(_)) if matches!(format, FrameFormat::PatchSegments(_)) => {
                Err(BackendError::NoSegments)
            }
            (Some(quality), Pictures::Pixels(_)) => {
                let drawn = composite(avatar, index, pixels()?, &mut self.composite, &mut self.frame)?;
                let encoder = encoder_at(&mut self.jpeg, quality)?;
                out.fill(|bytes| encoder.encode(drawn.as_view(), bytes))?;
                Ok(())
            }
            (None, _) => {
                self.fit_whole(avatar);
                composite(avatar, index, pixels()?, &mut self.composite, &mut self.frame)?;
                let pixels = &self.frame[..avatar.bgr_bytes()];
                out.fill(|bytes| {
                    bytes[..pixels.len()].copy_from_slice(pixels);
                    Ok(pixels.len())
                })
            }
        }
    }

    /// Draws the generator's `picture` as [`Self::draw`] does, for whoever has not unpacked the crop already.
    ///
    /// # Errors
    /// As [`Self::draw`].
    pub(super) fn draw_generated(
        &mut self,
        avatar: &LoadedAvatar,
        patcher: &mut Patcher,
        index: usize,
        picture: &[f32],
        to: (FrameFormat, &mut PooledBuf),
    ) -> Result<(), BackendError> {
        let mut crops = std::mem::take(&mut self.crops);
        let crop = avatar.crop(index, &mut crops).map_err(BackendError::from);
        let drawn = crop.and_then(|crop| {
            let source = Source::Generated { picture, surround: Surround::Crop(crop) };
            self.draw(avatar, patcher, index, source, to)
        });
        self.crops = crops;
        drawn
    }

    /// Encodes the strip under the face and writes it, or the frame it makes, as `format`.
    fn patch(
        &mut self,
        avatar: &LoadedAvatar,
        template: &Template<'_>,
        patcher: &mut PatchEncoder,
        source: Source<'_>,
        (format, out): (FrameFormat, &mut PooledBuf),
    ) -> Result<(), BackendError> {
        let layout = template.layout();
        let patch = match source {
            Source::Planes(planes) => patcher.encode_planes(layout, planes)?,
            Source::Generated { picture, surround } if layout.planes_are_exact() => {
                patcher.encode_planes(layout, self.strip.planes(template, avatar.compositor(), picture, surround)?)?
            }
            Source::Generated { picture, surround } => {
                patcher.encode(layout, self.strip.bgr(template, avatar.compositor(), picture, surround)?)?
            }
        };
        match format {
            FrameFormat::PatchJpeg(_) => out.fill(|bytes| put_all(patch.jpeg(), bytes))?,
            FrameFormat::PatchSegments(_) => out.fill(|bytes| splice_segments(template, &patch, bytes))?,
            FrameFormat::Jpeg(_) | FrameFormat::Bgr => out.fill(|bytes| splice(template, &patch, bytes))?,
        }
        Ok(())
    }
}

impl Patcher {
    /// The encoder, at `quality`.
    fn at(&mut self, set: &TemplateSet, quality: Quality) -> Result<&mut PatchEncoder, BackendError> {
        let encoder = match &mut self.0 {
            Some(encoder) => encoder,
            none => none.insert(PatchEncoder::new(set)?),
        };
        encoder.set_quality(quality)?;
        Ok(encoder)
    }
}

/// Draws the generator's picture into a copy of the avatar's frame.
fn composite<'f>(
    avatar: &LoadedAvatar,
    index: usize,
    (picture, surround): (&[f32], Surround<'_>),
    scratch: &mut CompositeScratch,
    frame: &'f mut [u8],
) -> Result<ViewMut<'f>, BackendError> {
    let source = avatar.pixels(index)?;
    let (width_px, height_px) = avatar.size_px();
    let pixels = &mut frame[..avatar.bgr_bytes()];
    let mut view = ViewMut::packed(width_px, height_px, pixels)?;
    view.copy_from(source.view())?;
    avatar.compositor().paste(picture, surround, avatar.face_box(index), view.reborrow(), scratch)?;
    Ok(view)
}

/// Copies `bytes` to the start of `out` and returns how many they are.
fn put_all(bytes: &[u8], out: &mut [u8]) -> Result<usize, SpliceError> {
    let room = SpliceError::Buffer { len: out.len() };
    out.get_mut(..bytes.len()).ok_or(room)?.copy_from_slice(bytes);
    Ok(bytes.len())
}

/// The encoder of whole frames, made when it is first asked for, at `quality`.
fn encoder_at(encoder: &mut Option<JpegEncoder>, quality: Quality) -> Result<&mut JpegEncoder, BackendError> {
    let encoder = match encoder {
        Some(encoder) => encoder,
        none => none.insert(JpegEncoder::new(JpegSettings::default())?),
    };
    encoder.set_quality(quality)?;
    Ok(encoder)
}
