/* depthwise_1, depthwise_2, depthwise_any: 3x3 convolutions of each channel by itself, by stride.
 *
 * A thread makes 4 channels of a few neighbouring pixels, so that what it reads serves several of them; neighbouring threads have
 * neighbouring channels, then neighbouring pixels. Sums are float32.
 *
 * Grid: x covers items * rows / DOWN * columns / ACROSS * channels / 4 threads, each rounded up (`lower/`).
 * Tested against the interpreter by tests/native_kernels. */
#include "native/params.h"

#define DEPTHWISE_THREADS 128

/* sum += value * weight for each of 4 channels. */
PIXEL void depthwise_add(Floats &sum, const Floats &value, const Floats &weight) {
    UNROLL for (int i = 0; i < 4; i++) {
        sum.value[i] = multiply_into(sum.value[i], value.value[i], weight.value[i]);
    }
}

PIXEL Floats depthwise_load(const u16 *from) {
    Halves4 halves = load_halves4(from);
    Floats out = {{low_half(halves.word[0]), high_half(halves.word[0]), low_half(halves.word[1]), high_half(halves.word[1])}};
    return out;
}

PIXEL void depthwise_store(const DepthwiseParams &p, i32 item, i32 y, i32 x, i32 channel, const Floats &sum) {
    f32 out[4];
    UNROLL for (int i = 0; i < 4; i++) {
        out[i] = activate(sum.value[i], p.activation);
    }
    u64 pixel = (u64)((item * p.to_height + y) * p.to_width + x);
    Halves4 halves = {{pack_halves(out[0], out[1]), pack_halves(out[2], out[3])}};
    store_global(p.to + pixel * (u64)p.to_pitch + (u64)channel, halves);
}

/* STRIDE 0 takes the strides from the parameters. */
template <int STRIDE, int ACROSS, int DOWN> PIXEL void depthwise(const DepthwiseParams &p) {
    let_next_begin();
    i32 quads = p.channels / 4, across = (p.to_width + ACROSS - 1) / ACROSS, down = (p.to_height + DOWN - 1) / DOWN;
    i32 at = (i32)(blockIdx.x * DEPTHWISE_THREADS + threadIdx.x);
    i32 channel = at % quads * 4, x = at / quads % across * ACROSS, y = at / quads / across % down * DOWN;
    i32 item = at / quads / across / down;
    if (item >= p.items) {
        return;
    }
    i32 stride_rows = STRIDE ? STRIDE : p.stride_rows, stride_columns = STRIDE ? STRIDE : p.stride_columns;
    Floats weights[9], sums[DOWN][ACROSS];
    UNROLL for (int tap = 0; tap < 9; tap++) {
        weights[tap] = load_global((const Floats *)(p.weights + tap * p.channels + channel));
    }
    Floats bias = load_global((const Floats *)(p.bias + channel));
    UNROLL for (int j = 0; j < DOWN; j++) {
        UNROLL for (int i = 0; i < ACROSS; i++) {
            sums[j][i] = bias;
        }
    }
    wait_for_previous();
    constexpr int STEP = STRIDE ? STRIDE : 1;
    const u16 *picture = p.from + (u64)(item * p.from_height * p.from_width) * (u64)p.from_pitch + (u64)channel;
    UNROLL for (int row = 0; row < (DOWN - 1) * STEP + 3; row++) {
        i32 from_y = y * stride_rows - p.pad_rows + row;
        if ((u32)from_y >= (u32)p.from_height) {
            continue;
        }
        UNROLL for (int column = 0; column < (ACROSS - 1) * STEP + 3; column++) {
            i32 from_x = x * stride_columns - p.pad_columns + column;
            if ((u32)from_x >= (u32)p.from_width) {
                continue;
            }
            Floats value = depthwise_load(picture + (u64)(from_y * p.from_width + from_x) * (u64)p.from_pitch);
            UNROLL for (int j = 0; j < DOWN; j++) {
                UNROLL for (int i = 0; i < ACROSS; i++) {
                    int dy = row - j * STEP, dx = column - i * STEP;
                    if (dy >= 0 && dy < 3 && dx >= 0 && dx < 3) {
                        depthwise_add(sums[j][i], value, weights[dy * 3 + dx]);
                    }
                }
            }
        }
    }
    UNROLL for (int j = 0; j < DOWN; j++) {
        UNROLL for (int i = 0; i < ACROSS; i++) {
            if (y + j < p.to_height && x + i < p.to_width) {
                depthwise_store(p, item, y + j, x + i, channel, sums[j][i]);
            }
        }
    }
}

KERNEL_OF(depthwise_1, DEPTHWISE_THREADS, 4)(DepthwiseParams p) { depthwise<1, 4, 2>(p); }

KERNEL_OF(depthwise_2, DEPTHWISE_THREADS, 4)(DepthwiseParams p) { depthwise<2, 2, 2>(p); }

KERNEL_OF(depthwise_any, DEPTHWISE_THREADS, 4)(DepthwiseParams p) { depthwise<0, 1, 1>(p); }
