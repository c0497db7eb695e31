/* A tile of an inverted residual, see block.cu: expanded, convolved, projected. */
#ifndef NATIVE_BLOCK_SUMS_H
#define NATIVE_BLOCK_SUMS_H

#include "native/block_input.h"

/* Expands all input pixels to the wide channels whose weights lie at `weights`, into `wide`. Pixels outside the picture are zero there:
 * the depthwise convolution is padded with zeros, not with what the expansion makes of them. */
template <class Tile> PIXEL void block_expand(u32 weights, u32 wide, u32 inside) {
    u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    Words4 b[Tile::PLANES][Tile::KSTEPS];
    Floats bias[Tile::PLANES];
    UNROLL for (int q = 0; q < Tile::PLANES; q++) {
        UNROLL for (int k = 0; k < Tile::KSTEPS; k++) {
            b[q][k] = load_shared<Words4>(weights + (u32)q * Tile::PLANE_WEIGHTS + (u32)k * 512 + lane * 16);
        }
        bias[q] = load_shared<Floats>(weights + (u32)q * Tile::PLANE_WEIGHTS + Tile::EXPAND + lane % 4 * 16);
    }
    UNROLL for (int i = 0; i < Tile::SHARE; i++) {
        u32 sixteen = warp + (u32)i * Tile::WARPS;
        if (Tile::SIXTEENS % Tile::WARPS != 0 && sixteen >= (u32)Tile::SIXTEENS) {
            break;
        }
        u32 row = sixteen * 16 + lane % 16;
        if (Tile::PIXELS % 16 != 0 && row >= (u32)Tile::PIXELS) {
            row = Tile::PIXELS - 1;
        }
        f32 sums[Tile::PLANES][2][4];
        UNROLL for (int q = 0; q < Tile::PLANES; q++) {
            UNROLL for (int half = 0; half < 2; half++) {
                UNROLL for (int j = 0; j < 2; j++) {
                    sums[q][j][2 * half] = bias[q].value[2 * j];
                    sums[q][j][2 * half + 1] = bias[q].value[2 * j + 1];
                }
            }
        }
        UNROLL for (int k = 0; k < Tile::KSTEPS; k++) {
            u32 a[4];
            load_matrices(a, block_vector<Tile>(row, (u32)k * 2 + lane / 16));
            UNROLL for (int q = 0; q < Tile::PLANES; q++) {
                multiply_add(sums[q][0], a, b[q][k].word[0], b[q][k].word[1]);
                multiply_add(sums[q][1], a, b[q][k].word[2], b[q][k].word[3]);
            }
        }
        UNROLL for (int half = 0; half < 2; half++) {
            u32 pixel = sixteen * 16 + lane / 4 + (u32)half * 8, here = inside >> (2 * i + half) & 1;
            UNROLL for (int q = 0; q < Tile::PLANES; q++) {
                Halves4 out = {{pack_positive(sums[q][0][2 * half], sums[q][0][2 * half + 1]),
                                pack_positive(sums[q][1][2 * half], sums[q][1][2 * half + 1])}};
                out.word[0] = here ? out.word[0] : 0;
                out.word[1] = here ? out.word[1] : 0;
                store_shared(wide + (u32)q * Tile::PLANE + pixel * 32 + lane % 4 * 8, out);
            }
        }
    }
}

/* The wide pixel at row `row` and column `column` of what this thread's outputs see, 4 channels. For stride 1 its outputs are columns 2g
 * and 2g + 1, which see four columns; for stride 2 they are g and g + 8, which see three each: columns 3 to 5 are those of the second. */
template <class Tile> PIXEL Floats block_wide(u32 wide, int row, int column) {
    u32 lane = threadIdx.x % 32, y = threadIdx.x / 32 * (Tile::ROWS * Tile::STRIDE) + (u32)row;
    int within = Tile::STRIDE == 1 ? column : column % 3;
    u32 at = (u32)((within & 1) * Tile::EVEN + (within >> 1)) + lane / 4 + (Tile::STRIDE == 1 ? 0 : (u32)(column / 3) * 8);
    Halves4 halves = load_shared<Halves4>(wide + (y * Tile::IN_WIDTH + at) * 32 + lane % 4 * 8);
    Floats out = {{low_half(halves.word[0]), high_half(halves.word[0]), low_half(halves.word[1]), high_half(halves.word[1])}};
    return out;
}

/* The depthwise convolution for this thread's pixels, as A fragments of the projection: output row j is fragment j, its rows g and
 * g + 8 the thread's two pixels, its columns the 16 wide channels in the order of `pack_block.rs`. */
template <class Tile> PIXEL void block_depthwise(u32 weights, u32 wide, u32 a[Tile::ROWS][4]) {
    u32 quad = threadIdx.x % 4;
    Floats taps[9], sums[Tile::ROWS][2];
    UNROLL for (int tap = 0; tap < 9; tap++) {
        taps[tap] = load_shared<Floats>(weights + Tile::DEPTHWISE + (u32)tap * 64 + quad * 16);
    }
    Floats bias = load_shared<Floats>(weights + Tile::DEPTHWISE + 576 + quad * 16);
    UNROLL for (int j = 0; j < Tile::ROWS; j++) {
        sums[j][0] = bias;
        sums[j][1] = bias;
    }
    constexpr int COLUMNS = Tile::STRIDE == 1 ? 4 : 6;
    UNROLL for (int row = 0; row < (Tile::ROWS - 1) * Tile::STRIDE + 3; row++) {
        UNROLL for (int column = 0; column < COLUMNS; column++) {
            Floats value = block_wide<Tile>(wide, row, column);
            UNROLL for (int j = 0; j < Tile::ROWS; j++) {
                UNROLL for (int side = 0; side < 2; side++) {
                    int dy = row - j * Tile::STRIDE, dx = Tile::STRIDE == 1 ? column - side : column - 3 * side;
                    if (dy < 0 || dy > 2 || dx < 0 || dx > 2) {
                        continue;
                    }
                    UNROLL for (int c = 0; c < 4; c++) {
                        sums[j][side].value[c] = multiply_into(sums[j][side].value[c], value.value[c], taps[dy * 3 + dx].value[c]);
                    }
                }
            }
        }
    }
    UNROLL for (int j = 0; j < Tile::ROWS; j++) {
        UNROLL for (int side = 0; side < 2; side++) {
            a[j][side] = pack_positive(sums[j][side].value[0], sums[j][side].value[1]);
            a[j][2 + side] = pack_positive(sums[j][side].value[2], sums[j][side].value[3]);
        }
    }
}

template <class Tile> PIXEL void block_project(u32 weights, const u32 a[Tile::ROWS][4], f32 sums[Tile::ROWS][Tile::TILES][4]) {
    UNROLL for (int n = 0; n < Tile::TILES; n += 2) {
        Words4 b = load_shared<Words4>(weights + Tile::PROJECT + (u32)n * 256 + threadIdx.x % 32 * 16);
        UNROLL for (int j = 0; j < Tile::ROWS; j++) {
            multiply_add(sums[j][n], a[j], b.word[0], b.word[1]);
            multiply_add(sums[j][n + 1], a[j], b.word[2], b.word[3]);
        }
    }
}

#endif
