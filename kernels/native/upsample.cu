/* upsample_linear, upsample_nearest: twice the height and width, corner pixels on corner pixels or each pixel four times.
 *
 * Grid: x covers items * rows * columns * channels / 8 threads of the output (`lower/`).
 * Tested against the interpreter by tests/native_kernels. */
#include "native/params.h"

#define UPSAMPLE_THREADS 256

/* Two neighbours of the input for a row or column of the output, and the second's share. */
typedef struct {
    i32 low, high;
    f32 share;
} Neighbours;

PIXEL Neighbours neighbours(i32 at, i32 size) {
    f32 place = (f32)(at * (size - 1)) / (f32)(2 * size - 1);
    Neighbours out;
    out.low = min_i32((i32)place, size - 1);
    out.high = min_i32(out.low + 1, size - 1);
    out.share = place - (f32)out.low;
    return out;
}

PIXEL f32 mix(f32 a, f32 b, f32 share) { return multiply_into(a * (1.0f - share), b, share); }

PIXEL u32 mix_halves(u32 a, u32 b, u32 c, u32 d, f32 across, f32 down) {
    f32 low = mix(mix(low_half(a), low_half(b), across), mix(low_half(c), low_half(d), across), down);
    f32 high = mix(mix(high_half(a), high_half(b), across), mix(high_half(c), high_half(d), across), down);
    return pack_halves(low, high);
}

PIXEL const u16 *upsample_pixel(const UpsampleParams &p, i32 item, i32 y, i32 x) {
    return p.from + (u64)((item * p.from_height + y) * p.from_width + x) * (u64)p.from_pitch;
}

template <bool LINEAR_> PIXEL void upsample(const UpsampleParams &p) {
    let_next_begin();
    wait_for_previous();
    i32 vectors = p.channels / 8, width = 2 * p.from_width, height = 2 * p.from_height;
    i32 at = (i32)(blockIdx.x * UPSAMPLE_THREADS + threadIdx.x);
    i32 channel = at % vectors * 8, x = at / vectors % width, y = at / vectors / width % height, item = at / vectors / width / height;
    if (item >= p.items) {
        return;
    }
    Words4 out;
    if (LINEAR_) {
        Neighbours column = neighbours(x, p.from_width), row = neighbours(y, p.from_height);
        Words4 a = load_words(upsample_pixel(p, item, row.low, column.low) + channel);
        Words4 b = load_words(upsample_pixel(p, item, row.low, column.high) + channel);
        Words4 c = load_words(upsample_pixel(p, item, row.high, column.low) + channel);
        Words4 d = load_words(upsample_pixel(p, item, row.high, column.high) + channel);
        UNROLL for (int i = 0; i < 4; i++) {
            out.word[i] = mix_halves(a.word[i], b.word[i], c.word[i], d.word[i], column.share, row.share);
        }
    } else {
        out = load_words(upsample_pixel(p, item, y / 2, x / 2) + channel);
    }
    store_global(p.to + (u64)((item * height + y) * width + x) * (u64)p.to_pitch + (u64)channel, out);
}

KERNEL_OF(upsample_linear, UPSAMPLE_THREADS, 4)(UpsampleParams p) { upsample<true>(p); }

KERNEL_OF(upsample_nearest, UPSAMPLE_THREADS, 4)(UpsampleParams p) { upsample<false>(p); }
