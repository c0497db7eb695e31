/* A tile of an inverted residual, see block.cu: its shape, and how its input and weights come into shared memory. */
#ifndef NATIVE_BLOCK_INPUT_H
#define NATIVE_BLOCK_INPUT_H

#include "native/params.h"

/* KSTEPS: input channels in sixteens. TILES: output channels in eights. */
template <int KSTEPS_, int TILES_, int STRIDE_, int ROWS_, int PLANES_> struct BlockTile {
    static constexpr int KSTEPS = KSTEPS_, TILES = TILES_, STRIDE = STRIDE_, ROWS = ROWS_, PLANES = PLANES_;
    static constexpr int WARPS = 4, THREADS = 128;
    static constexpr int HEIGHT = ROWS * WARPS;
    /* Input pixels, those of the border included. */
    static constexpr int IN_WIDTH = 15 * STRIDE + 3, IN_HEIGHT = (HEIGHT - 1) * STRIDE + 3;
    static constexpr int PIXELS = IN_WIDTH * IN_HEIGHT, SIXTEENS = (PIXELS + 15) / 16;
    static constexpr int EVEN = (IN_WIDTH + 1) / 2;
    /* Sixteens of input pixels that one warp expands at most. */
    static constexpr int SHARE = (SIXTEENS + WARPS - 1) / WARPS;
    /* Channels that a thread stores together. */
    static constexpr int TOGETHER = TILES >= 4 ? 8 : 4;
    /* Parts of a chunk of weights: fragments of the expansion, its bias, depthwise weights and bias, fragments of the projection. */
    static constexpr u32 EXPAND = KSTEPS * 512, DEPTHWISE = EXPAND + 64, PROJECT = DEPTHWISE + 640;
    static constexpr u32 PLANE_WEIGHTS = PROJECT + TILES * 256, CHUNK = PLANE_WEIGHTS * PLANES;
    static constexpr u32 PLANE = SIXTEENS * 512, WIDE = PLANE * PLANES;
    /* Where things lie in shared memory. */
    static constexpr u32 WIDES = (PIXELS * KSTEPS * 32 + 127) / 128 * 128, RING = WIDES + 2 * WIDE, BYTES = RING + 3 * CHUNK;
    static_assert(SHARE <= 16, "two bits for each sixteen fit a word");
};

/* Where column `x` of the tile stands in its row. */
template <class Tile> PIXEL u32 block_column(u32 x) { return (x & 1) * Tile::EVEN + (x >> 1); }

template <class Tile> PIXEL u32 block_swizzle(u32 pixel) {
    return Tile::KSTEPS == 1 ? pixel >> 2 & 1 : Tile::KSTEPS == 2 ? pixel >> 1 & 3 : pixel & 7;
}

/* Where vector `v` of an input pixel lies. */
template <class Tile> PIXEL u32 block_vector(u32 pixel, u32 v) {
    return pixel * (Tile::KSTEPS * 32) + ((v ^ block_swizzle<Tile>(pixel)) << 4);
}

/* A block's place: its item, and the input pixel at the upper left, which may lie outside. */
typedef struct {
    i32 item, x, y;
} BlockOrigin;

/* Starts the copies of the input pixels; those outside become zero, as do channels that the input has not. */
template <class Tile> PIXEL void block_start_input(const BlockParams &p, BlockOrigin o) {
    constexpr int VECTORS = Tile::KSTEPS * 2, COUNT = Tile::PIXELS * VECTORS;
    const u16 *picture = p.from + (u64)(o.item * p.from_height * p.from_width) * (u64)p.from_pitch;
    NO_UNROLL for (u32 n = threadIdx.x; n < COUNT; n += Tile::THREADS) {
        u32 pixel = n / VECTORS, v = n % VECTORS, row = pixel / Tile::IN_WIDTH, column = pixel % Tile::IN_WIDTH;
        i32 y = o.y + (i32)row, x = o.x + (i32)column;
        i32 valid = (u32)y < (u32)p.from_height && (u32)x < (u32)p.from_width && v < (u32)p.vectors;
        const u16 *from = valid ? picture + (u64)((y * p.from_width + x) * p.from_pitch + (i32)v * 8) : picture;
        copy_async(block_vector<Tile>(row * Tile::IN_WIDTH + block_column<Tile>(column), v), from, valid);
    }
}

/* The same from planes, by hand: those of one pixel lie far apart. */
template <class Tile> PIXEL void block_load_planes(const BlockParams &p, BlockOrigin o) {
    u64 plane = (u64)(p.from_height * p.from_width);
    NO_UNROLL for (u32 n = threadIdx.x; n < Tile::PIXELS; n += Tile::THREADS) {
        u32 row = n / Tile::IN_WIDTH, column = n % Tile::IN_WIDTH, pixel = row * Tile::IN_WIDTH + block_column<Tile>(column);
        i32 y = o.y + (i32)row, x = o.x + (i32)column;
        i32 valid = (u32)y < (u32)p.from_height && (u32)x < (u32)p.from_width;
        const u16 *from = p.from + (u64)(o.item * p.planes) * plane + (u64)(y * p.from_width + x);
        u32 halves[8];
        UNROLL for (int c = 0; c < 8; c++) {
            halves[c] = valid && c < p.planes ? load_global(from + (u64)c * plane) : 0;
        }
        Words4 out = {{halves[0] | halves[1] << 16, halves[2] | halves[3] << 16, halves[4] | halves[5] << 16, halves[6] | halves[7] << 16}};
        Words4 zeros = {{0, 0, 0, 0}};
        store_shared(block_vector<Tile>(pixel, 0), out);
        UNROLL for (u32 v = 1; v < Tile::KSTEPS * 2; v++) {
            store_shared(block_vector<Tile>(pixel, v), zeros);
        }
    }
}

/* Starts the copies of a chunk of weights into part `part` of the ring. */
template <class Tile> PIXEL void block_start_weights(const BlockParams &p, i32 chunk, u32 part) {
    const u8 *from = p.weights + (u64)chunk * Tile::CHUNK;
    NO_UNROLL for (u32 at = threadIdx.x * 16; at < Tile::CHUNK; at += Tile::THREADS * 16) {
        copy_async(Tile::RING + part * Tile::CHUNK + at, from + at, 1);
    }
}

/* For each sixteen that this warp expands two bits: whether this lane's two pixels of it lie inside the picture. */
template <class Tile> PIXEL u32 block_inside(const BlockParams &p, BlockOrigin o) {
    u32 bits = 0;
    UNROLL for (u32 i = 0; i < (u32)Tile::SHARE * 2; i++) {
        u32 pixel = (threadIdx.x / 32 + i / 2 * Tile::WARPS) * 16 + threadIdx.x % 32 / 4 + i % 2 * 8;
        u32 row = pixel / Tile::IN_WIDTH, at = pixel % Tile::IN_WIDTH;
        u32 column = at < (u32)Tile::EVEN ? 2 * at : 2 * (at - Tile::EVEN) + 1;
        i32 y = o.y + (i32)row, x = o.x + (i32)column;
        bits |= (u32)((u32)y < (u32)p.from_height && (u32)x < (u32)p.from_width) << i;
    }
    return bits;
}

#endif
