/* override_picture_f16: a picture input that a client sent, for a generator that reads f16. (For one that reads f32 it is
 * a copy, and no kernel is needed.)
 *
 *   in   [count] f32, aligned to 16 bytes
 *   out  [count] f16, aligned to 16 bytes
 *
 * Grid: x covers ceil(count / 8) threads (`grid::override_picture`). A NaN stays one, whichever.
 * Tested against the `half` crate by tests/kernels. */
#include "pixel/half.h"

KERNEL(override_picture_f16)(const f32 *in, u16 *out, u32 count) {
    u64 first = ((u64)blockIdx.x * blockDim.x + threadIdx.x) * 8;
    if (first + 8 <= count) {
        Halves8 halves;
        for (i32 i = 0; i < 8; i += 4) {
            Floats4 four = *(const Floats4 *)(in + first + i);
            for (i32 k = 0; k < 4; k++) {
                halves.bits[i + k] = float_to_half(four.value[k]);
            }
        }
        *(Halves8 *)(out + first) = halves;
    } else {
        for (u64 i = first; i < count; i++) {
            out[i] = float_to_half(in[i]);
        }
    }
}
