/* gather_context_f32, gather_context_f16: the generator's sound input, out of the features encoded so far.
 *
 *   features  [any, feature_len] f32
 *   rows      [batch, context] i32: which feature each row of a context is; -1 is zeros
 *   out       [batch, context * feature_len] f32 or f16
 *
 * Grid: x = batch * context, one block a row; block: x = any, 128 is good (`grid::gather_context`).
 * Which rows: src/audio/context.rs. Tested against a copy of those features by tests/kernels. */
#include "pixel/half.h"

PIXEL void gather_row(const f32 *features, const i32 *rows, void *out, i32 feature_len, Type type) {
    i32 row = rows[blockIdx.x];
    for (i32 i = (i32)threadIdx.x; i < feature_len; i += (i32)blockDim.x) {
        f32 value = row < 0 ? 0.0f : features[(u64)row * (u64)feature_len + (u64)i];
        store_value(out, (u64)blockIdx.x * (u64)feature_len + (u64)i, value, type);
    }
}

KERNEL(gather_context_f32)(const f32 *features, const i32 *rows, f32 *out, i32 feature_len) {
    gather_row(features, rows, out, feature_len, F32);
}

KERNEL(gather_context_f16)(const f32 *features, const i32 *rows, u16 *out, i32 feature_len) {
    gather_row(features, rows, out, feature_len, F16);
}
