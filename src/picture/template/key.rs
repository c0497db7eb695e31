//! What a cached set of templates depends on, as one number.

use sha2::{Digest, Sha256};

use super::plan::TemplatePlan;
use crate::picture::jpeg::{JpegEncoder, JpegError};
use crate::picture::view::View;

/// Raised whenever the cache file's layout or the meaning of its content changes.
const FORMAT: u32 = 3;

/// SHA-256 of one frame's content.
pub type ContentDigest = [u8; 32];

/// SHA-256 of a frame's file as it lies on the disk: cheaper than decoding it to see whether it changed.
pub fn content_digest(file: &[u8]) -> ContentDigest {
    Sha256::digest(file).into()
}

/// Names one set of templates: equal keys mean equal templates, bit for bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CacheKey([u8; 32]);

impl CacheKey {
    /// The key of `plan` on frames with these contents, one per layout, encoded by this very encoder.
    ///
    /// # Errors
    /// [`JpegError`] when the encoder cannot be asked.
    pub fn new(plan: &TemplatePlan, frames: &[ContentDigest]) -> Result<Self, JpegError> {
        let mut hash = Sha256::new();
        hash.update(b"lipsyncd templates");
        hash.update(FORMAT.to_le_bytes());
        let mut number = |n: usize| hash.update((n as u64).to_le_bytes());
        number(plan.frame_px().0);
        number(plan.frame_px().1);
        number(plan.layouts().len());
        number(frames.len());
        for layout in plan.layouts() {
            let area = layout.area();
            [area.x0, area.y0, area.x1, area.y1].into_iter().for_each(&mut number);
        }
        for frame in frames {
            hash.update(frame);
        }
        hash.update(encoder_fingerprint(plan)?);
        Ok(Self(hash.finalize().into()))
    }

    /// The 32 bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Lower-case hexadecimal digits.
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A JPEG of a fixed picture, so that another library version, DCT or table changes the key by itself.
fn encoder_fingerprint(plan: &TemplatePlan) -> Result<[u8; 32], JpegError> {
    const SIDE_PX: usize = 64;
    // Smooth in parts and rough in others, so that all sizes of coefficients occur.
    let pixel = |i: usize| ((i % (SIDE_PX * 3)) / 2 + (i.wrapping_mul(2_654_435_761) >> 14) % (1 + i / 97)) as u8;
    let data: Vec<u8> = (0..SIDE_PX * SIDE_PX * 3).map(pixel).collect();
    let picture =
        View::packed(SIDE_PX, SIDE_PX, &data).map_err(|_| JpegError::Size { width_px: SIDE_PX, height_px: SIDE_PX })?;
    let mut jpeg = Vec::new();
    JpegEncoder::new(plan.settings())?.encode_to_vec(picture, &mut jpeg)?;
    Ok(Sha256::digest(&jpeg).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{JpegSettings, Quality, Rect};

    fn plan(area: Rect, quality: u32, restart_interval_mcus: u16, width: usize) -> TemplatePlan {
        let settings = JpegSettings { quality: Quality::new(quality).unwrap(), restart_interval_mcus };
        TemplatePlan::new((width, 64), &[area, area], settings).unwrap()
    }

    #[test]
    fn whatever_matters_changes_the_key() {
        let area = Rect::new(10, 10, 30, 30);
        let key = |plan: &TemplatePlan, a: u8, b: u8| CacheKey::new(plan, &[[a; 32], [b; 32]]).unwrap();
        let base = plan(area, 75, 2, 128);
        let keys = [
            key(&base, 1, 2),
            key(&base, 2, 1),
            key(&base, 1, 3),
            key(&plan(Rect::new(10, 10, 31, 30), 75, 2, 128), 1, 2),
            key(&plan(area, 76, 2, 128), 1, 2),
            key(&plan(area, 75, 4, 128), 1, 2),
            key(&plan(area, 75, 2, 127), 1, 2),
        ];
        for (i, a) in keys.iter().enumerate() {
            assert!(keys[i + 1..].iter().all(|b| b != a), "{i}");
        }
        assert_eq!(key(&base, 1, 2), keys[0]);
        assert_eq!(keys[0].hex().len(), 64);
    }
}
