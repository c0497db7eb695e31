/* One pixel of a resized patched crop: the integer arithmetic of src/picture/resize. */
#ifndef PIXEL_RESIZE_H
#define PIXEL_RESIZE_H

#include "params.h"

/* A crop as patch_crop_* leaves it: B, G, R, 0. */
typedef struct {
    const u32 *pixels;
    i32 side, interpolation;
} Patched;

typedef struct {
    i32 channel[3]; /* B, G, R */
} Bgr;

PIXEL i32 channel_of(u32 pixel, i32 c) { return (i32)(pixel >> 8 * c & 0xFF); }

/* The weighted sum over 4x4 neighbours, exact in 32 bits, rounded once: src/picture/resize/cubic.rs. */
PIXEL Bgr cubic_pixel(Patched crop, Tap column, Tap row) {
    i32 sum[3] = {1 << 21, 1 << 21, 1 << 21};
    Bgr out;
    for (i32 j = 0; j < 4; j++) {
        const u32 *pixels = crop.pixels + row.source[j] * crop.side;
        i32 line[3] = {0, 0, 0};
        for (i32 i = 0; i < 4; i++) {
            u32 pixel = pixels[column.source[i]];
            for (i32 c = 0; c < 3; c++) {
                line[c] += channel_of(pixel, c) * column.weight[i];
            }
        }
        for (i32 c = 0; c < 3; c++) {
            sum[c] += line[c] * row.weight[j];
        }
    }
    for (i32 c = 0; c < 3; c++) {
        out.channel[c] = sum[c] < 0 ? 0 : min_i32(sum[c] >> 22, 255);
    }
    return out;
}

/* OpenCV's columns first, then its rows with products cut to their high 16 bits: src/picture/resize/linear.rs. Its exact
 * halving, a rounded 2x2 mean, is this with weights of one half, to the bit. */
PIXEL Bgr linear_pixel(Patched crop, Tap column, Tap row) {
    i32 sum[3] = {2, 2, 2};
    Bgr out;
    for (i32 j = 0; j < 2; j++) {
        const u32 *pixels = crop.pixels + row.source[j] * crop.side;
        u32 left = pixels[column.source[0]], right = pixels[column.source[1]];
        for (i32 c = 0; c < 3; c++) {
            i32 line = channel_of(left, c) * column.weight[0] + channel_of(right, c) * column.weight[1];
            sum[c] += (row.weight[j] * (line >> 4)) >> 16;
        }
    }
    for (i32 c = 0; c < 3; c++) {
        out.channel[c] = clamp_byte(sum[c] >> 2);
    }
    return out;
}

PIXEL Bgr resized_pixel(Patched crop, Tap column, Tap row) {
    return crop.interpolation == CUBIC ? cubic_pixel(crop, column, row) : linear_pixel(crop, column, row);
}

#endif
