/* pointwise: every value of the output by one small expression, for what no other kernel does on its way: FiLM, blending, copies.
 *
 * A thread makes one value: pixels with their channels fastest, or planes with their columns fastest.
 * Grid: x covers the values (`lower/`).
 * Tested against the interpreter by tests/native_kernels. */
#include "native/params.h"

#define POINTWISE_THREADS 256

PIXEL f32 pointwise_load(const ExpressionStep &step, const PointwiseParams &p, i32 item, i32 y, i32 x, i32 c) {
    i32 pixel = 0, channel = step.first + c * step.step;
    if (step.place == PLACE_SAME) {
        pixel = y * p.width + x;
    } else if (step.place == PLACE_SHUFFLED) {
        pixel = y / 2 * step.width + x / 2;
        channel = 4 * channel + 2 * (y % 2) + x % 2;
    }
    u64 at = (u64)(item * step.pixels + pixel) * (u64)step.pitch + (u64)channel;
    return half_to_float(load_global((const u16 *)step.from + at));
}

PIXEL f32 pointwise_value(const PointwiseParams &p, i32 item, i32 y, i32 x, i32 c) {
    f32 stack[MOST_STACKED];
    i32 top = -1;
    for (i32 i = 0; i < p.steps; i++) {
        const ExpressionStep &step = p.step[i];
        switch (step.kind) {
        case STEP_LOAD: stack[++top] = pointwise_load(step, p, item, y, x, c); break;
        case STEP_CONSTANT: stack[++top] = step.constant; break;
        case STEP_CHANNELS: stack[++top] = load_global((const f32 *)step.from + c); break;
        case STEP_ADD: top--, stack[top] += stack[top + 1]; break;
        case STEP_SUBTRACT: top--, stack[top] -= stack[top + 1]; break;
        case STEP_MULTIPLY: top--, stack[top] *= stack[top + 1]; break;
        default: stack[top] = activate(stack[top], step.first);
        }
    }
    return stack[0];
}

KERNEL_OF(pointwise, POINTWISE_THREADS, 4)(PointwiseParams p) {
    let_next_begin();
    wait_for_previous();
    i32 at = (i32)(blockIdx.x * POINTWISE_THREADS + threadIdx.x), item, y, x, c;
    if (at >= p.count) {
        return;
    }
    u64 place = (u64)at;
    if (p.padded) {
        i32 pixel = at / p.padded;
        c = at % p.padded;
        x = pixel % p.width;
        y = pixel / p.width % p.height;
        item = pixel / p.width / p.height;
        place = (u64)pixel * (u64)p.pitch + (u64)c;
    } else {
        x = at % p.width;
        y = at / p.width % p.height;
        c = at / p.width / p.height % p.channels;
        item = at / p.width / p.height / p.channels;
    }
    f32 value = c < p.channels ? pointwise_value(p, item, y, x, c) : 0.0f;
    if (p.halves) {
        store_global((u16 *)p.to + place, float_to_half(value));
    } else {
        store_global((f32 *)p.to + place, value);
    }
}
