/* picture_input_f32, picture_input_f16: the generator's picture input, out of the avatar's crops.
 *
 *   frames  [batch]; only `crop` is read: [side, side, 3] BGR bytes, side = size + 2 * border
 *   out     [batch, 6, size, size] f32 or f16: the inner square / 255, and again with the mask painted black; aligned to
 *           16 bytes
 *
 * Grid: x covers size * ceil(size / 8) threads, each with 8 pixels of a row, y = batch (`grid::picture_input`). Where size
 * is a multiple of 8 (320) each plane is stored 16 bytes at a time, and the crop read 4 at a time where it is aligned.
 * Tested against `PictureInput::fill` of src/picture/input.rs by tests/kernels. */
#include "params.h"
#include "pixel/half.h"
#include "pixel/unit.h"

#define RUN 8

PIXEL i32 is_masked(Geometry g, i32 x, i32 y) {
    return x >= g.mask[0] && x < g.mask[0] + g.mask[2] && y >= g.mask[1] && y < g.mask[1] + g.mask[3];
}

PIXEL void load_run(const u8 *pixels, i32 count, u8 bytes[3 * RUN]) {
    if (count == RUN && is_aligned(pixels, 4)) {
        for (i32 i = 0; i < 3 * RUN; i += 4) {
            Bytes4 four = *(const Bytes4 *)(pixels + i);
            for (i32 k = 0; k < 4; k++) {
                bytes[i + k] = four.byte[k];
            }
        }
    } else {
        for (i32 i = 0; i < 3 * RUN; i++) {
            bytes[i] = i < 3 * count ? pixels[i] : 0;
        }
    }
}

PIXEL void store_run(void *out, u64 at, const f32 values[RUN], i32 count, Type type) {
    if (type == F16 && count == RUN && is_aligned((u16 *)out + at, 16)) {
        Halves8 halves;
        for (i32 i = 0; i < RUN; i++) {
            halves.bits[i] = float_to_half(values[i]);
        }
        *(Halves8 *)((u16 *)out + at) = halves;
    } else if (type == F32 && count == RUN && is_aligned((f32 *)out + at, 16)) {
        for (i32 i = 0; i < RUN; i += 4) {
            Floats4 four;
            for (i32 k = 0; k < 4; k++) {
                four.value[k] = values[i + k];
            }
            *(Floats4 *)((f32 *)out + at + i) = four;
        }
    } else {
        for (i32 i = 0; i < RUN; i++) {
            if (i < count) {
                store_value(out, at + (u64)i, values[i], type);
            }
        }
    }
}

PIXEL void fill_run(const FrameParams *frames, void *out, Geometry g, Type type) {
    i32 runs = (g.size + RUN - 1) / RUN, side = g.size + 2 * g.border;
    i32 at = (i32)(blockIdx.x * blockDim.x + threadIdx.x), y = at / runs, x = at % runs * RUN;
    if (y >= g.size) {
        return;
    }
    i32 count = min_i32(RUN, g.size - x);
    u8 bytes[3 * RUN];
    load_run(frames[blockIdx.y].crop + (u64)(((y + g.border) * side + x + g.border) * 3), count, bytes);
    u64 plane = (u64)(g.size * g.size), first = (u64)blockIdx.y * 6 * plane + (u64)(y * g.size + x);
    for (i32 c = 0; c < 3; c++) {
        f32 open[RUN], masked[RUN];
        for (i32 i = 0; i < RUN; i++) {
            open[i] = byte_to_unit(bytes[3 * i + c]);
            masked[i] = is_masked(g, x + i, y) ? 0.0f : open[i];
        }
        store_run(out, first + (u64)g.planes[c] * plane, open, count, type);
        store_run(out, first + (u64)(3 + g.planes[c]) * plane, masked, count, type);
    }
}

KERNEL(picture_input_f32)(const FrameParams *frames, f32 *out, Geometry g) { fill_run(frames, out, g, F32); }

KERNEL(picture_input_f16)(const FrameParams *frames, u16 *out, Geometry g) { fill_run(frames, out, g, F16); }
