/* The native engine's kernels as a shared library of the host, for tests: whole grids, on the emulated device of the calling thread. */
#include "native/all.cu"

namespace {

struct Kernel {
    const char *name;
    u32 params_bytes;
    void (*body)(const void *params);
};

#define ENTRY(name, Params) {#name, sizeof(Params), [](const void *params) { name(*(const Params *)params); }}
#define ENTRY_CONV(name) ENTRY(conv_pixel_##name, ConvParams), ENTRY(conv_window_##name, ConvParams)

const Kernel KERNELS[] = {
    ENTRY(block_1_2_1_4_1, BlockParams),
    ENTRY(block_1_4_1_4_1, BlockParams),
    ENTRY(block_2_2_1_4_1, BlockParams),
    ENTRY(block_2_4_1_4_1, BlockParams),
    ENTRY(block_2_4_1_2_1, BlockParams),
    ENTRY(block_2_8_1_2_1, BlockParams),
    ENTRY(block_4_2_1_4_1, BlockParams),
    ENTRY(block_4_2_1_4_2, BlockParams),
    ENTRY(block_4_2_1_2_2, BlockParams),
    ENTRY(block_4_4_1_4_1, BlockParams),
    ENTRY(block_4_4_1_2_2, BlockParams),
    ENTRY(block_4_8_1_2_1, BlockParams),
    ENTRY(block_8_4_1_2_1, BlockParams),
    ENTRY(block_8_8_1_2_1, BlockParams),
    ENTRY(block_1_4_2_2_1, BlockParams),
    ENTRY(block_2_4_2_2_1, BlockParams),
    ENTRY(block_2_4_2_1_1, BlockParams),
    ENTRY(block_2_8_2_1_1, BlockParams),
    ENTRY(block_4_8_2_1_1, BlockParams),
    ENTRY(block_4_16_2_1_1, BlockParams),
    ENTRY(block_in_1_2_1_4_1, BlockParams),
    ENTRY(block_in_1_4_1_4_1, BlockParams),
    ENTRY(block_out_1_2_1_4_1, BlockParams),
    ENTRY_CONV(128x128),
    ENTRY_CONV(128x128_8),
    ENTRY_CONV(128x64),
    ENTRY_CONV(64x64),
    ENTRY_CONV(128x32),
    ENTRY_CONV(32x32),
    ENTRY_CONV(16x32),
    ENTRY_CONV(128x16),
    ENTRY_CONV(32x16),
    ENTRY(depthwise_1, DepthwiseParams),
    ENTRY(depthwise_2, DepthwiseParams),
    ENTRY(depthwise_any, DepthwiseParams),
    ENTRY(upsample_linear, UpsampleParams),
    ENTRY(upsample_nearest, UpsampleParams),
    ENTRY(import_f16, PlanesParams),
    ENTRY(import_f32, PlanesParams),
    ENTRY(export_f16, PlanesParams),
    ENTRY(export_f32, PlanesParams),
    ENTRY(pointwise, PointwiseParams),
};

} // namespace

/* Takes all buffers away. */
extern "C" void emulate_reset_memory() { emulate::state.ranges.clear(); }

/* Forgets how often the banks were passed. */
extern "C" void emulate_reset_counts() { emulate::state.counts.clear(); }

/* Lets kernels read `bytes` from `begin` on: 0 for weights, 1 for what kernels before wrote, 2 for what they may also write, each byte once. */
extern "C" void emulate_memory(const u8 *begin, u64 bytes, u32 kind) {
    emulate::Range range = {begin, begin + bytes, kind == 0, kind == 2, {}};
    range.written.assign(kind == 2 ? bytes : 0, false);
    emulate::state.ranges.push_back(range);
}

/* Runs a grid: 1, or 0 when there is no such kernel with parameters of that size. */
extern "C" u32 emulate_launch(const char *name, const u32 blocks[3], const u32 threads[3], u32 shared_bytes, const void *params,
                              u32 params_bytes) {
    for (const Kernel &kernel : KERNELS) {
        if (strcmp(kernel.name, name) != 0 || kernel.params_bytes != params_bytes) {
            continue;
        }
        emulate::state.kernel = kernel.name;
        emulate::state.body = kernel.body;
        emulate::state.params = params;
        emulate::state.blocks = {blocks[0], blocks[1], blocks[2]};
        emulate::state.threads_of_block = {threads[0], threads[1], threads[2]};
        for (u32 z = 0; z < blocks[2]; z++) {
            for (u32 y = 0; y < blocks[1]; y++) {
                for (u32 x = 0; x < blocks[0]; x++) {
                    emulate::run_block({x, y, z}, shared_bytes);
                }
            }
        }
        return 1;
    }
    return 0;
}

/* The n-th source line that touched shared memory since the counts were reset: instructions, passes over the banks, and the fewest possible.
 * 0 beyond the last. */
extern "C" u32 emulate_count(u32 n, i32 *line, u64 counts[3]) {
    for (auto &[at, count] : emulate::state.counts) {
        if (n-- == 0) {
            *line = at;
            counts[0] = count.instructions;
            counts[1] = count.wavefronts;
            counts[2] = count.least;
            return 1;
        }
    }
    return 0;
}
