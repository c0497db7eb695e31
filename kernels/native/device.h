/* What the native engine's kernels need of the hardware: shared memory, matrix instructions, asynchronous copies.
 *
 * Kernels touch memory through these functions only. On the device they are one instruction or two; on the host `emulate.h` does
 * the same, lane by lane, and checks what a GPU would not: bounds, alignment, races between barriers, values read before they came.
 *
 * Fragments are those of `mma.m16n8k16` (PTX ISA, "Matrix Fragments for mma.m16n8k16 with floating point type"). With g = lane / 4 and
 * t = lane % 4, a thread holds
 *   A  [16, 16]  rows g, g + 8, columns 2t, 2t + 1 and 2t + 8, 2t + 9: a[0] (g, low), a[1] (g + 8, low), a[2] (g, high), a[3] (g + 8, high)
 *   B  [16, 8]   column g, rows 2t, 2t + 1: b[0], and 2t + 8, 2t + 9: b[1]
 *   C  [16, 8]   row g, columns 2t, 2t + 1: c[0], c[1], and row g + 8: c[2], c[3] */
#ifndef NATIVE_DEVICE_H
#define NATIVE_DEVICE_H

#include "pixel/half.h"

/* Halves in registers, two to a word, the first in the low bits. */
typedef struct ALIGNED(8) { u32 word[2]; } Halves4;
typedef struct ALIGNED(16) { u32 word[4]; } Words4;
typedef struct ALIGNED(16) { f32 value[4]; } Floats;

#ifdef __CUDACC__

/* A kernel of blocks of so many threads, of which so many fit on a multiprocessor. */
#define KERNEL_OF(name, threads, blocks) extern "C" __global__ void __launch_bounds__(threads, blocks) name
#define UNROLL _Pragma("unroll")
#define NO_UNROLL _Pragma("unroll 1")

extern __shared__ ALIGNED(128) u8 shared_memory[];

template <typename T> PIXEL T load_shared(u32 at) { return *(const T *)(shared_memory + at); }

template <typename T> PIXEL void store_shared(u32 at, T value) { *(T *)(shared_memory + at) = value; }

/* What no kernel writes while this one runs: through the read-only path. */
template <typename T> PIXEL T load_global(const T *from) { return *from; }

PIXEL Words4 load_words(const void *from) {
    Words4 out;
    asm("ld.global.nc.v4.u32 {%0, %1, %2, %3}, [%4];"
        : "=r"(out.word[0]), "=r"(out.word[1]), "=r"(out.word[2]), "=r"(out.word[3])
        : "l"(from));
    return out;
}

PIXEL Halves4 load_halves4(const void *from) {
    Halves4 out;
    asm("ld.global.nc.v2.u32 {%0, %1}, [%2];" : "=r"(out.word[0]), "=r"(out.word[1]) : "l"(from));
    return out;
}

template <typename T> PIXEL void store_global(void *to, T value) { *(T *)to = value; }

PIXEL void sync_block() { __syncthreads(); }

/* Lets the stream's next kernel begin as soon as there is room for it: it waits itself. */
PIXEL void let_next_begin() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

/* Waits for the stream's kernels before: before this, nothing may be touched but weights. */
PIXEL void wait_for_previous() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

PIXEL u32 shared_address(u32 at) { return (u32)__cvta_generic_to_shared(shared_memory) + at; }

/* Copies 16 bytes, or writes zeros where `valid` is 0; `from` must be readable either way. Done after `wait_copies`. */
PIXEL void copy_async(u32 at, const void *from, i32 valid) {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(at)), "l"(from), "r"(valid ? 16 : 0)
                 : "memory");
#else
    Words4 zeros = {{0, 0, 0, 0}};
    store_shared(at, valid ? load_words(from) : zeros);
#endif
}

PIXEL void commit_copies() {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

/* Waits until at most `GROUPS` of this thread's committed groups are under way. */
template <int GROUPS> PIXEL void wait_copies() {
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" ::"n"(GROUPS) : "memory");
#endif
}

/* Four 8x8 matrices of halves, the rows' addresses from lanes 0-7, 8-15, 16-23, 24-31: an A fragment. */
PIXEL void load_matrices(u32 a[4], u32 row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(a[0]), "=r"(a[1]), "=r"(a[2]), "=r"(a[3])
                 : "r"(shared_address(row))
                 : "memory");
}

/* c += A B. */
PIXEL void multiply_add(f32 c[4], const u32 a[4], u32 b0, u32 b1) {
#if __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(b0));
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[2]), "r"(a[3]), "r"(b1));
#endif
}

/* The value of lane `lane ^ mask`. */
PIXEL f32 exchange(f32 value, i32 mask) { return __shfl_xor_sync(0xFFFFFFFF, value, mask); }

PIXEL u32 pack_halves(f32 low, f32 high) {
    u32 out;
#if __CUDA_ARCH__ >= 800
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(out) : "f"(high), "f"(low));
#else
    out = (u32)float_to_half(low) | (u32)float_to_half(high) << 16;
#endif
    return out;
}

/* As `pack_halves`, with negative values as zero. */
PIXEL u32 pack_positive(f32 low, f32 high) {
#if __CUDA_ARCH__ >= 800
    u32 out;
    asm("cvt.rn.relu.f16x2.f32 %0, %1, %2;" : "=r"(out) : "f"(high), "f"(low));
    return out;
#else
    return pack_halves(fmaxf(low, 0.0f), fmaxf(high, 0.0f));
#endif
}

/* sum + a b, rounded once. */
PIXEL f32 multiply_into(f32 sum, f32 a, f32 b) { return __fmaf_rn(a, b, sum); }
PIXEL f32 larger(f32 a, f32 b) { return fmaxf(a, b); }
PIXEL f32 exponential(f32 value) { return expf(value); }
PIXEL f32 hyperbolic_tangent(f32 value) { return tanhf(value); }

#else
#include "native/emulate.h"
#endif

PIXEL f32 low_half(u32 halves) { return half_to_float((u16)(halves & 0xFFFF)); }

PIXEL f32 high_half(u32 halves) { return half_to_float((u16)(halves >> 16)); }

typedef enum { IDENTITY = 0, RELU = 1, SIGMOID = 2, TANH = 3 } Activation;

PIXEL f32 activate(f32 value, i32 activation) {
    if (activation == RELU) {
        return larger(value, 0.0f);
    }
    if (activation == SIGMOID) {
        return 1.0f / (1.0f + exponential(-value));
    }
    return activation == TANH ? hyperbolic_tangent(value) : value;
}

#endif
