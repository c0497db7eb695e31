//! The shapes in which `kernels/native/conv.cu` cuts a convolution, and which is taken where nothing was measured.

use std::ffi::CStr;

/// One of `conv.cu`'s variants.
#[derive(Debug, PartialEq, Eq)]
pub struct ConvTile {
    /// What it is called.
    pub name: &'static str,
    /// For 1x1 windows.
    pub pixel: &'static CStr,
    /// For any others.
    pub window: &'static CStr,
    /// Output pixels of a block.
    pub rows: usize,
    /// Output channels of a block.
    pub columns: usize,
    /// Threads of a block.
    pub threads: u32,
    /// Parts of a sum that run side by side in a block.
    pub slices: usize,
    /// Chunks of a sum in shared memory.
    pub stages: usize,
}

macro_rules! tile {
    ($name:literal, $rows:literal, $columns:literal, $threads:literal, $slices:literal, $stages:literal) => {
        ConvTile {
            name: $name,
            pixel: match CStr::from_bytes_with_nul(concat!("conv_pixel_", $name, "\0").as_bytes()) {
                Ok(name) => name,
                Err(_) => panic!("a name holds a zero"),
            },
            window: match CStr::from_bytes_with_nul(concat!("conv_window_", $name, "\0").as_bytes()) {
                Ok(name) => name,
                Err(_) => panic!("a name holds a zero"),
            },
            rows: $rows,
            columns: $columns,
            threads: $threads,
            slices: $slices,
            stages: $stages,
        }
    };
}

/// As `conv.cu` lists them.
pub static TILES: [ConvTile; 9] = [
    tile!("128x128", 128, 128, 128, 1, 3),
    tile!("128x128_8", 128, 128, 256, 1, 3),
    tile!("128x64", 128, 64, 128, 1, 4),
    tile!("64x64", 64, 64, 128, 1, 4),
    tile!("128x32", 128, 32, 128, 1, 4),
    tile!("32x32", 32, 32, 128, 4, 3),
    tile!("16x32", 16, 32, 128, 4, 3),
    tile!("128x16", 128, 16, 128, 1, 4),
    tile!("32x16", 32, 16, 128, 4, 3),
];

impl ConvTile {
    /// Bytes of shared memory of a block.
    #[must_use]
    pub fn shared_bytes(&self) -> u32 {
        ((self.rows + self.columns) * 64 * self.slices * self.stages) as u32
    }

    /// Whether its columns are packed in groups of 16, each thread storing 4 channels; else 32 and 8.
    #[must_use]
    pub fn is_narrow(&self) -> bool {
        self.columns == 16
    }

    /// Whether it reads the weights of a convolution to `channels` as they are packed.
    #[must_use]
    pub fn fits(&self, channels: usize) -> bool {
        self.is_narrow() == is_narrow(channels)
    }

    /// Blocks for `pixels` and `channels`.
    #[must_use]
    pub fn blocks(&self, pixels: usize, channels: usize) -> usize {
        pixels.div_ceil(self.rows) * channels.div_ceil(self.columns)
    }
}

/// Whether a convolution to `channels` has its weights packed in groups of 16 columns rather than 32.
#[must_use]
pub fn is_narrow(channels: usize) -> bool {
    channels <= 16
}

/// The tiles that read the weights of a convolution to `channels`.
pub fn fitting(channels: usize) -> impl Iterator<Item = usize> {
    (0..TILES.len()).filter(move |&tile| TILES[tile].fits(channels))
}

/// The tile for `pixels` of the whole batch on a GPU of so many multiprocessors: the largest that gives each of them one and a half
/// blocks, and no more than half of which is padding.
#[must_use]
pub fn usual(pixels: usize, channels: usize, multiprocessors: usize) -> usize {
    let fitting = || TILES.iter().enumerate().filter(|(_, tile)| tile.fits(channels));
    let enough = |tile: &ConvTile| {
        let wasteful = channels <= tile.columns / 2 && !tile.is_narrow();
        2 * tile.blocks(pixels, channels) >= 3 * multiprocessors && !wasteful
    };
    let found = fitting().find(|(_, tile)| enough(tile));
    let smallest = || fitting().rfind(|(_, tile)| tile.rows <= pixels.max(32)).or_else(|| fitting().next_back());
    found.or_else(smallest).map_or(0, |(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tile_is_found_for_every_size() {
        for pixels in [1, 31, 100, 1600, 25_600, 3_276_800] {
            for channels in [8, 16, 24, 32, 96, 512, 2048] {
                let tile = &TILES[usual(pixels, channels, 132)];
                assert!(tile.fits(channels), "{pixels} {channels} {tile:?}");
                assert!(tile.shared_bytes() <= 64 << 10, "{tile:?}");
            }
        }
        assert_eq!(TILES[usual(3_276_800, 64, 132)].pixel, c"conv_pixel_128x64");
        assert_eq!(TILES[usual(1600, 2048, 132)].pixel, c"conv_pixel_128x128");
        assert_eq!(TILES[usual(100, 512, 132)].rows, 16);
        assert_eq!(TILES[usual(102_400, 8, 132)].pixel, c"conv_pixel_128x16");
    }
}
