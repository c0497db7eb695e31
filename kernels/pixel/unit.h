/* Between bytes and the generator's 0..1. */
#ifndef PIXEL_UNIT_H
#define PIXEL_UNIT_H

#include "pixel/base.h"

#ifdef __CUDACC__
#define FUSED_MULTIPLY_ADD(a, b, c) __fmaf_rn(a, b, c)
#else
#define FUSED_MULTIPLY_ADD(a, b, c) __builtin_fmaf(a, b, c)
#endif

/* byte / 255, rounded to nearest as src/picture/input.rs has it: a quotient that may be one unit off, corrected by its
 * exact remainder. A division would be twice as long and branch; all 256 values are tested. */
PIXEL f32 byte_to_unit(u8 byte) {
    const f32 reciprocal = 1.0f / 255.0f;
    f32 value = (f32)byte, quotient = value * reciprocal;
    f32 remainder = FUSED_MULTIPLY_ADD(-quotient, 255.0f, value);
    return FUSED_MULTIPLY_ADD(remainder, reciprocal, quotient);
}

/* value * 255 cut to a byte; below 0 and NaN are 0, above 1 is 255: `to_byte` of src/picture/composite.rs. */
PIXEL u8 unit_to_byte(f32 value) {
    f32 scaled = value * 255.0f;
    /* Comparisons in this order turn NaN into 0. */
    f32 positive = scaled > 0.0f ? scaled : 0.0f;
    f32 level = positive < 255.0f ? positive : 255.0f;
    return (u8)(i32)level;
}

#endif
