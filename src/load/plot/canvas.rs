//! Pixels, lines and letters.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use font8x8::legacy::BASIC_LEGACY;

/// Red, green, blue.
pub(super) type Colour = [u8; 3];

pub(super) const WHITE: Colour = [255, 255, 255];
pub(super) const BLACK: Colour = [30, 30, 30];
pub(super) const GREY: Colour = [225, 225, 225];
pub(super) const BLUE: Colour = [45, 105, 175];
pub(super) const GREEN: Colour = [40, 140, 80];
pub(super) const ORANGE: Colour = [225, 125, 20];
pub(super) const RED: Colour = [200, 45, 45];

/// A letter's width, and the height of a line of text.
pub(super) const LETTER_PX: usize = 8;

/// A picture being drawn; what falls outside is left out.
pub(super) struct Canvas {
    width: usize,
    height: usize,
    /// RGB, row by row.
    pixels: Vec<u8>,
}

impl Canvas {
    /// White.
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self { width, height, pixels: WHITE.repeat(width * height) }
    }

    pub(super) fn fill(&mut self, (left, top): (usize, usize), (width, height): (usize, usize), colour: Colour) {
        for y in top..(top + height).min(self.height) {
            for x in left..(left + width).min(self.width) {
                self.pixels[3 * (y * self.width + x)..][..3].copy_from_slice(&colour);
            }
        }
    }

    /// Two pixels thick.
    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: Colour) {
        let steps = (to.0 - from.0).abs().max((to.1 - from.1).abs()).ceil().max(1.0) as usize;
        for step in 0..=steps {
            let part = step as f64 / steps as f64;
            let at = |from: f64, to: f64| (from + (to - from) * part).round().max(0.0) as usize;
            self.fill((at(from.0, to.0), at(from.1, to.1)), (2, 2), colour);
        }
    }

    /// From the top left corner of its first letter. What is not ASCII is a question mark.
    pub(super) fn text(&mut self, (left, top): (usize, usize), text: &str, colour: Colour) {
        for (number, letter) in text.chars().enumerate() {
            let glyph = BASIC_LEGACY.get(letter as usize).unwrap_or(&BASIC_LEGACY[b'?' as usize]);
            for (row, bits) in glyph.iter().enumerate() {
                for column in (0..8).filter(|column| bits >> column & 1 == 1) {
                    self.fill((left + number * LETTER_PX + column, top + row), (1, 1), colour);
                }
            }
        }
    }

    pub(super) fn save(&self, path: &Path) -> Result<(), png::EncodingError> {
        let side = |px: usize| u32::try_from(px).unwrap_or(u32::MAX);
        let mut encoder = png::Encoder::new(BufWriter::new(File::create(path)?), side(self.width), side(self.height));
        encoder.set_color(png::ColorType::Rgb);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.pixels)?;
        writer.finish()
    }
}
