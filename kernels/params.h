/* What the host hands to the kernels. Mirrored by src/backend/cuda/kernels/params.rs; a test compares sizes and offsets. */
#ifndef PARAMS_H
#define PARAMS_H

#include "pixel/base.h"

/* One destination column or row of a resize: which source columns or rows it mixes, with which 11-bit weights. Indices
 * are clamped already, which replicates the border. Bilinear uses the first two. */
typedef struct ALIGNED(16) {
    u16 source[4];
    i16 weight[4];
} Tap;

/* One frame of a batch. */
typedef struct ALIGNED(8) {
    /* [side, side, 3] BGR bytes of the avatar's frame, side = size + 2 * border; 4-byte alignment is faster. */
    const u8 *crop;
    /* [strip_h, strip_w, 3] BGR background; what lies inside the hole is not read. */
    const u8 *strip;
    /* One for each column of the hole; their sources are columns of the crop. */
    const Tap *columns;
    /* One for each row of the hole; their sources are rows of the crop. */
    const Tap *rows;
    /* Pixels of the strip that exist. */
    i32 strip_w, strip_h;
    /* The box, inside the strip, half-open. */
    i32 hole_x0, hole_y0, hole_x1, hole_y1;
    /* Where this frame's planes start in the batch's output, in bytes; even. */
    u64 out;
} FrameParams;

typedef enum { CUBIC = 0, LINEAR = 1 } Interpolation;

/* What all frames of a batch share: they are one avatar's. */
typedef struct {
    /* Pixels a side of the generator's picture, and of the crop around it. */
    i32 size, border;
    /* The generator's plane that holds B, G, R. */
    i32 planes[3];
    /* x, y, width, height inside the generator's picture. */
    i32 mask[4];
    /* An Interpolation. */
    i32 interpolation;
} Geometry;

#endif
