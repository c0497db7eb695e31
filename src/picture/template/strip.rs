//! The strip of one output frame: the background around the box, the generator's picture inside.

use super::layout::StripLayout;
use super::planes::StripPlanes;
use super::set::{Template, TemplateSet};
use crate::picture::composite::{CompositeError, CompositeScratch, Compositor};
use crate::picture::image::ImageError;
use crate::picture::jpeg::{JpegError, YuvPlanes};
use crate::picture::surround::Surround;
use crate::picture::view::{View, ViewMut};

/// Why a strip could not be composed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StripError {
    /// The generator's output could not be pasted.
    #[error(transparent)]
    Composite(#[from] CompositeError),
    /// The strip is larger than those this compositor was fitted to.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The planes are too small for it.
    #[error(transparent)]
    Planes(#[from] JpegError),
}

/// Composes strips for any avatars it was fitted to. One per thread.
#[derive(Debug, Default)]
pub struct StripCompositor {
    bgr: Vec<u8>,
    composite: CompositeScratch,
    planes: StripPlanes,
}

impl StripCompositor {
    /// Empty; [`StripCompositor::fit`] makes it large enough.
    pub fn new() -> Self {
        Self::default()
    }

    /// Grows it so that strips of an avatar are composed without allocating; never shrinks it.
    pub fn fit(&mut self, templates: &TemplateSet, compositor: &Compositor) {
        self.composite.fit(compositor);
        let len = templates.layouts().iter().map(StripLayout::strip_len).max().unwrap_or(0);
        if self.bgr.len() < len {
            self.bgr.resize(len, 0);
        }
        for layout in templates.layouts() {
            self.planes.fit(layout);
        }
    }

    /// The strip as BGR pixels: `template`'s margin and the generator's `output` pasted with `surround` as
    /// [`Compositor::paste`] does.
    ///
    /// # Errors
    /// [`StripError`] when it was not fitted to this avatar or a length is wrong.
    pub fn bgr(
        &mut self,
        template: &Template<'_>,
        compositor: &Compositor,
        output: &[f32],
        surround: Surround<'_>,
    ) -> Result<View<'_>, StripError> {
        let layout = template.layout();
        let (width, height) = layout.strip_px();
        let mut strip = ViewMut::packed(width, height, &mut self.bgr)?;
        template.lay_margin(&mut strip)?;
        compositor.paste(output, surround, layout.hole(), strip, &mut self.composite)?;
        Ok(View::packed(width, height, &self.bgr)?)
    }

    /// The same strip as YUV 4:2:0 planes, for [`super::PatchEncoder::encode_planes`].
    ///
    /// # Errors
    /// As [`StripCompositor::bgr`].
    pub fn planes(
        &mut self,
        template: &Template<'_>,
        compositor: &Compositor,
        output: &[f32],
        surround: Surround<'_>,
    ) -> Result<YuvPlanes<'_>, StripError> {
        let (width, height) = template.layout().strip_px();
        self.bgr(template, compositor, output, surround)?;
        self.planes.fill(View::packed(width, height, &self.bgr)?)?;
        Ok(self.planes.planes()?)
    }
}
