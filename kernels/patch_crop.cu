/* patch_crop_f32, patch_crop_f16: each frame's crop with its inner square replaced by the generator's picture.
 *
 *   generated  [batch, 3, size, size] f32 or f16
 *   frames     [batch]
 *   out        [batch, side, side] pixels of 4 bytes: B, G, R, 0; side = size + 2 * border
 *
 * Made once, so that the resize after it, which reads each pixel up to 16 times for each pixel of the box, neither converts
 * nor branches.
 *
 * Grid: x covers the side * side pixels, y = batch (`grid::patch_crop`).
 * Tested with paste_planes, against `Compositor::patch_crop` of src/picture. */
#include "params.h"
#include "pixel/half.h"
#include "pixel/unit.h"

PIXEL void patch_pixel(const void *generated, const FrameParams *frames, u32 *out, Geometry g, Type type) {
    i32 side = g.size + 2 * g.border, at = (i32)(blockIdx.x * blockDim.x + threadIdx.x);
    if (at >= side * side) {
        return;
    }
    i32 y = at / side, inner_x = at - y * side - g.border, inner_y = y - g.border;
    u32 channel[3];
    if ((u32)inner_x < (u32)g.size && (u32)inner_y < (u32)g.size) {
        u64 plane = (u64)(g.size * g.size), pixel = (u64)blockIdx.y * 3 * plane + (u64)(inner_y * g.size + inner_x);
        for (i32 c = 0; c < 3; c++) {
            channel[c] = unit_to_byte(load_value(generated, pixel + (u64)g.planes[c] * plane, type));
        }
    } else {
        const u8 *pixel = frames[blockIdx.y].crop + (u64)at * 3;
        for (i32 c = 0; c < 3; c++) {
            channel[c] = pixel[c];
        }
    }
    out[(u64)blockIdx.y * (u64)(side * side) + (u64)at] = channel[0] | channel[1] << 8 | channel[2] << 16;
}

KERNEL(patch_crop_f32)(const f32 *generated, const FrameParams *frames, u32 *out, Geometry g) {
    patch_pixel(generated, frames, out, g, F32);
}

KERNEL(patch_crop_f16)(const u16 *generated, const FrameParams *frames, u32 *out, Geometry g) {
    patch_pixel(generated, frames, out, g, F16);
}
