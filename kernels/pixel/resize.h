/* One pixel of a resized patched crop: the integer arithmetic of src/picture/resize. */
#ifndef PIXEL_RESIZE_H
#define PIXEL_RESIZE_H

#include "pixel/patched.h"

/* The weighted sum over 4x4 neighbours, exact in 32 bits, rounded once: src/picture/resize/cubic.rs. */
PIXEL Bgr cubic_pixel(const void *generated, Type type, const u8 *crop, Geometry g, Tap column, Tap row) {
    i32 sum[3] = {1 << 21, 1 << 21, 1 << 21};
    Bgr out;
    for (i32 j = 0; j < 4; j++) {
        i32 line[3] = {0, 0, 0};
        for (i32 i = 0; i < 4; i++) {
            Bgr pixel = patched_pixel(generated, type, crop, g, column.source[i], row.source[j]);
            for (i32 c = 0; c < 3; c++) {
                line[c] += pixel.channel[c] * column.weight[i];
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
PIXEL Bgr linear_pixel(const void *generated, Type type, const u8 *crop, Geometry g, Tap column, Tap row) {
    i32 sum[3] = {2, 2, 2};
    Bgr out;
    for (i32 j = 0; j < 2; j++) {
        Bgr left = patched_pixel(generated, type, crop, g, column.source[0], row.source[j]);
        Bgr right = patched_pixel(generated, type, crop, g, column.source[1], row.source[j]);
        for (i32 c = 0; c < 3; c++) {
            i32 line = left.channel[c] * column.weight[0] + right.channel[c] * column.weight[1];
            sum[c] += (row.weight[j] * (line >> 4)) >> 16;
        }
    }
    for (i32 c = 0; c < 3; c++) {
        out.channel[c] = clamp_byte(sum[c] >> 2);
    }
    return out;
}

#endif
