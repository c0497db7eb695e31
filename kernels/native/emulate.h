/* The device functions on the host: a block's threads as fibers that meet at barriers and matrix instructions, as lanes of a warp do.
 *
 * What a GPU would pass over in silence ends the process with a sentence here: access out of bounds or misaligned, lanes that do not
 * meet at the same instruction, shared memory read before it was written, written and read by two threads without a barrier between,
 * or touched while an asynchronous copy into it is under way; a global value written twice, or touched before the kernels before are waited for. Bank conflicts are counted by source line. */
#ifndef NATIVE_EMULATE_H
#define NATIVE_EMULATE_H

#include "native/emulate_threads.h"

#define KERNEL_OF(name, threads, blocks) void name
#define UNROLL
#define NO_UNROLL
#define CALLER int line = __builtin_LINE()

#define blockIdx (emulate::state.block)
#define threadIdx (emulate::state.thread->index)
#define blockDim (emulate::state.threads_of_block)
#define gridDim (emulate::state.blocks)

static inline void sync_block(CALLER) { emulate::barrier(line); }

static inline void let_next_begin() {}

static inline void wait_for_previous() { emulate::state.thread->waited = true; }

template <typename T> T load_shared(u32 at, CALLER) {
    T out;
    emulate::read_shared(at, sizeof(T), &out, line);
    return out;
}

template <typename T> void store_shared(u32 at, T value, CALLER) { emulate::write_shared(at, sizeof(T), &value, line); }

template <typename T> T load_global(const T *from, CALLER) {
    emulate::check_global(from, sizeof(T), false, line);
    return *from;
}

static inline Words4 load_words(const void *from, CALLER) { return load_global((const Words4 *)from, line); }

static inline Halves4 load_halves4(const void *from, CALLER) { return load_global((const Halves4 *)from, line); }

template <typename T> void store_global(void *to, T value, CALLER) {
    emulate::check_global(to, sizeof(T), true, line);
    *(T *)to = value;
}

static inline void copy_async(u32 at, const void *from, i32 valid, CALLER) {
    emulate::check_global(from, 16, false, line);
    emulate::start_copy(at, from, valid, line);
}

static inline void commit_copies() { emulate::commit(); }

template <int GROUPS> void wait_copies(CALLER) { emulate::finish_copies(GROUPS, line); }

static inline void load_matrices(u32 a[4], u32 row, CALLER) {
    emulate::meet(line, &row, a, [](const void *const in[32], void *const out[32], int line) {
        for (int matrix = 0; matrix < 4; matrix++) {
            u16 rows[8][8];
            u32 places[8];
            for (int r = 0; r < 8; r++) {
                places[r] = *(const u32 *)in[8 * matrix + r];
                emulate::read_shared_by_warp(places[r], 16, rows[r], line);
            }
            emulate::count_wavefronts(line, places, 8, 16);
            for (int lane = 0; lane < 32; lane++) {
                const u16 *pair = &rows[lane / 4][lane % 4 * 2];
                ((u32 *)out[lane])[matrix] = (u32)pair[0] | (u32)pair[1] << 16;
            }
        }
    });
}

struct Product {
    f32 *c;
    u32 a[4], b[2];
};

static inline void multiply_add(f32 c[4], const u32 a[4], u32 b0, u32 b1, CALLER) {
    Product mine = {c, {a[0], a[1], a[2], a[3]}, {b0, b1}};
    emulate::meet(line, &mine, nullptr, [](const void *const in[32], void *const *, int) {
        f32 a[16][16], b[16][8];
        auto half = [](u32 word, int high) { return half_to_float((u16)(high ? word >> 16 : word)); };
        for (int lane = 0; lane < 32; lane++) {
            const Product *from = (const Product *)in[lane];
            int g = lane / 4, t = lane % 4;
            for (int e = 0; e < 2; e++) {
                a[g][2 * t + e] = half(from->a[0], e);
                a[g + 8][2 * t + e] = half(from->a[1], e);
                a[g][2 * t + 8 + e] = half(from->a[2], e);
                a[g + 8][2 * t + 8 + e] = half(from->a[3], e);
                b[2 * t + e][g] = half(from->b[0], e);
                b[2 * t + 8 + e][g] = half(from->b[1], e);
            }
        }
        for (int lane = 0; lane < 32; lane++) {
            const Product *to = (const Product *)in[lane];
            for (int i = 0; i < 4; i++) {
                int row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
                f32 sum = to->c[i];
                for (int k = 0; k < 16; k++) {
                    sum += a[row][k] * b[k][column];
                }
                to->c[i] = sum;
            }
        }
    });
}

struct Exchanged {
    f32 value;
    i32 mask;
};

static inline f32 exchange(f32 value, i32 mask, CALLER) {
    Exchanged mine = {value, mask};
    f32 out = 0.0f;
    emulate::meet(line, &mine, &out, [](const void *const in[32], void *const out[32], int) {
        for (int lane = 0; lane < 32; lane++) {
            *(f32 *)out[lane] = ((const Exchanged *)in[lane ^ ((const Exchanged *)in[lane])->mask])->value;
        }
    });
    return out;
}

static inline u32 pack_halves(f32 low, f32 high) { return (u32)float_to_half(low) | (u32)float_to_half(high) << 16; }

/* Rounded twice here: a fused one in software would take most of a test's time. */
static inline f32 multiply_into(f32 sum, f32 a, f32 b) { return sum + a * b; }

/* As the device's `fmaxf`: the other one where one is NaN. */
static inline f32 larger(f32 a, f32 b) { return a > b || b != b ? a : b; }

static inline u32 pack_positive(f32 low, f32 high) {
    /* `cvt.rn.relu` keeps a NaN. */
    return pack_halves(low != low ? low : larger(low, 0.0f), high != high ? high : larger(high, 0.0f));
}

static inline f32 exponential(f32 value) { return __builtin_expf(value); }
static inline f32 hyperbolic_tangent(f32 value) { return __builtin_tanhf(value); }

#endif
