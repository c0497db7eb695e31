/* The native engine's kernels in one unit: one module to load. */
#include "native/block.cu"
#include "native/conv.cu"
#include "native/depthwise.cu"
#include "native/planes.cu"
#include "native/pointwise.cu"
#include "native/upsample.cu"
