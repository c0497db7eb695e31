/* block_*: an inverted residual as one kernel: 1x1 to more channels, ReLU, depthwise 3x3, ReLU, 1x1 to fewer, perhaps plus its input.
 *
 * What lies between never leaves the multiprocessor. A block makes 16 by ROWS x WARPS pixels: their input, with a border of one, comes
 * into shared memory once; then, 16 wide channels (times PLANES) at a time, the warps
 *   expand     input pixels x weights on the tensor cores, for the pixels of the border too, into shared memory as float16
 *   depthwise  each thread 4 channels of 2 pixels in each of its warp's ROWS rows, float32 sums
 *   project    those, which lie in its registers as a fragment wants them, x weights, added up over all wide channels
 * Two buffers for wide pixels let the next channels be expanded while these are summed, with one barrier for both.
 *
 * Shared memory, STRIDE 1 or 2: a row's even columns come before its odd ones. The columns that the lanes of a warp need together, two
 * apart, are then neighbours, and no two lanes' pixels meet in a bank. Input pixels have KSTEPS x 32 bytes, their 16-byte vectors exchanged
 * by `block_swizzle` for ldmatrix; wide pixels have 32 bytes, thread t of a quad its 4 channels in each. Weights come in chunks of what 16
 * PLANES wide channels need, packed by src/backend/cuda/native/pack_block.rs, three chunks in a ring.
 *
 * Grid: x = columns / 16 x rows / (ROWS x WARPS) x items, columns fastest, the first two rounded up (`lower.rs`).
 * Tested against the interpreter by tests/native_kernels. */
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

template <class Tile> PIXEL void block(const BlockParams &p) {
    i32 across = (p.to_width + 15) / 16, down = (p.to_height + Tile::HEIGHT - 1) / Tile::HEIGHT, at = (i32)blockIdx.x;
    BlockOrigin o = {at / across / down, at % across * (16 * Tile::STRIDE) - 1, at / across % down * (Tile::HEIGHT * Tile::STRIDE) - 1};
    block_start_input<Tile>(p, o);
    block_start_weights<Tile>(p, 0, 0);
    commit_copies();
    if (p.chunks > 1) {
        block_start_weights<Tile>(p, 1, 1);
    }
    commit_copies();
    u32 inside = block_inside<Tile>(p, o);
    f32 sums[Tile::ROWS][Tile::TILES][4];
    block_start_sums<Tile>(p, sums);
    wait_copies<1>();
    sync_block();
    block_expand<Tile>(Tile::RING, Tile::WIDES, inside);
    /* Parts of the ring that hold the chunk that is summed and the next. */
    u32 part = 0, next = 1;
    NO_UNROLL for (i32 chunk = 0; chunk < p.chunks; chunk++) {
        /* The next chunk's weights are there, and this one's wide pixels. */
        wait_copies<0>();
        sync_block();
        u32 free = 3 - part - next, weights = Tile::RING + part * Tile::CHUNK, wide = Tile::WIDES + (u32)(chunk & 1) * Tile::WIDE;
        if (chunk + 2 < p.chunks) {
            block_start_weights<Tile>(p, chunk + 2, free);
        }
        commit_copies();
        if (chunk + 1 < p.chunks) {
            block_expand<Tile>(Tile::RING + next * Tile::CHUNK, Tile::WIDES + (u32)(~chunk & 1) * Tile::WIDE, inside);
        }
        NO_UNROLL for (u32 q = 0; q < (u32)Tile::PLANES; q++) {
            u32 a[Tile::ROWS][4];
            block_depthwise<Tile>(weights + q * Tile::PLANE_WEIGHTS, wide + q * Tile::PLANE, a);
            block_project<Tile>(weights + q * Tile::PLANE_WEIGHTS, a, sums);
        }
        part = next;
        next = free;
    }
    block_store<Tile>(p, o, sums);
}

/* Input channels / 16, output channels / 8, stride, rows of a warp, planes: as `block_tiles.rs` lists them. BLOCKS of them fit the
 * registers of a multiprocessor. */
#define BLOCK(KSTEPS, TILES, STRIDE, ROWS, PLANES, BLOCKS)                                                                       \
    KERNEL_OF(block_##KSTEPS##_##TILES##_##STRIDE##_##ROWS##_##PLANES, 128, BLOCKS)(BlockParams p) {                              \
        block<BlockTile<KSTEPS, TILES, STRIDE, ROWS, PLANES>>(p);                                                                \
    }

/* There the compiler needs a few registers more, and shared memory has no room for three. */
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 1200
#define MANY_REGISTERS 2
#else
#define MANY_REGISTERS 3
#endif

BLOCK(1, 2, 1, 4, 1, 3)
BLOCK(1, 4, 1, 4, 1, MANY_REGISTERS)
BLOCK(2, 2, 1, 4, 1, 3)
BLOCK(2, 4, 1, 4, 1, MANY_REGISTERS)
BLOCK(2, 4, 1, 2, 1, 4)
BLOCK(2, 8, 1, 2, 1, 3)
BLOCK(4, 2, 1, 4, 1, 3)
BLOCK(4, 2, 1, 4, 2, 2)
BLOCK(4, 2, 1, 2, 2, 4)
BLOCK(4, 4, 1, 4, 1, 2)
BLOCK(4, 4, 1, 2, 2, 4)
BLOCK(4, 8, 1, 2, 1, 3)
BLOCK(8, 4, 1, 2, 1, 3)
BLOCK(8, 8, 1, 2, 1, 3)
BLOCK(1, 4, 2, 2, 1, 3)
BLOCK(2, 4, 2, 2, 1, 3)
BLOCK(2, 4, 2, 1, 1, 4)
BLOCK(2, 8, 2, 1, 1, 4)
BLOCK(4, 8, 2, 1, 1, 4)
BLOCK(4, 16, 2, 1, 1, 3)
