/* The kernels as a shared library of the host, for tests: `run_NAME` calls kernel NAME once for each thread of a grid. */
typedef struct {
    unsigned int x, y, z;
} Dim;

static Dim blockIdx, threadIdx, blockDim;

#include "all.cu"

#define EACH(index, count, axis) for (index.axis = 0; index.axis < count.axis; index.axis++)

#define RUN_GRID(grid, block, call)                                                                                    \
    blockDim = block;                                                                                                  \
    EACH(blockIdx, grid, z)                                                                                            \
    EACH(blockIdx, grid, y) EACH(blockIdx, grid, x) EACH(threadIdx, block, z) EACH(threadIdx, block, y)                \
        EACH(threadIdx, block, x) call

void run_gather_context_f32(Dim grid, Dim block, const f32 *features, const i32 *rows, f32 *out, i32 feature_len) {
    RUN_GRID(grid, block, gather_context_f32(features, rows, out, feature_len));
}

void run_gather_context_f16(Dim grid, Dim block, const f32 *features, const i32 *rows, u16 *out, i32 feature_len) {
    RUN_GRID(grid, block, gather_context_f16(features, rows, out, feature_len));
}

void run_picture_input_f32(Dim grid, Dim block, const FrameParams *frames, f32 *out, Geometry g) {
    RUN_GRID(grid, block, picture_input_f32(frames, out, g));
}

void run_picture_input_f16(Dim grid, Dim block, const FrameParams *frames, u16 *out, Geometry g) {
    RUN_GRID(grid, block, picture_input_f16(frames, out, g));
}

void run_override_picture_f16(Dim grid, Dim block, const f32 *in, u16 *out, u32 count) {
    RUN_GRID(grid, block, override_picture_f16(in, out, count));
}

void run_patch_crop_f32(Dim grid, Dim block, const f32 *generated, const FrameParams *frames, u32 *out, Geometry g) {
    RUN_GRID(grid, block, patch_crop_f32(generated, frames, out, g));
}

void run_patch_crop_f16(Dim grid, Dim block, const u16 *generated, const FrameParams *frames, u32 *out, Geometry g) {
    RUN_GRID(grid, block, patch_crop_f16(generated, frames, out, g));
}

void run_paste_planes(Dim grid, Dim block, const u32 *patched, const FrameParams *frames, u8 *out, Geometry g) {
    RUN_GRID(grid, block, paste_planes(patched, frames, out, g));
}

/* Sizes and offsets, in the order that src/backend/cuda/kernels/params.rs lists them. */
#define OFFSET(type, field) (u32) __builtin_offsetof(type, field)

void layout_of_params(u32 out[16]) {
    const u32 layout[16] = {
        sizeof(Tap),
        OFFSET(Tap, weight),
        sizeof(FrameParams),
        OFFSET(FrameParams, strip),
        OFFSET(FrameParams, columns),
        OFFSET(FrameParams, rows),
        OFFSET(FrameParams, strip_w),
        OFFSET(FrameParams, hole_x0),
        OFFSET(FrameParams, hole_y0),
        OFFSET(FrameParams, hole_x1),
        OFFSET(FrameParams, hole_y1),
        OFFSET(FrameParams, out),
        sizeof(Geometry),
        OFFSET(Geometry, planes),
        OFFSET(Geometry, mask),
        OFFSET(Geometry, interpolation),
    };
    for (i32 i = 0; i < 16; i++) {
        out[i] = layout[i];
    }
}

/* The functions whose every input can be tried. */
u16 run_float_to_half(f32 value) { return float_to_half(value); }

f32 run_half_to_float(u16 half) { return half_to_float(half); }

f32 run_byte_to_unit(u8 byte) { return byte_to_unit(byte); }
