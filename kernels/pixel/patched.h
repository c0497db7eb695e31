/* The crop with its inner square replaced by the generator's picture, never stored: each byte is made where it is read. */
#ifndef PIXEL_PATCHED_H
#define PIXEL_PATCHED_H

#include "params.h"
#include "pixel/half.h"
#include "pixel/unit.h"

typedef struct {
    i32 channel[3]; /* B, G, R */
} Bgr;

/* `generated` is [3, size, size] of one frame. `Compositor::patch_crop` of src/picture/composite.rs is the same. */
PIXEL Bgr patched_pixel(const void *generated, Type type, const u8 *crop, Geometry g, i32 x, i32 y) {
    i32 side = g.size + 2 * g.border, inner_x = x - g.border, inner_y = y - g.border;
    Bgr out;
    if ((u32)inner_x < (u32)g.size && (u32)inner_y < (u32)g.size) {
        i32 plane = g.size * g.size, at = inner_y * g.size + inner_x;
        for (i32 c = 0; c < 3; c++) {
            out.channel[c] = unit_to_byte(load_value(generated, (u64)(g.planes[c] * plane + at), type));
        }
    } else {
        const u8 *pixel = crop + (u64)((y * side + x) * 3);
        for (i32 c = 0; c < 3; c++) {
            out.channel[c] = pixel[c];
        }
    }
    return out;
}

#endif
