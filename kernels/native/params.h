/* What the host hands to the native engine's kernels, one structure a kernel, by value. Mirrored by
 * src/backend/cuda/native/params.rs; a test compares sizes.
 *
 * Activations are NHWC halves, `pitch` of them from pixel to pixel; channels and pitches are multiples of 8, pointers of 16 bytes.
 * Items of the batch follow each other, so that a pixel's number runs through all of them. */
#ifndef NATIVE_PARAMS_H
#define NATIVE_PARAMS_H

#include "native/device.h"

/* A tap of a convolution's window for 8 input channels: where they lie from the window's first pixel. */
typedef struct ALIGNED(8) {
    i16 row, column;
    i32 channel;
} ConvTap;

/* A convolution over all input channels, as a product of matrices: pixels of the output by values of their windows. */
typedef struct {
    const u16 *from;
    /* Packed by src/backend/cuda/native/pack.rs: B fragments of 16 rows by 16 columns, 512 bytes each, rows fastest. */
    const u16 *weights;
    const f32 *bias;
    /* Or null. */
    const u16 *residual;
    u16 *to;
    /* One for each 8 values of a window; null for one pixel's. */
    const ConvTap *taps;
    /* Output pixels of the whole batch. */
    i32 pixels;
    /* Values of a window in eights; fragments of 16 rows, an even number, and of 16 columns that the weights have. */
    i32 vectors, steps, fragments;
    i32 channels;
    i32 from_pitch, residual_pitch, to_pitch;
    i32 from_height, from_width, to_height, to_width;
    i32 stride_rows, stride_columns, pad_rows, pad_columns;
    i32 activation;
} ConvParams;

/* A 3x3 convolution of each channel by itself. */
typedef struct {
    const u16 *from;
    /* [9][channels] */
    const f32 *weights;
    const f32 *bias;
    u16 *to;
    i32 items, channels, from_pitch, to_pitch;
    i32 from_height, from_width, to_height, to_width;
    i32 stride_rows, stride_columns, pad_rows, pad_columns;
    i32 activation;
} DepthwiseParams;

/* An inverted residual. */
typedef struct {
    const u16 *from;
    /* Chunks of what some of the wide channels need, packed by src/backend/cuda/native/pack_block.rs. */
    const u8 *weights;
    /* Of the projection, padded with zeros to the kernel's channels. */
    const f32 *bias;
    u16 *to;
    /* Chunks of weights, input channels in eights, output channels. */
    i32 chunks, vectors, channels;
    i32 from_pitch, to_pitch;
    i32 from_height, from_width, to_height, to_width;
    /* Whether the input is added to the output. */
    i32 add_input;
    /* Planes of the network's input or output, where the kernel reads or writes those instead of pixels. */
    i32 planes;
    /* For the output's planes: a 1x1 convolution, [4][16], then its bias, [4], and activation. */
    i32 activation;
    const f32 *last;
} BlockParams;

/* Twice the height and width. */
typedef struct {
    const u16 *from;
    u16 *to;
    i32 items, channels, from_pitch, to_pitch, from_height, from_width;
} UpsampleParams;

/* Planes to pixels and back. */
typedef struct {
    const void *from;
    void *to;
    /* Planes, and channels of a pixel. */
    i32 planes, channels, pitch, pixels;
} PlanesParams;

typedef enum { STEP_LOAD, STEP_CONSTANT, STEP_CHANNELS, STEP_ADD, STEP_SUBTRACT, STEP_MULTIPLY, STEP_ACTIVATE } StepKind;

typedef enum { PLACE_SAME, PLACE_EVERYWHERE, PLACE_SHUFFLED } StepPlace;

/* A step of an expression in postfix order. */
typedef struct ALIGNED(8) {
    /* Halves to load, or a float for each channel. */
    const void *from;
    f32 constant;
    i32 kind, place, first, step, pitch, width, pixels;
} ExpressionStep;

#define MOST_STEPS 12
#define MOST_STACKED 4

/* Every value of the output by one small expression. */
typedef struct {
    void *to;
    i32 count, steps;
    i32 channels, height, width;
    /* Pixels with so many channels, the rest zero; 0 for planes. */
    i32 padded, pitch;
    /* 1 for halves, 0 for floats. */
    i32 halves;
    ExpressionStep step[MOST_STEPS];
} PointwiseParams;

#endif
