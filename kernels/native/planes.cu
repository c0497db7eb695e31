/* import_f16, import_f32: the network's input, planes as ONNX has them, to pixels; channels beyond the planes become zero.
 * export_f16, export_f32: pixels to the planes of the network's output.
 *
 * Grid: x covers the pixels of an item, y = channels / 8, z = items (`lower/`).
 * Tested against the interpreter by tests/native_kernels. */
#include "native/params.h"

#define PLANES_THREADS 128

PIXEL f32 load_plane(const void *from, u64 at, Type type) {
    return type == F16 ? half_to_float(load_global((const u16 *)from + at)) : load_global((const f32 *)from + at);
}

PIXEL void import_planes(const PlanesParams &p, Type type) {
    let_next_begin();
    wait_for_previous();
    i32 pixel = (i32)(blockIdx.x * PLANES_THREADS + threadIdx.x), first = (i32)blockIdx.y * 8, item = (i32)blockIdx.z;
    if (pixel >= p.pixels) {
        return;
    }
    f32 values[8];
    UNROLL for (int c = 0; c < 8; c++) {
        u64 at = (u64)(item * p.planes + first + c) * (u64)p.pixels + (u64)pixel;
        values[c] = first + c < p.planes ? load_plane(p.from, at, type) : 0.0f;
    }
    Words4 out = {{pack_halves(values[0], values[1]), pack_halves(values[2], values[3]), pack_halves(values[4], values[5]),
                   pack_halves(values[6], values[7])}};
    store_global((u16 *)p.to + (u64)(item * p.pixels + pixel) * (u64)p.pitch + (u64)first, out);
}

PIXEL void export_planes(const PlanesParams &p, Type type) {
    let_next_begin();
    wait_for_previous();
    i32 pixel = (i32)(blockIdx.x * PLANES_THREADS + threadIdx.x), first = (i32)blockIdx.y * 8, item = (i32)blockIdx.z;
    if (pixel >= p.pixels) {
        return;
    }
    Words4 in = load_words((const u16 *)p.from + (u64)(item * p.pixels + pixel) * (u64)p.pitch + (u64)first);
    UNROLL for (int c = 0; c < 8; c++) {
        if (first + c < p.planes) {
            u64 at = (u64)(item * p.planes + first + c) * (u64)p.pixels + (u64)pixel;
            u16 half = (u16)(c % 2 ? in.word[c / 2] >> 16 : in.word[c / 2] & 0xFFFF);
            if (type == F16) {
                store_global((u16 *)p.to + at, half);
            } else {
                store_global((f32 *)p.to + at, half_to_float(half));
            }
        }
    }
}

KERNEL_OF(import_f16, PLANES_THREADS, 4)(PlanesParams p) { import_planes(p, F16); }

KERNEL_OF(import_f32, PLANES_THREADS, 4)(PlanesParams p) { import_planes(p, F32); }

KERNEL_OF(export_f16, PLANES_THREADS, 4)(PlanesParams p) { export_planes(p, F16); }

KERNEL_OF(export_f32, PLANES_THREADS, 4)(PlanesParams p) { export_planes(p, F32); }
