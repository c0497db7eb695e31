/* conv_*: convolutions over all input channels on the tensor cores.
 *
 *   to[p, n] = activation(bias[n] + residual[p, n] + sum over k of window(p)[k] * weights[k, n])
 *
 * A block makes ROWS pixels by COLUMNS channels; the sum runs through shared memory in chunks of 32 values a SLICE, STAGES chunks
 * ahead. Its warps stand WARP_ROWS by WARP_COLUMNS over the output, and SLICES such groups take different parts of the sum, which are
 * added at the end: that is for few pixels and long sums. `pixel` variants read the pixel itself (1x1), `window` ones follow `taps`.
 *
 * A chunk of pixels is stored in rows of 64 bytes, the four 16-byte vectors of row r exchanged by (r / 2) mod 4, so that eight rows of
 * one vector (ldmatrix) lie in different banks. Weights are packed as fragments and need no arrangement. Packed columns are permuted so
 * that a thread's sums are neighbouring channels: 8 of each 32 (one 16-byte store), or 4 of 16.
 *
 * Grid: x = pixels / ROWS, rounded up, times columns / COLUMNS, columns fastest (`lower/`).
 * Tested against the interpreter by tests/native_kernels. */
#include "native/params.h"

template <int ROWS_, int COLUMNS_, int WARP_ROWS_, int WARP_COLUMNS_, int SLICES_, int STAGES_> struct ConvTile {
    static constexpr int ROWS = ROWS_, COLUMNS = COLUMNS_, WARP_ROWS = WARP_ROWS_, WARP_COLUMNS = WARP_COLUMNS_;
    static constexpr int SLICES = SLICES_, STAGES = STAGES_;
    static constexpr int GROUP = 32 * WARP_ROWS * WARP_COLUMNS, THREADS = GROUP * SLICES;
    /* Fragments of a warp: 16 rows, 8 columns. */
    static constexpr int M = ROWS / WARP_ROWS / 16, N = COLUMNS / WARP_COLUMNS / 8;
    /* Channels that a thread stores together. */
    static constexpr int TOGETHER = N >= 4 ? 8 : 4;
    static constexpr u32 CHUNK = (ROWS + COLUMNS) * 64, STAGE = CHUNK * SLICES;
};

/* Where vector `v` of row `r` lies in a chunk of pixels. */
PIXEL u32 conv_vector(u32 r, u32 v) { return r * 64 + ((v ^ (r >> 1 & 3)) << 4); }

/* The rows of the output that a thread loads windows for, and what it needs to find them. */
template <int COUNT> struct ConvRows {
    /* The pixel, or the window's first pixel, which may lie outside; null beyond the last. */
    const u16 *from[COUNT];
    i32 row[COUNT], column[COUNT];
};

template <class Tile, int COUNT, bool WINDOW>
PIXEL void conv_find_rows(const ConvParams &p, i32 first, ConvRows<COUNT> &rows) {
    UNROLL for (int i = 0; i < COUNT; i++) {
        i32 pixel = first + ((i32)threadIdx.x / 4 % (Tile::GROUP / 4)) + i * (Tile::GROUP / 4);
        if (!WINDOW) {
            rows.from[i] = pixel < p.pixels ? p.from + (u64)pixel * (u64)p.from_pitch : 0;
            continue;
        }
        i32 size = p.to_height * p.to_width, item = pixel / size, at = pixel % size;
        rows.row[i] = at / p.to_width * p.stride_rows - p.pad_rows;
        rows.column[i] = at % p.to_width * p.stride_columns - p.pad_columns;
        rows.from[i] = pixel < p.pixels ? p.from + (u64)item * (u64)(p.from_height * p.from_width) * (u64)p.from_pitch : 0;
    }
}

/* Starts the copies of chunk `chunk` of the sum, 32 values, into `at`: this group's share of the stage. */
template <class Tile, int COUNT, bool WINDOW>
PIXEL void conv_start_chunk(const ConvParams &p, const ConvRows<COUNT> &rows, i32 chunk, i32 column, u32 at) {
    u32 thread = threadIdx.x % Tile::GROUP, v = thread % 4;
    i32 vector = chunk * 4 + (i32)v, inside = vector < p.vectors;
    ConvTap tap = {0, 0, 0};
    if (WINDOW && inside) {
        tap = load_global(p.taps + vector);
    }
    UNROLL for (int i = 0; i < COUNT; i++) {
        i32 valid = inside && rows.from[i] != 0;
        const u16 *from = p.from;
        if (!WINDOW) {
            from = valid ? rows.from[i] + vector * 8 : p.from;
        } else {
            i32 y = rows.row[i] + tap.row, x = rows.column[i] + tap.column;
            valid = valid && (u32)y < (u32)p.from_height && (u32)x < (u32)p.from_width;
            from = valid ? rows.from[i] + (u64)((y * p.from_width + x) * p.from_pitch + tap.channel) : p.from;
        }
        copy_async(at + conv_vector(thread / 4 + (u32)i * (Tile::GROUP / 4), v), from, valid);
    }
    /* Fragments of 16 columns: two of 16 rows follow each other. */
    constexpr int VECTORS = Tile::COLUMNS * 4;
    UNROLL for (int i = 0; i < (VECTORS + Tile::GROUP - 1) / Tile::GROUP; i++) {
        u32 n = thread + (u32)i * Tile::GROUP;
        if (VECTORS % Tile::GROUP == 0 || n < VECTORS) {
            i32 across = column / 16 + (i32)(n / 64), valid = across < p.fragments && chunk * 2 < p.steps;
            u64 fragment = valid ? (u64)across * (u64)p.steps + (u64)(chunk * 2) : 0;
            copy_async(at + Tile::ROWS * 64 + n * 16, p.weights + fragment * 256 + n % 64 * 8, valid);
        }
    }
}

template <class Tile> PIXEL void conv_multiply_chunk(f32 sums[Tile::M][Tile::N][4], u32 at, u32 warp_row, u32 warp_column) {
    u32 lane = threadIdx.x % 32;
    UNROLL for (u32 step = 0; step < 2; step++) {
        u32 a[Tile::M][4];
        UNROLL for (int m = 0; m < Tile::M; m++) {
            load_matrices(a[m], at + conv_vector(warp_row + (u32)m * 16 + lane % 16, step * 2 + lane / 16));
        }
        UNROLL for (int n = 0; n < Tile::N; n += 2) {
            u32 fragment = (warp_column / 16 + (u32)n / 2) * 2 + step;
            Words4 b = load_shared<Words4>(at + Tile::ROWS * 64 + fragment * 512 + lane * 16);
            UNROLL for (int m = 0; m < Tile::M; m++) {
                multiply_add(sums[m][n], a[m], b.word[0], b.word[1]);
                multiply_add(sums[m][n + 1], a[m], b.word[2], b.word[3]);
            }
        }
    }
}

/* Adds what the other slices have summed up, through shared memory, into the first one's. */
template <class Tile> PIXEL void conv_add_slices(f32 sums[Tile::M][Tile::N][4]) {
    constexpr int COUNT = Tile::M * Tile::N;
    u32 slice = threadIdx.x / Tile::GROUP, thread = threadIdx.x % Tile::GROUP;
    f32 *flat = &sums[0][0][0];
    for (u32 other = 1; other < (u32)Tile::SLICES; other++) {
        sync_block();
        if (slice == other) {
            UNROLL for (int i = 0; i < COUNT; i++) {
                Floats four = {{flat[4 * i], flat[4 * i + 1], flat[4 * i + 2], flat[4 * i + 3]}};
                store_shared((u32)(i * Tile::GROUP) * 16 + thread * 16, four);
            }
        }
        sync_block();
        if (slice == 0) {
            UNROLL for (int i = 0; i < COUNT; i++) {
                Floats four = load_shared<Floats>((u32)(i * Tile::GROUP) * 16 + thread * 16);
                UNROLL for (int k = 0; k < 4; k++) {
                    flat[4 * i + k] += four.value[k];
                }
            }
        }
    }
}

/* Bias, residual and activation for `TOGETHER` channels of one pixel, and their store. */
template <class Tile> PIXEL void conv_store(const ConvParams &p, i32 pixel, i32 channel, f32 values[Tile::TOGETHER]) {
    if (pixel >= p.pixels || channel >= p.channels) {
        return;
    }
    UNROLL for (int i = 0; i < Tile::TOGETHER; i += 4) {
        Floats bias = load_global((const Floats *)(p.bias + channel + i));
        UNROLL for (int k = 0; k < 4; k++) {
            values[i + k] += bias.value[k];
        }
        if (p.residual) {
            Halves4 other = load_halves4(p.residual + (u64)pixel * (u64)p.residual_pitch + (u64)(channel + i));
            UNROLL for (int k = 0; k < 2; k++) {
                values[i + 2 * k] += low_half(other.word[k]);
                values[i + 2 * k + 1] += high_half(other.word[k]);
            }
        }
    }
    u16 *to = p.to + (u64)pixel * (u64)p.to_pitch + (u64)channel;
    UNROLL for (int i = 0; i < Tile::TOGETHER; i++) {
        values[i] = activate(values[i], p.activation);
    }
    if (Tile::TOGETHER == 8) {
        Words4 out = {{pack_halves(values[0], values[1]), pack_halves(values[2], values[3]),
                       pack_halves(values[4 % Tile::TOGETHER], values[5 % Tile::TOGETHER]),
                       pack_halves(values[6 % Tile::TOGETHER], values[7 % Tile::TOGETHER])}};
        store_global(to, out);
    } else {
        Halves4 out = {{pack_halves(values[0], values[1]), pack_halves(values[2], values[3])}};
        store_global(to, out);
    }
}

template <class Tile, bool WINDOW> PIXEL void conv(const ConvParams &p) {
    constexpr int COUNT = Tile::ROWS * 4 / Tile::GROUP;
    constexpr int CHANNELS = Tile::TOGETHER * 4;
    static_assert(COUNT * Tile::GROUP == Tile::ROWS * 4 && Tile::M >= 1 && Tile::N % (CHANNELS / 8) == 0, "the tile divides");
    i32 tiles = (p.channels + Tile::COLUMNS - 1) / Tile::COLUMNS;
    i32 first = (i32)blockIdx.x / tiles * Tile::ROWS, column = (i32)blockIdx.x % tiles * Tile::COLUMNS;
    u32 slice = threadIdx.x / Tile::GROUP, warp = threadIdx.x % Tile::GROUP / 32, lane = threadIdx.x % 32;
    u32 warp_row = warp / Tile::WARP_COLUMNS * (Tile::M * 16), warp_column = warp % Tile::WARP_COLUMNS * (Tile::N * 8);
    i32 chunks = (p.steps + 1) / 2, rounds = (chunks + Tile::SLICES - 1) / Tile::SLICES;

    ConvRows<COUNT> rows;
    let_next_begin();
    conv_find_rows<Tile, COUNT, WINDOW>(p, first, rows);
    f32 sums[Tile::M][Tile::N][4];
    UNROLL for (int m = 0; m < Tile::M; m++) {
        UNROLL for (int n = 0; n < Tile::N; n++) {
            UNROLL for (int i = 0; i < 4; i++) {
                sums[m][n][i] = 0.0f;
            }
        }
    }
    wait_for_previous();
    for (i32 round = 0; round < Tile::STAGES - 1; round++) {
        if (round < rounds) {
            conv_start_chunk<Tile, COUNT, WINDOW>(p, rows, round * Tile::SLICES + (i32)slice, column,
                                                  (u32)round * Tile::STAGE + slice * Tile::CHUNK);
        }
        commit_copies();
    }
    u32 stage = 0, ahead = Tile::STAGES - 1;
    NO_UNROLL for (i32 round = 0; round < rounds; round++) {
        wait_copies<Tile::STAGES - 2>();
        sync_block();
        if (round + Tile::STAGES - 1 < rounds) {
            conv_start_chunk<Tile, COUNT, WINDOW>(p, rows, (round + Tile::STAGES - 1) * Tile::SLICES + (i32)slice, column,
                                                  ahead * Tile::STAGE + slice * Tile::CHUNK);
        }
        commit_copies();
        conv_multiply_chunk<Tile>(sums, stage * Tile::STAGE + slice * Tile::CHUNK, warp_row, warp_column);
        stage = stage + 1 == Tile::STAGES ? 0 : stage + 1;
        ahead = ahead + 1 == Tile::STAGES ? 0 : ahead + 1;
    }
    if (Tile::SLICES > 1) {
        wait_copies<0>();
        conv_add_slices<Tile>(sums);
        if (slice > 0) {
            return;
        }
    }
    UNROLL for (int m = 0; m < Tile::M; m++) {
        UNROLL for (int half = 0; half < 2; half++) {
            i32 pixel = first + (i32)(warp_row + (u32)m * 16 + lane / 4) + half * 8;
            UNROLL for (int n = 0; n < Tile::N; n += CHANNELS / 8) {
                f32 values[Tile::TOGETHER];
                UNROLL for (int j = 0; j < CHANNELS / 8; j++) {
                    values[2 * j] = sums[m][n + j][2 * half];
                    values[2 * j + 1] = sums[m][n + j][2 * half + 1];
                }
                i32 channel = column + (i32)(warp_column + (u32)n * 8 + lane % 4 * Tile::TOGETHER);
                conv_store<Tile>(p, pixel, channel, values);
            }
        }
    }
}

/* NAME, rows, columns, warps along rows, along columns, slices, stages: as `tiles.rs` lists them. */
#define CONV(NAME, ...)                                                                                                          \
    KERNEL_OF(conv_pixel_##NAME, (ConvTile<__VA_ARGS__>::THREADS), 1)(ConvParams p) { conv<ConvTile<__VA_ARGS__>, false>(p); }     \
    KERNEL_OF(conv_window_##NAME, (ConvTile<__VA_ARGS__>::THREADS), 1)(ConvParams p) { conv<ConvTile<__VA_ARGS__>, true>(p); }

CONV(128x128, 128, 128, 2, 2, 1, 3)
CONV(128x128_8, 128, 128, 4, 2, 1, 3)
CONV(128x64, 128, 64, 4, 1, 1, 4)
CONV(64x64, 64, 64, 2, 2, 1, 4)
CONV(128x32, 128, 32, 4, 1, 1, 4)
CONV(32x32, 32, 32, 1, 1, 4, 3)
CONV(16x32, 16, 32, 1, 1, 4, 3)
CONV(128x16, 128, 16, 4, 1, 1, 4)
CONV(32x16, 32, 16, 1, 1, 4, 3)
