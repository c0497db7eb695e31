/* Two by two pixels of a strip with the generator's picture in its hole, and their YUV 4:2:0. */
#ifndef PIXEL_QUAD_H
#define PIXEL_QUAD_H

#include "pixel/resize.h"

/* Where a strip's planes lie, one packed after the other, and how large they are: Y [height, width], then U and V
 * [height / 2, width / 2]. Width is in whole MCUs of 16 pixels, height in whole chroma rows: `StripPlanes` of
 * src/picture/template/planes.rs. */
typedef struct {
    i32 width, height;
    u64 u, v, len;
} PlaneLayout;

PIXEL PlaneLayout plane_layout(FrameParams frame) {
    PlaneLayout layout;
    layout.width = (frame.strip_w + 15) / 16 * 16;
    layout.height = (frame.strip_h + 1) / 2 * 2;
    layout.u = (u64)layout.width * (u64)layout.height;
    layout.v = layout.u + layout.u / 4;
    layout.len = layout.v + layout.u / 4;
    return layout;
}

/* The pixel at (x, y) of the strip: the background, or the box with the generator's picture in it. */
PIXEL Bgr strip_pixel(Patched crop, FrameParams frame, i32 x, i32 y) {
    if (x >= frame.hole_x0 && x < frame.hole_x1 && y >= frame.hole_y0 && y < frame.hole_y1) {
        return resized_pixel(crop, frame.columns[x - frame.hole_x0], frame.rows[y - frame.hole_y0]);
    }
    const u8 *pixel = frame.strip + ((u64)y * (u64)frame.strip_w + (u64)x) * 3;
    Bgr out;
    for (i32 c = 0; c < 3; c++) {
        out.channel[c] = pixel[c];
    }
    return out;
}

/* Y, U, V of one pixel. Colour: `rgb_ycc_convert` of libjpeg-turbo 3.1 jccolor.c, in 16-bit fixed point. */
typedef struct {
    i32 y, u, v;
} Yuv;

PIXEL Yuv to_yuv(Bgr pixel) {
    const i32 half = 1 << 15, centre = (128 << 16) + half - 1;
    i32 b = pixel.channel[0], g = pixel.channel[1], r = pixel.channel[2];
    Yuv out;
    out.y = (19595 * r + 38470 * g + 7471 * b + half) >> 16;
    out.u = (32768 * b - 11059 * r - 21709 * g + centre) >> 16;
    out.v = (32768 * r - 27439 * g - 5329 * b + centre) >> 16;
    return out;
}

/* Writes quad (qx, qy) of the strip into its planes. What lies beyond the strip's own pixels repeats its last column and
 * row. Chroma: `h2v2_downsample` of jcsample.c, the mean rounded with a bias that alternates 1, 2 along the row. */
PIXEL void paste_quad(Patched crop, FrameParams frame, i32 qx, i32 qy, u8 *planes) {
    PlaneLayout layout = plane_layout(frame);
    i32 u = 1 + (qx & 1), v = u;
    for (i32 j = 0; j < 2; j++) {
        i32 left = 0, right = 0;
        for (i32 i = 0; i < 2; i++) {
            i32 x = min_i32(2 * qx + i, frame.strip_w - 1), y = min_i32(2 * qy + j, frame.strip_h - 1);
            Yuv pixel = to_yuv(strip_pixel(crop, frame, x, y));
            left = right;
            right = pixel.y;
            u += pixel.u;
            v += pixel.v;
        }
        Bytes2 luma = {{(u8)left, (u8)right}};
        *(Bytes2 *)(planes + (u64)(2 * qy + j) * (u64)layout.width + (u64)(2 * qx)) = luma;
    }
    u64 at = (u64)qy * (u64)(layout.width / 2) + (u64)qx;
    planes[layout.u + at] = (u8)(u >> 2);
    planes[layout.v + at] = (u8)(v >> 2);
}

#endif
