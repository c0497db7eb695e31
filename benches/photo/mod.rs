//! A picture for the benches to work on.

use lipsyncd::picture::Image;

/// Smooth shapes with a photograph's amount of noise: about 0.15 MB as a 1280x720 JPEG of quality 75.
pub fn photo(width: usize, height: usize) -> Image {
    let mut state = 1u32;
    let mut data = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = (state >> 28) as f32 - 8.0;
            for (c, phase) in [0.0f32, 1.3, 2.1].into_iter().enumerate() {
                let wave = (x as f32 / 31.0 + phase).sin() * (y as f32 / 23.0 - phase).cos();
                data.push((128.0 + 90.0 * wave + noise * (1.0 + c as f32 * 0.1)).clamp(0.0, 255.0) as u8);
            }
        }
    }
    Image::from_bgr(width, height, data).expect("the size is fixed")
}
