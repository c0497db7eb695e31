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
 * `block_in` variants read the planes of the network's input, `block_out` ones end in the network's last 1x1 convolution and write the planes
 * of its output.
 *
 * Grid: x = columns / 16 x rows / (ROWS x WARPS) x items, columns fastest, the first two rounded up (`lower/`).
 * Tested against the interpreter by tests/native_kernels. */
#include "native/block_output.h"
#include "native/block_sums.h"

template <class Tile, bool FROM_PLANES, bool TO_PLANES> PIXEL void block(const BlockParams &p) {
    i32 across = (p.to_width + 15) / 16, down = (p.to_height + Tile::HEIGHT - 1) / Tile::HEIGHT, at = (i32)blockIdx.x;
    BlockOrigin o = {at / across / down, at % across * (16 * Tile::STRIDE) - 1, at / across % down * (Tile::HEIGHT * Tile::STRIDE) - 1};
    let_next_begin();
    block_start_weights<Tile>(p, 0, 0);
    wait_for_previous();
    if (FROM_PLANES) {
        block_load_planes<Tile>(p, o);
    } else {
        block_start_input<Tile>(p, o);
    }
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
    if constexpr (TO_PLANES) {
        block_store_planes<Tile>(p, o, sums);
    } else {
        block_store<Tile>(p, o, sums);
    }
}

/* Input channels / 16, output channels / 8, stride, rows of a warp, planes: as `block_tiles.rs` lists them. BLOCKS of them fit the
 * registers of a multiprocessor. */
#define BLOCK(KSTEPS, TILES, STRIDE, ROWS, PLANES, BLOCKS) BLOCK_OF(block, false, false, KSTEPS, TILES, STRIDE, ROWS, PLANES, BLOCKS)
#define BLOCK_OF(NAME, FROM_PLANES, TO_PLANES, KSTEPS, TILES, STRIDE, ROWS, PLANES, BLOCKS)                                      \
    KERNEL_OF(NAME##_##KSTEPS##_##TILES##_##STRIDE##_##ROWS##_##PLANES, 128, BLOCKS)(BlockParams p) {                             \
        block<BlockTile<KSTEPS, TILES, STRIDE, ROWS, PLANES>, FROM_PLANES, TO_PLANES>(p);                                        \
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
BLOCK_OF(block_in, true, false, 1, 2, 1, 4, 1, 3)
BLOCK_OF(block_in, true, false, 1, 4, 1, 4, 1, MANY_REGISTERS)
BLOCK_OF(block_out, false, true, 1, 2, 1, 4, 1, 3)
