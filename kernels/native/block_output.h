/* A tile of an inverted residual, see block.cu: its sums' first values, and where they go. */
#ifndef NATIVE_BLOCK_OUTPUT_H
#define NATIVE_BLOCK_OUTPUT_H

#include "native/block_input.h"

/* The first of the `TOGETHER` neighbouring channels that fragment `n` and those after it hold for this thread. */
template <class Tile> PIXEL i32 block_channel(int n) { return n * 8 + (i32)(threadIdx.x % 4) * Tile::TOGETHER; }

/* Every sum starts as its bias. */
template <class Tile> PIXEL void block_start_sums(const BlockParams &p, f32 sums[Tile::ROWS][Tile::TILES][4]) {
    UNROLL for (int n = 0; n < Tile::TILES; n += Tile::TOGETHER / 2) {
        UNROLL for (int i = 0; i < Tile::TOGETHER; i += 4) {
            Floats bias = load_global((const Floats *)(p.bias + block_channel<Tile>(n) + i));
            UNROLL for (int c = 0; c < 4; c++) {
                UNROLL for (int j = 0; j < Tile::ROWS; j++) {
                    sums[j][n + (i + c) / 2][c % 2] = bias.value[c];
                    sums[j][n + (i + c) / 2][2 + c % 2] = bias.value[c];
                }
            }
        }
    }
}

/* Adds the input pixel at the tile's output (x, y), which lies in shared memory, to `TOGETHER` channels from `channel` on. */
template <class Tile> PIXEL void block_add_input(u32 x, u32 y, i32 channel, f32 values[Tile::TOGETHER]) {
    u32 pixel = (y + 1) * Tile::IN_WIDTH + block_column<Tile>(x + 1);
    u32 at = block_vector<Tile>(pixel, (u32)channel / 8) + (u32)channel % 8 * 2;
    UNROLL for (int i = 0; i < Tile::TOGETHER; i += 4) {
        Halves4 halves = load_shared<Halves4>(at + (u32)i * 2);
        UNROLL for (int k = 0; k < 2; k++) {
            values[i + 2 * k] += low_half(halves.word[k]);
            values[i + 2 * k + 1] += high_half(halves.word[k]);
        }
    }
}

template <class Tile> PIXEL void block_store(const BlockParams &p, BlockOrigin o, const f32 sums[Tile::ROWS][Tile::TILES][4]) {
    i32 first_x = (o.x + 1) / Tile::STRIDE, first_y = (o.y + 1) / Tile::STRIDE;
    UNROLL for (int j = 0; j < Tile::ROWS; j++) {
        UNROLL for (int side = 0; side < 2; side++) {
            u32 g = threadIdx.x % 32 / 4, inside_y = threadIdx.x / 32 * Tile::ROWS + (u32)j;
            u32 inside_x = Tile::STRIDE == 1 ? 2 * g + (u32)side : g + 8 * (u32)side;
            i32 x = first_x + (i32)inside_x, y = first_y + (i32)inside_y;
            if (x >= p.to_width || y >= p.to_height) {
                continue;
            }
            u64 pixel = (u64)((o.item * p.to_height + y) * p.to_width + x);
            UNROLL for (int n = 0; n < Tile::TILES; n += Tile::TOGETHER / 2) {
                i32 channel = block_channel<Tile>(n);
                if (channel >= p.channels) {
                    continue;
                }
                f32 values[Tile::TOGETHER];
                UNROLL for (int i = 0; i < Tile::TOGETHER; i++) {
                    values[i] = sums[j][n + i / 2][2 * side + i % 2];
                }
                if (Tile::STRIDE == 1 && p.add_input) {
                    block_add_input<Tile>(inside_x, inside_y, channel, values);
                }
                u32 words[Tile::TOGETHER / 2];
                UNROLL for (int i = 0; i < Tile::TOGETHER / 2; i++) {
                    words[i] = pack_halves(values[2 * i], values[2 * i + 1]);
                }
                u16 *to = p.to + pixel * (u64)p.to_pitch + (u64)channel;
                if (Tile::TOGETHER == 8) {
                    Words4 out = {{words[0], words[1], words[2 % (Tile::TOGETHER / 2)], words[3 % (Tile::TOGETHER / 2)]}};
                    store_global(to, out);
                } else {
                    Halves4 out = {{words[0], words[1]}};
                    store_global(to, out);
                }
            }
        }
    }
}

/* The network's last convolution, over the 16 channels of each pixel, which its quad holds, and the planes of its output. */
template <class Tile> PIXEL void block_store_planes(const BlockParams &p, BlockOrigin o, const f32 sums[Tile::ROWS][Tile::TILES][4]) {
    static_assert(Tile::TILES == 2 && Tile::STRIDE == 1, "a quad holds all channels of two neighbours");
    u32 quad = threadIdx.x % 4, g = threadIdx.x % 32 / 4;
    Floats weights[4], bias = load_global((const Floats *)(p.last + 64));
    UNROLL for (u32 plane = 0; plane < 4; plane++) {
        weights[plane] = load_global((const Floats *)(p.last + plane * 16 + quad * 4));
    }
    UNROLL for (int j = 0; j < Tile::ROWS; j++) {
        u32 inside_y = threadIdx.x / 32 * Tile::ROWS + (u32)j;
        f32 mine[2] = {0.0f, 0.0f};
        UNROLL for (u32 side = 0; side < 2; side++) {
            f32 values[4] = {sums[j][0][2 * side], sums[j][0][2 * side + 1], sums[j][1][2 * side], sums[j][1][2 * side + 1]};
            if (p.add_input) {
                block_add_input<Tile>(2 * g + side, inside_y, (i32)quad * 4, values);
            }
            UNROLL for (u32 plane = 0; plane < 4; plane++) {
                f32 sum = 0.0f;
                UNROLL for (int c = 0; c < 4; c++) {
                    sum = multiply_into(sum, values[c], weights[plane].value[c]);
                }
                sum += exchange(sum, 1);
                sum += exchange(sum, 2);
                mine[side] = quad == plane ? sum + bias.value[plane] : mine[side];
            }
        }
        /* Thread t of the quad has plane t. */
        i32 x = o.x + 1 + 2 * (i32)g, y = o.y + 1 + (i32)inside_y;
        if ((i32)quad < p.planes && x < p.to_width && y < p.to_height) {
            u16 *to = p.to + (u64)((o.item * p.planes + (i32)quad) * p.to_height + y) * (u64)p.to_width + (u64)x;
            u32 both = pack_halves(activate(mine[0], p.activation), activate(mine[1], p.activation));
            if (p.to_width % 2 == 0) {
                store_global(to, both);
            } else {
                store_global(to, (u16)both);
                if (x + 1 < p.to_width) {
                    store_global(to + 1, (u16)(both >> 16));
                }
            }
        }
    }
}

#endif
