/* Between f32 and IEEE binary16, to nearest, ties to even, subnormals kept.
 *
 * The device has an instruction for each direction; the host does the same with integers (tests/kernels holds it
 * against the `half` crate), so that everything around a conversion is tested without a GPU. */
#ifndef PIXEL_HALF_H
#define PIXEL_HALF_H

#include "pixel/base.h"

#ifdef __CUDACC__

PIXEL f32 half_to_float(u16 half) {
    f32 value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(half));
    return value;
}

PIXEL u16 float_to_half(f32 value) {
    u16 half;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half) : "f"(value));
    return half;
}

#else

typedef union {
    f32 value;
    u32 bits;
} FloatBits;

PIXEL f32 half_to_float(u16 half) {
    u32 sign = (u32)(half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 0x3FF;
    FloatBits out;
    if (exponent == 0) {
        /* Zero or subnormal: units of 2^-24, which f32 holds exactly. */
        out.value = (f32)fraction * (1.0f / 16777216.0f);
        out.bits |= sign;
    } else if (exponent == 31) {
        out.bits = sign | 0x7F800000 | fraction << 13;
    } else {
        out.bits = sign | (exponent + 112) << 23 | fraction << 13;
    }
    return out.value;
}

PIXEL u16 float_to_half(f32 value) {
    FloatBits in;
    u32 sign, magnitude, kept, rest, tie;
    in.value = value;
    sign = in.bits >> 16 & 0x8000;
    magnitude = in.bits & 0x7FFFFFFF;
    if (magnitude > 0x7F800000) {
        return 0x7FFF; /* The device's NaN. */
    }
    if (magnitude >= 0x47800000) {
        return (u16)(sign | 0x7C00);
    }
    if (magnitude < 0x33000000) {
        return (u16)sign; /* Below half of the smallest subnormal. */
    }
    if (magnitude < 0x38800000) {
        u32 shift = 126 - (magnitude >> 23), fraction = (magnitude & 0x7FFFFF) | 0x800000;
        kept = fraction >> shift;
        rest = fraction & ((1u << shift) - 1);
        tie = 1u << (shift - 1);
    } else {
        kept = (magnitude - 0x38000000) >> 13;
        rest = magnitude & 0x1FFF;
        tie = 0x1000;
    }
    /* A carry out of the fraction raises the exponent, up to infinity, as it should. */
    kept += rest > tie || (rest == tie && (kept & 1));
    return (u16)(sign | kept);
}

#endif

PIXEL f32 load_value(const void *values, u64 index, Type type) {
    return type == F16 ? half_to_float(((const u16 *)values)[index]) : ((const f32 *)values)[index];
}

PIXEL void store_value(void *values, u64 index, f32 value, Type type) {
    if (type == F16) {
        ((u16 *)values)[index] = float_to_half(value);
    } else {
        ((f32 *)values)[index] = value;
    }
}

#endif
